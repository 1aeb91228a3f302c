"""Inside one attention block: queries, keys and values before, scores in between, and the pattern after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import InvalidMeasurement, NotApplicable

if TYPE_CHECKING:
    import torch

    from .attention import Plan
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")


def through_parts(
    plan: Plan,
    layer: int,
    function: Callable[..., tuple[Any, Any]],
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    *args: Any,
    **kwargs: Any,
) -> tuple[torch.Tensor, Any]:
    """The attention function of a layer, with what the plan changes on the way. query: [rows, heads, seq, head_dim].

    Where keys or values are changed, each query head gets its own copy of those of its group, so that a change can be
    meant for one query head alone. A cache holds them as they were.
    """
    groups = query.shape[1] // key.shape[1]
    query = _turned(plan, "q", layer, query)
    if groups > 1 and ({("k", layer), ("v", layer)} & plan.wanted):
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    key, value = _turned(plan, "k", layer, key), _turned(plan, "v", layer, value)
    if ("scores", layer) in plan.wanted:
        mask = _scores(plan, layer, mask, query, key)
    with _groups(module, query.shape[1] // key.shape[1]):
        outputs, weights = function(module, query, key, value, mask, *args, **kwargs)
    if ("pattern", layer) in plan.wanted:
        if weights is None:
            raise NotApplicable(f"layer {layer} hands over no attention pattern, so none can be changed")
        weights = _turned(plan, "pattern", layer, weights)
        each = weights.shape[1] // value.shape[1]
        outputs = torch.matmul(weights, value.repeat_interleave(each, 1)).transpose(1, 2)
    return outputs, weights


def _turned(plan: Plan, kind: str, layer: int, values: torch.Tensor) -> torch.Tensor:
    """Changes with positions on the second axis and heads on the third, as everywhere else."""
    if (kind, layer) not in plan.wanted:
        return values
    return plan.altered(kind, layer, values.transpose(1, 2)).transpose(1, 2)


def _scores(plan: Plan, layer: int, mask: torch.Tensor | None, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """The attention mask, which is added to the scores, as the plan wants it; no query may be left without a key."""
    if mask is None or not mask.is_floating_point() or mask.shape[-1] < key.shape[2]:
        raise NotApplicable(f"layer {layer} gets no mask that is added to its scores, so no edge can be cut there")
    mask = mask[..., : key.shape[2]]
    whole = mask.expand(query.shape[0], query.shape[1], query.shape[2], key.shape[2])
    changed = _turned(plan, "scores", layer, whole)
    least = torch.finfo(mask.dtype).min / 2
    if bool(((whole > least).any(-1) & ~((changed > least) | changed.isnan()).any(-1)).any()):
        raise InvalidMeasurement(f"all edges of a query in layer {layer} were cut: it has nothing left to attend to")
    return changed


@contextmanager
def _groups(module: Any, groups: int) -> Iterator[None]:
    """The attention function repeats keys and values this many times inside."""
    before = getattr(module, "num_key_value_groups", None)
    if before is None or before == groups:
        yield
        return
    module.num_key_value_groups = groups
    try:
        yield
    finally:
        module.num_key_value_groups = before
