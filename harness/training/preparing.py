"""Preparations: what is done to an initial network before training, with the run of another recipe at hand."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from ..errors import DeclarationError
from .networks import Network, initial_network, random_stream
from .recipe import Recipe
from .registry import Registry, call, name_and_options

_PREPARE = 8
#: (recipe, seed) -> its trained network
Trained = Callable[[Recipe, int], Any]
F = TypeVar("F", bound=Callable[..., Any])
PREPARATIONS: Registry[Callable[..., Any]] = Registry("preparation")


def preparation(name: str) -> Callable[[F], F]:
    """Register a function `(network, of, initial_of, rng, seed, recipe, **options)`; it takes what it needs, and changes `network`.

    network: `network.model`, its weights to be changed in place (without gradients: `torch.no_grad`), `network.hold(name,
    mask)`, by which entries keep the value that they have now, and `network.prune(name, keep)`. of: a function `(shift=0)`
    that gives the trained network of `recipe.of` at this seed (plus shift); initial_of: the same before its training.
    """

    def register(function: F) -> F:
        PREPARATIONS.add(name, function)
        return function

    return register


def prepared_network(recipe: Recipe, seed: int, trained: Trained) -> Network:
    """The network of a recipe at a seed as training begins with it."""
    network = initial_network(recipe, seed)

    def source() -> Recipe:
        if recipe.of is None:
            raise DeclarationError(f"recipe {recipe.name}: its preparations read another run; name its recipe with of=")
        return recipe.of

    given: dict[str, Any] = {
        "of": lambda shift=0: trained(source(), seed + shift),
        "initial_of": lambda shift=0: prepared_network(source(), seed + shift, trained).model,
        "seed": seed,
        "recipe": recipe,
    }
    for number, entry in enumerate(recipe.prepare):
        name, options = name_and_options(entry)
        function = PREPARATIONS[name]
        known = inspect.signature(function).parameters
        given["rng"] = random_stream(seed, _PREPARE, number)
        extra = {key: value for key, value in given.items() if key in known} | options
        call(f"preparation {name}", function, network, **extra)
    return network


@preparation("weights")
def _weights(network: Network, of: Callable[..., Any], shift: int = 0) -> None:
    """Begin with the trained weights of the other recipe (fine-tuning); `shift` takes another seed's."""
    _copy(network, of(shift))


@preparation("initial weights")
def _initial_weights(network: Network, initial_of: Callable[..., Any], shift: int = 0) -> None:
    """Begin where the other recipe began."""
    _copy(network, initial_of(shift))


def _copy(network: Network, source: Any) -> None:
    own, other = network.model.state_dict(), source.state_dict()
    wrong = [name for name, value in own.items() if name not in other or other[name].shape != value.shape]
    if wrong:
        raise DeclarationError(f"weights of another recipe do not fit: {', '.join(wrong[:3])} differ in shape or are missing")
    network.model.load_state_dict({name: other[name] for name in own})
