"""Tasks: where a recipe's batches come from, what its loss is, and what is recorded of it. Token streams are the default task."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import DeclarationError
from .registry import Registry
from .streams import Batch, stream, stream_source, streams
from .tokens import token_loss, token_metrics

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

#: A batch as a task draws it: arrays and plain values by name, or token rows.
Drawn = Mapping[str, Any] | Batch
C = TypeVar("C", bound=type)


@dataclass(frozen=True)
class Task:
    """batch(rng, n, seed=..., **options), loss(model, batch) and metrics(model, batch); probe draws what is evaluated on.

    In loss and metrics the arrays of a batch are tensors (floats float32, integers int64).
    """

    name: str
    batch: Callable[..., Drawn]
    loss: Callable[[Any, Any], torch.Tensor]
    metrics: Callable[[Any, Any], Mapping[str, Any]]
    probe: Callable[..., Drawn]
    tokens: bool = False
    """Whether it is a token stream, for which the models of transformers have a shorter way to the loss."""


_TASKS: Registry[Task] = Registry("data stream or task")


def task(name: str) -> Callable[[C], C]:
    """Register a class as a task: it has functions (no self) `batch` and `loss`, and may have `metrics` and `probe`.

        @task("regression")
        class Regression:
            def batch(rng, n, seed=0, dimensions=5): ...     # mapping of numpy arrays, n rows
            def loss(model, batch): ...                      # scalar tensor, differentiable
            def metrics(model, batch): ...                   # name -> number; "loss" is added; default: the loss alone
            def probe(rng, n, seed=0, dimensions=5): ...     # what is evaluated on; default: batch
    """

    def register(declared: C) -> C:
        missing = [part for part in ("batch", "loss") if not callable(getattr(declared, part, None))]
        if missing:
            raise DeclarationError(f'task "{name}" has no function {" and no ".join(missing)}')
        batch, loss = declared.batch, declared.loss  # type: ignore[attr-defined]
        metrics = getattr(declared, "metrics", None) or _no_metrics
        if name in streams():
            raise DeclarationError(f'a data stream is called "{name}" too: rename the task')
        _TASKS.add(name, Task(name, batch, loss, metrics, getattr(declared, "probe", None) or batch), declared)
        return declared

    return register


def task_named(name: str, whole: bool = False) -> Task:
    """The registered task, or the task of the token stream of that name; DeclarationError names the nearest.

    whole: token rows are evaluated in one pass, as clamps that know their rows need it.
    """
    if name in _TASKS:
        return _TASKS[name]
    if name in streams():
        found = stream(name)
        metrics = partial(token_metrics, rows=sys.maxsize) if whole else token_metrics
        return Task(name, found.batch, token_loss, metrics, found.probe, tokens=True)
    names = [*_TASKS, *streams()]
    near = get_close_matches(name, names, 1)
    hint = f'did you mean "{near[0]}"?' if near else f"known: {', '.join(sorted(names))}"
    raise DeclarationError(f'data stream or task "{name}" is unknown; {hint}')


def task_source(name: str) -> str:
    """The source text of a task or stream, to notice that it changed."""
    return _TASKS.source(name) if name in _TASKS else stream_source(name)


def as_tensors(drawn: Drawn) -> Any:
    """The batch with its arrays as tensors; token rows and plain values stay as they are."""
    if isinstance(drawn, Batch):
        return drawn
    return {name: _tensor(value) for name, value in drawn.items()}


def evaluated(found: Task, model: Any, batch: Any) -> dict[str, float]:
    """The metrics of a task as plain numbers, "loss" among them; eval mode and no gradients meanwhile."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            metrics = dict(found.metrics(model, batch))
            if "loss" not in metrics:
                metrics = {"loss": found.loss(model, batch), **metrics}
    finally:
        model.train(training)
    try:
        return {name: float(value) for name, value in metrics.items()}
    except (TypeError, ValueError, RuntimeError):
        raise DeclarationError(f'task "{found.name}": metrics must be numbers by name, found {metrics!r:.80}') from None


def _no_metrics(model: Any, batch: Any) -> Mapping[str, Any]:
    return {}


def _tensor(value: Any) -> Any:
    import numpy as np

    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.kind == "f":
        value = value.astype(np.float32, copy=False)
    elif value.dtype.kind in "iu":
        value = value.astype(np.int64, copy=False)
    return torch.from_numpy(np.ascontiguousarray(value))
