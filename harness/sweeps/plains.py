"""The plain run of a sweep, one layer at a time: what enters each layer, and the values that variants are given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ..interventions.attention import Plan
from ..interventions.changes import At, Change, Source
from ..interventions.heads import donors
from ..interventions.padding import Batch
from ..interventions.removing import _key
from ..interventions.sites import Site

if TYPE_CHECKING:
    import torch

    from ..subjects.lm import LM
    from .split import Split
    from .variants import Variant
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

OWN = "own"


class Plains:
    """Plain runs on the sweep's ids and on those that variants take values from, one layer at a time.

    Memory does not grow with the number of layers, but for variants that span several of them.

    Args:
        variants: whose sources tell what must be kept.
        batch: of the sweep, compact.
        heads: layers whose head outputs are kept, so that passes can begin behind them.
    """

    def __init__(self, lm: LM, split: Split, variants: Iterable[Variant], batch: Batch, heads: Iterable[int]) -> None:
        self.lm, self.split, self.batch = lm, split, batch
        self.ids: dict[str, torch.Tensor] = {OWN: batch.ids}
        self.needed: dict[tuple[str, int], set[str]] = {}  # run and layer -> kinds
        early: dict[tuple[str, int], set[str]] = {}  # the same, of variants that begin in an earlier layer
        for variant in variants:
            for (kind, layer), changes in variant.by_place.items():
                for change, _ in changes:
                    if change.source is not None:
                        into = self.needed if layer + (kind == "post") <= variant.start else early
                        into.setdefault((self._run_of(change.source), layer), set()).add(kind)
        for layer in heads:
            self.needed.setdefault((OWN, layer), set()).add("z")
        self.values: dict[tuple[str, str, int], torch.Tensor] = {}
        self.reduced: dict[tuple[str, Site, str], torch.Tensor] = {}
        if early:
            for _ in self._walk(early, max(layer for _, layer in early) + 1, forget=False):
                pass
        self.kept = frozenset(self.values)

    def walk(self, end: int) -> Iterator[tuple[int, torch.Tensor]]:
        """Layers up to `end` with the stream [n, seq, width] that enters each; the number of layers: what leaves the last."""
        yield from self._walk(self.needed, end, forget=True)

    def given(self, change: Change, rows: slice) -> dict[Site, torch.Tensor]:
        """What a change's source holds at its sites in some rows, [rows or 1, seq or 1, ...]."""
        source = change.source
        if source is None:
            return {}
        key = self._run_of(source)
        return {site: self._of(source, key, change.at_kind or site.kind, site, rows) for site in change.sites}

    # ---- inside

    def _walk(self, needed: dict[tuple[str, int], set[str]], end: int, forget: bool) -> Iterator[tuple[int, torch.Tensor]]:
        streams: dict[str, torch.Tensor] = {}
        for layer in range(min(end, len(self.split.layers) - 1) + 1):
            nexts: dict[str, torch.Tensor] = {}
            for key in self.ids:
                taken, nexts[key] = self._step(key, layer, streams.get(key), needed.get((key, layer), set()))
                streams[key] = taken
            yield layer, streams[OWN]
            streams = nexts
            if forget:
                for stale in [one for one in self.values if one[2] < layer and one not in self.kept]:
                    del self.values[stale]
        if end == len(self.split.layers):
            yield end, streams[OWN]

    def _step(self, key: str, layer: int, stream: torch.Tensor | None, kinds: set[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """What a layer takes and gives in one of the runs; values of these kinds are kept."""
        ids = self.ids[key]
        found: dict[str, list[torch.Tensor]] = {}

        def keep(kind: str, _: int, values: torch.Tensor) -> torch.Tensor:
            found.setdefault(kind, []).append(values.clone())
            return values

        inner = kinds - {"pre", "post"}
        ends: list[tuple[torch.Tensor, torch.Tensor]] = []
        for rows in self.lm._slices(ids):
            plan = Plan(alter=keep, wanted=frozenset((kind, layer) for kind in inner))
            ends.append(self.split.step(ids[rows], plan, layer, None if stream is None else stream[rows]))
            self.lm.recorder.forward_passes += len(ids[rows])
        taken, given = torch.cat([one for one, _ in ends]), torch.cat([one for _, one in ends])
        for kind in kinds:
            parts = {"pre": [taken], "post": [given]}.get(kind) or found[kind]
            self.values[key, kind, layer] = torch.cat(parts)
        return taken, given

    def _of(self, source: Source, key: str, kind: str, site: Site, rows: slice) -> torch.Tensor:
        values = self.values[key, kind, site.layer]
        if source.mode in ("mean", "position mean"):
            return self._mean(source, key, site, values)
        members = site.members(self.lm.size)
        if source.mode == "resample":
            order = torch.from_numpy(donors(self.batch.lengths.tolist(), source.seed)).to(values.device)
            values = values[order[rows]]
        elif len(values) > 1:
            values = values[rows]
        return values if members is None else values[:, :, list(members)]

    def _mean(self, source: Source, key: str, site: Site, values: torch.Tensor) -> torch.Tensor:
        """Over rows and positions, or over rows, of those that the site names; summed in float64 where there is one."""
        known = (key, replace(site, index=None, by=""), source.mode)
        if known not in self.reduced:
            wide = values if values.device.type == "mps" else values.double()
            over = (0, 1) if source.mode == "mean" else (0,)
            ids, ends = self.ids[key], self.batch.ends if key == OWN else None
            mask = At(ids, slice(0, len(ids)), self.lm.known_tokens, ends=ends).mask(site.where)
            if mask is None:
                mean = wide.mean(over, keepdim=True)
            else:
                mask = mask.reshape(*mask.shape, *(1,) * (wide.dim() - 2)).to(wide)
                mean = (wide * mask).sum(over, keepdim=True) / mask.sum(over, keepdim=True).clamp_min(1)
            self.reduced[known] = mean.to(values.dtype)
        members = site.members(self.lm.size)
        found = self.reduced[known]
        return found if members is None else found[:, :, list(members)]

    def _run_of(self, source: Source) -> str:
        if source.ids is None:
            return OWN
        ids = Batch.of(source.ids).ids.to(self.ids[OWN].device)
        key = _key(ids)
        self.ids.setdefault(key, ids)
        return key
