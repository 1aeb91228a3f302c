"""Registries: what recipes name (networks, tasks, optimisers, clamps, probes, preparations, recipes) by its name."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Generic, TypeVar

from ..errors import DeclarationError

T = TypeVar("T")
#: How a recipe names a registered function: its name, or a pair of its name and keyword arguments.
Named = str | tuple[str, Mapping[str, Any]]


class Registry(Generic[T]):
    """Things of one kind by name; asking for an unknown one names the nearest.

    Args:
        what: what messages call a thing of this kind.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._things: dict[str, T] = {}
        self._sources: dict[str, str] = {}

    def add(self, name: str, thing: T, source: Any = None) -> None:
        """Register under a name; DeclarationError when another thing has it (`source`: the function or class that is it)."""
        text = _source(thing if source is None else source)
        if self._sources.get(name, text) != text:
            raise DeclarationError(f'two {self.what}s are called "{name}": rename one')
        self._things[name], self._sources[name] = thing, text

    def __getitem__(self, name: str) -> T:
        if name not in self._things:
            near = get_close_matches(name, self._things, 1)
            hint = f'did you mean "{near[0]}"?' if near else f"known: {', '.join(sorted(self._things)) or 'none'}"
            raise DeclarationError(f'{self.what} "{name}" is unknown; {hint}')
        return self._things[name]

    def __contains__(self, name: object) -> bool:
        return name in self._things

    def __iter__(self) -> Iterator[str]:
        return iter(self._things)

    def source(self, name: str) -> str:
        """What tells the code registered under a name from other code."""
        _ = self[name]
        return self._sources[name]


def name_and_options(entry: Named) -> tuple[str, dict[str, Any]]:
    """The name and the keyword arguments of an entry of a recipe."""
    if isinstance(entry, str):
        return entry, {}
    try:
        name, options = entry
        return str(name), dict(options)
    except (TypeError, ValueError):
        raise DeclarationError(f"{entry!r}: give a name, or a pair of a name and its options") from None


def call(what: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call a registered function; options that it does not take are an error that says which it takes."""
    check_call(what, function, *arguments, **options)
    return function(*arguments, **options)


def check_call(what: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    """Raise DeclarationError when a function cannot be called so."""
    signature = inspect.signature(function)
    try:
        signature.bind(*arguments, **options)
    except TypeError as error:
        raise DeclarationError(f"{what}: {error}; it takes {', '.join(signature.parameters)}") from None


def _source(thing: Any) -> str:
    """What tells one thing from another: its syntax, without comments."""
    try:
        return ast.dump(ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(thing)))))
    except (OSError, TypeError, SyntaxError):
        return repr(thing)
