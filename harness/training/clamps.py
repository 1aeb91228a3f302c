"""Clamps in training: named functions that hold a part of the network in every pass, gradients flowing around it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..errors import DeclarationError, InvalidMeasurement
from .recipe import Recipe
from .registry import Registry, call, name_and_options

if TYPE_CHECKING:
    from ..subjects.lm import LM

F = TypeVar("F", bound=Callable[..., Any])
CLAMPS: Registry[Callable[..., Any]] = Registry("clamp")
_KEPT_AS = "_claimbench_lm"


def clamp(name: str) -> Callable[[F], F]:
    """Register a clamp `(lm or model, batch, seed, **options)` under a name that recipes use.

    The first parameter says for which networks it is. `lm`: a transformers model on token rows; give back the view that is
    to hold (`lm.replaced("L0.H0.pattern", ...)`). `model`: any module; give back a context manager inside which its passes
    are clamped (see `output_replaced`). `batch` and `seed` may be left out; without `batch` the clamp is made once a stage.
    """

    def register(function: F) -> F:
        first = next(iter(inspect.signature(function).parameters), "")
        if first not in ("lm", "model"):
            raise DeclarationError(f'clamp "{name}": its first parameter must be lm or model, found {first or "none"}')
        CLAMPS.add(name, function)
        return function

    return register


def lm_of(model: Any) -> LM:
    """A transformers model as a subject of interventions and measures, all its ids usable as tokens."""
    from ..subjects.lm import LM
    from ..subjects.tokens import Tokens

    training = model.training
    if _KEPT_AS not in vars(model):  # kept there, so that both are freed together
        tokens = Tokens(frequent=np.arange(model.config.vocab_size), natural=None, bos=None, separator=None)
        vars(model)[_KEPT_AS] = LM(model, tokens=tokens, name="the network in training", evidence="organism")
        model.train(training)
    found: LM = vars(model)[_KEPT_AS]
    return found


@contextmanager
def output_replaced(module: Any, change: Callable[[Any], Any]) -> Iterator[None]:
    """Passes of a torch module inside give `change(output)`; gradients flow through what change keeps of it."""
    handle = module.register_forward_hook(lambda _, __, output: change(output))
    try:
        yield
    finally:
        handle.remove()


class Clamps:
    """The clamps of a recipe on its network. Inside `around(batch)` they hold.

    Clamps that do not look at the batch stay in force from one batch to the next, until `let_go`, since to put them in force
    costs a pass or two.
    """

    def __init__(self, recipe: Recipe, model: Any, seed: int) -> None:
        self.recipe, self.model, self.seed = recipe, model, seed
        entries = [name_and_options(entry) for entry in recipe.clamps]
        self.entries = [(name, CLAMPS[name], options) for name, options in entries]
        self.by_batch = any("batch" in inspect.signature(function).parameters for _, function, _ in self.entries)
        self._staying = ExitStack()
        self._stays = False

    def around(self, batch: Any) -> AbstractContextManager[None]:
        """A context of the passes of one batch."""
        if self.by_batch:
            return self._hold(batch)
        if self.entries and not self._stays:
            self._stays = True
            self._staying.enter_context(self._hold(batch))
        return nullcontext()

    def let_go(self) -> None:
        """No clamp holds any more."""
        self._stays = False
        self._staying.close()

    @contextmanager
    def _hold(self, batch: Any) -> Iterator[None]:
        passes: list[int] = []
        with ExitStack() as stack:
            view = None
            for name, function, options in self.entries:
                known = inspect.signature(function).parameters
                given = {"batch": batch, "seed": self.seed}
                extra = {key: value for key, value in given.items() if key in known} | options
                if "lm" in known:
                    view = call(f"clamp {name}", function, self._lm() if view is None else view, **extra)
                else:
                    stack.enter_context(call(f"clamp {name}", function, self.model, **extra))
            if view is not None:
                view.recorder.reset()
                stack.enter_context(view.held())
            handle = self.model.register_forward_hook(lambda *_: passes.append(1))
            stack.callback(handle.remove)
            yield
        if not passes:
            raise InvalidMeasurement(
                f"recipe {self.recipe.name}: no pass went through the network as a whole, so its clamps did not hold: "
                "let the task's loss call model(...)"
            )

    def _lm(self) -> LM:
        if not hasattr(self.model, "config"):
            raise DeclarationError(
                f"recipe {self.recipe.name}: clamps of an lm need a transformers model; its network is a "
                f"{type(self.model).__name__}: write a clamp whose first parameter is model"
            )
        return lm_of(self.model)
