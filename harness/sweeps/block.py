"""Several variants in one batch, each in its own rows: what they write, and what is seen of it for their receipts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..interventions.attention import Plan
from ..interventions.changes import At, Change
from ..interventions.changing import write
from ..interventions.padding import Batch
from ..interventions.sites import Site

if TYPE_CHECKING:
    import torch

    from ..subjects.lm import LM
    from .plains import Plains
    from .variants import Variant
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")


@dataclass
class Seen:
    """What was seen of one variant: by number of its change, rows written and movement in the first row."""

    fired: Counter[int] = field(default_factory=Counter)
    moved: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))
    extent: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))
    moved_logits: float = 0.0
    still: bool = True


class Block:
    """`variants` on `rows` of a compact batch: rows of a pass are those of the first variant, then of the second, ...

    first: the position at which the pass begins; keys and values are always those of all positions.
    """

    def __init__(
        self, lm: LM, variants: Sequence[Variant], seen: Sequence[Seen], batch: Batch, rows: slice, plains: Plains, first: int = 0
    ) -> None:
        self.lm, self.variants, self.seen, self.plains, self.rows = lm, variants, seen, plains, rows
        self.batch, self.first = batch[rows], first

    def entering(self, layer: int, stream: torch.Tensor) -> torch.Tensor:
        """What enters the first layer, with what variants change behind the layer before it and before it."""
        return self.alter("pre", layer, self.alter("post", layer - 1, stream))

    def plan(self, start: int, inside: bool) -> Plan:
        """What variants change in the rest of a pass that begins at a layer."""
        places = {place for variant in self.variants for place in variant.by_place}
        done = {("pre", start), ("z", start)} if inside else {("pre", start)}
        return Plan(alter=self.alter, wanted=frozenset((kind, layer) for kind, layer in places - done if layer >= start))

    def alter(self, kind: str, layer: int, values: torch.Tensor) -> torch.Tensor:
        """Values [variants * rows, ...] of a kind at a layer, each variant's as it wants them."""
        if not any((kind, layer) in variant.by_place for variant in self.variants):
            return values
        changed, size = values.clone(), len(self.batch)
        for number, variant in enumerate(self.variants):
            for change, site in variant.by_place.get((kind, layer), ()):
                here = changed[number * size : (number + 1) * size]
                here.copy_(self._written(variant, self.seen[number], change, site, here))
        return changed

    def _written(self, variant: Variant, seen: Seen, change: Change, site: Site, values: torch.Tensor) -> torch.Tensor:
        given, ids, first = self.plains.given(change, self.rows), self.batch.ids, self.first
        if first and (change.at_kind or site.kind) not in ("k", "v"):
            given = {site: part if part.shape[1] == 1 else part[:, first:] for site, part in given.items()}
            at = At(ids[:, first:], self.rows, self.lm.known_tokens, first, given=given, past=ids)
        else:
            at = At(ids, self.rows, self.lm.known_tokens, given=given, ends=self.batch.ends)
        after, _, _, mask = write(change, site, values, at, self.lm.size)
        number = variant.changes.index(change)
        seen.fired[number] += len(values) if mask is None else int(mask.any(-1).sum())
        if self.rows.start == 0:
            was, now = values[0].float(), after[0].float()
            if change.at_kind == "scores":  # an edge is cut or not
                was, now = torch.zeros(()), (now != was).any().float()
            seen.moved[number] = max(seen.moved[number], float((now - was).abs().max()))
            seen.extent[number] = max(seen.extent[number], float(torch.maximum(was.abs(), now.abs()).max()))
        return after
