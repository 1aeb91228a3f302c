"""One function of ours between q, k, v and the output projection of every layer, through transformers' interface.

It is registered under one name for each implementation that it delegates to (`claimbench_sdpa`, `claimbench_eager`),
and is the model's own function until a plan is in force. The plan lives in a context variable for the duration of a
forward pass: nothing is kept between passes, models or threads.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .parts import through_parts

if TYPE_CHECKING:
    import torch

PREFIX = "claimbench_"


@dataclass
class Plan:
    """What one forward pass does at each attention layer.

    edit: (layer, head outputs [rows, seq, heads, head_dim]) -> such outputs; before the output projection.
    read: (layer, pattern [rows, heads, seq, seq]) of the query heads, after the softmax.
    alter: (kind, layer, values) -> values, at the pairs of kind and layer that `wanted` names; see `sites`. Head
        outputs pass through `edit` first. Shapes: z, q, k, v [rows, seq, heads, head_dim], pattern and scores
        [rows, queries, heads, keys], the others [rows, seq, width].
    rows: how many there are in the pass, for families that join rows and positions.
    """

    edit: Callable[[int, torch.Tensor], torch.Tensor] | None = None
    read: Callable[[int, torch.Tensor], None] | None = None
    alter: Callable[[str, int, torch.Tensor], torch.Tensor] | None = None
    wanted: frozenset[tuple[str, int]] = frozenset()
    rows: int = 1
    needs_eager: bool = False
    reached: Counter[int] = field(default_factory=Counter)
    """How often each layer was reached."""

    @property
    def eager(self) -> bool:
        """Whether attention weights are needed, which only eager functions have."""
        return self.needs_eager or self.read is not None or any(kind in ("pattern", "scores") for kind, _ in self.wanted)

    def altered(self, kind: str, layer: int, values: torch.Tensor) -> torch.Tensor:
        """Values of a kind at a layer after the plan changed them."""
        return values if self.alter is None or (kind, layer) not in self.wanted else self.alter(kind, layer, values)


@dataclass
class Active:
    """The plan in force, and the layer of each attention module (by id) that it speaks of; other modules run plainly.

    With `met`, modules are only noted, in the order in which they are reached: so an instrument finds its sites.
    """

    plan: Plan
    layers: Mapping[int, int] = field(default_factory=dict)
    met: list[Any] | None = None


class NeedsEager(Exception):
    """Raised during the search for sites when the family computes something that SDPA lacks (soft cap, sink logits)."""


_ACTIVE: ContextVar[Active | None] = ContextVar("claimbench_plan", default=None)


@contextmanager
def active(found: Active | None) -> Iterator[None]:
    """The plan is in force inside (None: every pass is plain); what was in force before comes back, also on errors."""
    token = _ACTIVE.set(found)
    try:
        yield
    finally:
        _ACTIVE.reset(token)


def current() -> Active | None:
    """The plan in force."""
    return _ACTIVE.get()


def registered(implementation: str) -> str:
    """Our name for an attention implementation ("sdpa", "eager", ...), known to transformers from now on."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    name = PREFIX + implementation
    if name not in ALL_ATTENTION_FUNCTIONS:
        AttentionInterface.register(name, _instrumented(implementation))
    if name not in ALL_MASK_ATTENTION_FUNCTIONS and implementation in ALL_MASK_ATTENTION_FUNCTIONS:
        AttentionMaskInterface.register(name, ALL_MASK_ATTENTION_FUNCTIONS[implementation])
    return name


def _instrumented(implementation: str) -> Callable[..., tuple[Any, Any]]:
    def attention(module: Any, query: Any, key: Any, value: Any, attention_mask: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        found = _ACTIVE.get()
        if found is not None and found.met is not None:
            if implementation == "sdpa" and _beyond_sdpa(module, kwargs):
                raise NeedsEager
            found.met.append(module)
        function = own_function(module, implementation)
        if found is None or id(module) not in found.layers:
            return function(module, query, key, value, attention_mask, *args, **kwargs)
        plan, layer = found.plan, found.layers[id(module)]
        if plan.alter is None:
            outputs, weights = function(module, query, key, value, attention_mask, *args, **kwargs)
        else:
            outputs, weights = through_parts(plan, layer, function, module, query, key, value, attention_mask, *args, **kwargs)
        return visit(plan, layer, outputs, weights), weights

    return attention


def visit(plan: Plan, layer: int, outputs: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
    """Let the plan see and change the head outputs of a layer."""
    plan.reached[layer] += 1
    if plan.read is not None and weights is not None:
        plan.read(layer, weights)
    return plan.altered("z", layer, outputs if plan.edit is None else plan.edit(layer, outputs))


def own_function(module: Any, implementation: str) -> Callable[..., tuple[Any, Any]]:
    """What the attention module would have called: its family's own eager function, or the interface's entry.

    A family may override an entry for itself, so its own table is asked first.
    """
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    families = [sys.modules[base.__module__] for base in type(module).__mro__]
    if implementation == "eager":
        for family in families:
            if hasattr(family, "eager_attention_forward"):
                found: Callable[..., tuple[Any, Any]] = family.eager_attention_forward
                return found
    table: Any = getattr(families[0], "ALL_ATTENTION_FUNCTIONS", ALL_ATTENTION_FUNCTIONS)
    entry: Callable[..., tuple[Any, Any]] = table[implementation]
    return entry


def _beyond_sdpa(module: Any, kwargs: Mapping[str, Any]) -> bool:
    return any(kwargs.get(name) is not None for name in ("softcap", "s_aux")) or hasattr(module, "sinks")
