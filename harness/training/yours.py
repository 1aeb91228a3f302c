"""A user's own network, optimiser or data in a recipe, in place of the recipe's (`--recipe module:function`)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DeclarationError
from .networks import NETWORKS, Builder
from .optimisers import OPTIMISERS
from .recipe import Recipe
from .streams import _STREAMS, Batch, Stream
from .tasks import _TASKS, Task, task_named, task_source

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

#: By the first parameter of a user's function: what it gives. Anything else gives a network.
FIRST = {"parameters": "optimiser", "rng": "data"}


@dataclass(frozen=True)
class Yours:
    """A user's function. Which kind it is its first parameter says; of the other arguments it takes those that it names.

    A network: `(seed, **values of the recipe's own)` gives a torch.nn.Module, whose initial weights stay as they are. An
    optimiser: `(parameters, lr, betas, beta1, beta2, weight_decay)` gives a torch.optim.Optimizer. Data: `(rng, n, seed,
    **options of the recipe's own)` gives batches as the recipe's own task does.
    """

    name: str
    function: Callable[..., Any]

    @property
    def kind(self) -> str:
        """ "network", "optimiser" or "data"."""
        return FIRST.get(next(iter(inspect.signature(self.function).parameters), ""), "network")

    def in_place(self, recipe: Recipe) -> Recipe:
        """The recipe with the user's part; it may diverge, which is a result here."""
        register = {"network": self._network, "optimiser": self._optimiser, "data": self._data}[self.kind]
        of = None if recipe.of is None else self.in_place(recipe.of)
        return replace(register(recipe), name=f"{recipe.name} with {self.name}", may_diverge=True, of=of)

    def optimiser(self, parameters: list[Any], lr: float, betas: tuple[float, float], weight_decay: float = 0.0) -> Any:
        """The user's optimiser over these parameters; `group["share"]` is its own rate as a share of `lr`."""
        given = {"lr": lr, "betas": betas, "beta1": betas[0], "beta2": betas[1], "weight_decay": weight_decay}
        found = self._called(parameters, **given)
        if not isinstance(found, torch.optim.Optimizer):
            raise DeclarationError(f"{self.name} gave a {type(found).__name__}; it must return a torch.optim.Optimizer")
        for group in found.param_groups:
            if "lr" not in group:
                raise DeclarationError(
                    f'{self.name} gave an optimiser without "lr" in its parameter groups, so it has no rate to set'
                )
            group["share"] = float(group["lr"]) / lr if lr else 1.0
        return found

    def takes(self, name: str) -> bool:
        """Whether the function takes an argument of this name."""
        parameters = inspect.signature(self.function).parameters
        return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())

    def _called(self, *first: Any, **given: Any) -> Any:
        return self.function(*first, **{name: value for name, value in given.items() if self.takes(name)})

    def _network(self, recipe: Recipe) -> Recipe:
        def build(**values: Any) -> Any:
            made = self._called(**{"seed": 0, **values})
            if isinstance(made, torch.nn.Module):
                vars(made)["made_again"] = lambda seed: self._called(**{"seed": seed, **values})
            return made

        def initial(model: Any, rng: np.random.Generator) -> None:
            seed = int(rng.integers(2**31))
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                model.load_state_dict(vars(model)["made_again"](seed).state_dict())

        NETWORKS.add(self.name, Builder(build, initial), self.function)
        model = {**recipe.model, "class": self.name}
        return replace(recipe, model=model, zero=(), frozen=(), scale={}, live_heads={})  # these name parts of its own network

    def _optimiser(self, recipe: Recipe) -> Recipe:
        def make(parameters: list[Any], recipe: Recipe) -> Any:
            return self.optimiser(parameters, recipe.lr, recipe.betas, recipe.weight_decay)

        OPTIMISERS.add(self.name, (make, False), self.function)
        return replace(recipe, optimiser=self.name, optimiser_options={})

    def _data(self, recipe: Recipe) -> Recipe:
        stages = tuple(stage if stage.data is None else replace(stage, data=self._task(stage.data)) for stage in recipe.stages)
        return replace(recipe, data=self._task(recipe.data), stages=stages)

    def _task(self, data: str) -> str:
        """Register the task that draws the user's batches and has the loss and metrics of `data`; its name."""
        own, name = task_named(data), f"{self.name} for {data}"

        def batch(rng: np.random.Generator, n: int, seed: int = 0, **options: Any) -> Any:
            found = self._called(rng, n=n, seed=seed, **options)
            expected = own.batch(np.random.default_rng(0), 1, seed=seed, **options)
            if isinstance(expected, Batch):
                if not isinstance(found, Batch):
                    raise DeclarationError(f"{self.name} gave a {type(found).__name__}; {data} gives Batch(ids, targets)")
            elif not isinstance(found, Mapping) or set(expected) - set(found):
                raise DeclarationError(
                    f"{self.name} must give {', '.join(expected)} by name, as {data} does; found {_names(found)}"
                )
            return found

        source = f"{task_source(data)} {inspect.getsource(self.function)}"
        if own.tokens:
            _STREAMS.add(name, Stream(name, batch, batch), source)
        else:
            _TASKS.add(name, Task(name, batch, own.loss, own.metrics, batch), source)
        return name


def _names(found: Any) -> str:
    return ", ".join(map(str, found)) if isinstance(found, Mapping) else f"a {type(found).__name__}"
