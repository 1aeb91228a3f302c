"""Data streams: named functions that draw batches of token rows, with marks that say what is to be predicted where."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from .registry import Registry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ids = NDArray[np.int64]
    Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Batch:
    """Token rows and the places whose token is predicted from everything before it.

    ids: int64 [n, t]. targets: bool [n, t], the places that count in the training loss (never place 0).
    marks: name -> bool [n, t], places of one kind; every mark gets a loss and an accuracy of its own in the curve.
    """

    ids: Ids
    targets: Mask
    marks: Mapping[str, Mask] = field(default_factory=dict)


Draw = Callable[..., Batch]
F = TypeVar("F", bound=Callable[..., Batch])


@dataclass(frozen=True)
class Stream:
    """batch(rng, n, **options) for training, probe(rng, n, **options) for evaluation (the same unless it says otherwise)."""

    name: str
    batch: Draw
    probe: Draw


_STREAMS: Registry[Stream] = Registry("data stream")


def data_stream(name: str, probe: Draw | None = None) -> Callable[[F], F]:
    """Register a function `(rng, n, **options) -> Batch` under a name that recipes use."""

    def register(function: F) -> F:
        _STREAMS.add(name, Stream(name, function, probe or function), function)
        return function

    return register


def stream(name: str) -> Stream:
    """The registered stream; DeclarationError names the nearest one."""
    return _STREAMS[name]


def stream_source(name: str) -> str:
    """The source text of the function that draws a stream's batches."""
    return _STREAMS.source(name)


def streams() -> dict[str, Stream]:
    """All registered streams by name."""
    return {name: _STREAMS[name] for name in _STREAMS}


Options = Mapping[str, Any]
