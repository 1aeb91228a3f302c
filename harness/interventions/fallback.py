"""For families outside transformers' attention interface: pre-hooks on the output projections of attention blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from .attention import Plan, active, current, visit

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")


def find(model: Any, heads: int, probe: torch.Tensor) -> tuple[list[Any], list[Any]]:
    """The attention blocks and their output projections, in the order in which a forward pass reaches them.

    A block is an innermost module whose class speaks of attention. Its output projection is the last linear map that it
    calls, if what comes in divides into the heads. Whether head outputs lie there in the order of the heads is for
    the layout check to say.
    """
    blocks = [module for module in model.modules() if _is_attention(module) and _innermost(module)]
    last: dict[int, tuple[Any, Any, int]] = {}
    with ExitStack() as stack:
        for block in blocks:
            for part in _linear_maps(block):
                stack.callback(part.register_forward_pre_hook(_note(block, last)).remove)
        with torch.no_grad(), active(None):
            model(input_ids=probe, use_cache=False)
    found = [(block, part) for block, part, width in last.values() if width and width % heads == 0]
    return [block for block, _ in found], [part for _, part in found]


def _linear_maps(module: Any) -> Iterator[Any]:
    """The outermost parts with a matrix of weights: an adapter's low-rank maps lie inside the one that they adapt."""
    for part in module.children():
        weight = getattr(part, "weight", None)
        if isinstance(weight, torch.Tensor) and weight.dim() == 2:
            yield part
        else:
            yield from _linear_maps(part)


def _is_attention(module: Any) -> bool:
    return "attention" in type(module).__name__.lower()


def _innermost(module: Any) -> bool:
    return not any(_is_attention(part) for part in module.modules() if part is not module)


def _note(block: Any, last: dict[int, tuple[Any, Any, int]]) -> Callable[[Any, tuple[Any, ...]], None]:
    def note(part: Any, inputs: tuple[Any, ...]) -> None:
        width = inputs[0].shape[-1] if inputs and inputs[0].dim() == 3 else 0
        last[id(block)] = (block, part, width)

    return note


@contextmanager
def hooked(projections: list[Any], plan: Plan, heads: int) -> Iterator[None]:
    """The plan sees what enters each projection, as head outputs; hooks are gone afterwards, also after an error."""
    with ExitStack() as stack:
        for layer, projection in enumerate(projections):
            stack.callback(projection.register_forward_pre_hook(_hook(plan, layer, heads)).remove)
        yield


def _hook(plan: Plan, layer: int, heads: int) -> Callable[[Any, tuple[Any, ...]], tuple[Any, ...] | None]:
    def hook(_: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        found = current()
        if found is None or found.plan is not plan:  # a plain pass inside ours, or another plan attached further in
            return None
        joined = inputs[0]
        outputs = visit(plan, layer, joined.unflatten(-1, (heads, -1)))
        return (outputs.flatten(-2), *inputs[1:])

    return hook
