"""Optimisers by name: torch's, and what is registered beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from .recipe import Recipe
from .registry import Registry, call

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

Make = Callable[..., Any]
F = TypeVar("F", bound=Make)
OPTIMISERS: Registry[tuple[Make, bool]] = Registry("optimiser")


def optimiser(name: str, elementwise: bool = False) -> Callable[[F], F]:
    """Register a function `(parameters, recipe, **options) -> torch.optim.Optimizer` under a name that recipes use.

    It reads the rate and weight decay from the recipe; the trainer sets `group["lr"]` anew before every step. elementwise: the
    change of a weight depends on its own gradients alone, so that several seeds may share one optimiser.
    """

    def register(function: F) -> F:
        OPTIMISERS.add(name, (function, elementwise), function)
        return function

    return register


def made_optimiser(recipe: Recipe, parameters: Iterable[Any]) -> Any:
    """The optimiser that a recipe names, over these parameters."""
    make, _ = OPTIMISERS[recipe.optimiser]
    return call(f"optimiser {recipe.optimiser}", make, list(parameters), recipe, **recipe.optimiser_options)


def is_elementwise(name: str) -> bool:
    """Whether an optimiser treats every weight by itself."""
    return OPTIMISERS[name][1]


@optimiser("adamw", elementwise=True)
def _adamw(parameters: list[Any], recipe: Recipe, **options: Any) -> Any:
    return _of_torch("AdamW", parameters, recipe, betas=recipe.betas, foreach=True, **options)


@optimiser("adam", elementwise=True)
def _adam(parameters: list[Any], recipe: Recipe, **options: Any) -> Any:
    """Weight decay, if any, enters the gradient here."""
    return _of_torch("Adam", parameters, recipe, betas=recipe.betas, foreach=True, **options)


@optimiser("amsgrad", elementwise=True)
def _amsgrad(parameters: list[Any], recipe: Recipe, **options: Any) -> Any:
    return _of_torch("Adam", parameters, recipe, betas=recipe.betas, amsgrad=True, foreach=True, **options)


@optimiser("adamax", elementwise=True)
def _adamax(parameters: list[Any], recipe: Recipe, **options: Any) -> Any:
    return _of_torch("Adamax", parameters, recipe, betas=recipe.betas, foreach=True, **options)


@optimiser("nadam", elementwise=True)
def _nadam(parameters: list[Any], recipe: Recipe, **options: Any) -> Any:
    return _of_torch("NAdam", parameters, recipe, betas=recipe.betas, foreach=True, **options)


@optimiser("radam", elementwise=True)
def _radam(parameters: list[Any], recipe: Recipe, **options: Any) -> Any:
    return _of_torch("RAdam", parameters, recipe, betas=recipe.betas, foreach=True, **options)


@optimiser("rmsprop", elementwise=True)
def _rmsprop(parameters: list[Any], recipe: Recipe, **options: Any) -> Any:
    return _of_torch("RMSprop", parameters, recipe, foreach=True, **options)


@optimiser("adagrad", elementwise=True)
def _adagrad(parameters: list[Any], recipe: Recipe, **options: Any) -> Any:
    return _of_torch("Adagrad", parameters, recipe, foreach=True, **options)


@optimiser("sgd", elementwise=True)
def _sgd(parameters: list[Any], recipe: Recipe, **options: Any) -> Any:
    """Options: momentum, nesterov, dampening."""
    return _of_torch("SGD", parameters, recipe, foreach=True, **options)


def _of_torch(name: str, parameters: list[Any], recipe: Recipe, **options: Any) -> Any:
    make = getattr(torch.optim, name)
    return call(f"optimiser {name}", make, parameters, lr=recipe.lr, weight_decay=recipe.weight_decay, **options)
