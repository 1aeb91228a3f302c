"""Networks written as a function of their weights: shapes and a forward function make a torch module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")


def functional(shapes: Mapping[str, tuple[int, ...]], forward: Callable[..., Any]) -> Any:
    """A torch module with a parameter of each shape, whose forward is `forward(weights, *inputs)`.

    weights: the parameters as attributes (`weights.q`) of the module itself. Names hold no dot.
    """
    return _class()(dict(shapes), forward)


@cache
def _class() -> Any:
    class Functional(torch.nn.Module):  # made at first use: torch is not imported before
        def __init__(self, shapes: dict[str, tuple[int, ...]], function: Callable[..., Any]) -> None:
            super().__init__()
            for name, shape in shapes.items():
                self.register_parameter(name, torch.nn.Parameter(torch.zeros(shape)))
            self.function = function

        def forward(self, *inputs: Any, **options: Any) -> Any:
            return self.function(self, *inputs, **options)

    return Functional
