"""Recipes by name: organism files declare them, claims name them before those files are loaded."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from .recipe import Recipe
from .registry import Registry

_RECIPES: Registry[Recipe] = Registry("recipe")


def declare_recipe(declared: Recipe) -> Recipe:
    """Make a recipe known by its name; another one of that name is refused."""
    _RECIPES.add(declared.name, declared, declared.digest())
    return declared


def recipes() -> dict[str, Recipe]:
    """All declared recipes by name."""
    return {name: _RECIPES[name] for name in _RECIPES}


class NamedRecipe:
    """A declared recipe, looked up when it is first used, with changes made to it. It has the attributes of a `Recipe`."""

    def __init__(self, name: str, changes: tuple[dict[str, Any], ...] = ()) -> None:
        self._name, self._changes = name, changes

    def with_(self, **changes: Any) -> NamedRecipe:
        """The recipe with some values replaced; a mapping is merged into the one it replaces."""
        return NamedRecipe(self._name, (*self._changes, changes))

    @cached_property
    def found(self) -> Recipe:
        """The recipe itself; DeclarationError names the nearest where there is none of this name."""
        found = _RECIPES[self._name]
        for changes in self._changes:
            found = found.with_(**{name: resolved(value) for name, value in changes.items()})
        return found

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("_"):  # inspection (pickle, copy) must not look the recipe up
            raise AttributeError(attribute)
        return getattr(self.found, attribute)

    def __repr__(self) -> str:
        return f"recipe({self._name!r})" + "".join(f".with_({changes!r})" for changes in self._changes)


def recipe(name: str) -> NamedRecipe:
    """The recipe that an organism file declares under this name; for the arms of claims."""
    return NamedRecipe(name)


def resolved(value: Any) -> Any:
    """The recipe that a `NamedRecipe` means; anything else as it is."""
    return value.found if isinstance(value, NamedRecipe) else value
