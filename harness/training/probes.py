"""Probes: named measurements made at every record of the curve, so that runs need not keep their checkpoints."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import DeclarationError
from .networks import random_stream
from .recipe import Recipe
from .registry import Registry, call, name_and_options

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

_PROBE = 7
F = TypeVar("F", bound=Callable[..., Any])
PROBES: Registry[Callable[..., Any]] = Registry("probe")


def probe(name: str) -> Callable[[F], F]:
    """Register a function `(model, batch, rng, seed, recipe, initial, **options) -> name to number`; it takes what it needs.

    It must leave the network as it was. batch: what the curve is evaluated on. rng: the same stream at every record. initial:
    the weights before training by name. The numbers enter the curve under their names.
    """

    def register(function: F) -> F:
        PROBES.add(name, function)
        return function

    return register


def probed(recipe: Recipe, seed: int, model: Any, batch: Any, initial: dict[str, Any]) -> dict[str, float]:
    """What the probes of a recipe measure now, in eval mode and without gradients."""
    found: dict[str, float] = {}
    given: dict[str, Any] = {"batch": batch, "seed": seed, "recipe": recipe, "initial": initial}
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for number, entry in enumerate(recipe.probes):
                name, options = name_and_options(entry)
                function = PROBES[name]
                given["rng"] = random_stream(seed, _PROBE, number)
                known = inspect.signature(function).parameters
                extra = {key: value for key, value in given.items() if key in known} | options
                measured = call(f"probe {name}", function, model, **extra)
                found |= _numbers(name, measured)
    finally:
        model.train(training)
    return found


def wants_initial(recipe: Recipe) -> bool:
    """Whether a probe of the recipe asks for the weights before training."""
    return any("initial" in inspect.signature(PROBES[name_and_options(e)[0]]).parameters for e in recipe.probes)


def _numbers(name: str, measured: Any) -> dict[str, float]:
    try:
        return {str(key): float(value) for key, value in measured.items()}
    except (AttributeError, TypeError, ValueError, RuntimeError):
        raise DeclarationError(f'probe "{name}" must give numbers by name, found {measured!r:.80}') from None
