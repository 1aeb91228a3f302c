"""A sweep in parts of passes: where each begins, what it carries, what is read off it, and the receipts of every variant."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..errors import InvalidMeasurement
from ..interventions import proof
from ..interventions.attention import Plan
from ..interventions.identity import IDENTITY, difference
from ..interventions.instrument import plain_forward
from ..interventions.padding import Batch
from ..interventions.receipts import SAME, Receipt, check
from ..interventions.removing import still
from ..interventions.sites import Site
from .block import Block, Seen
from .levers import Levers
from .pace import Pace
from .plains import OWN, Plains
from .reading import Reading
from .split import Past, Split, Start
from .variants import Variant, first_position

if TYPE_CHECKING:
    import torch

    from ..subjects.lm import LM
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

#: Logits of one call of the head may take this many bytes; the C library maps anew whatever takes more than 32 MiB.
HEAD_BYTES = 30 * 2**20
#: Beyond this many tokens a pass only takes more memory and is no faster.
MOST_TOKENS = 4096
#: What variants may change in the last layer while it runs at some positions only.
TRIMMED = ("pre", "q", "k", "v", "pattern", "scores", "z")


class Resumed:
    """A sweep in parts of passes.

    After `sweep`, `plain` holds the measure without intervention, [n] or [n, m], and `values` the same of each variant;
    None where no logit moved and one should have.
    """

    def __init__(self, lm: LM, levers: Levers, split: Split, variants: Sequence[Variant], reading: Reading) -> None:
        self.lm, self.levers, self.split, self.variants = lm, levers, split, variants
        self.reading, self.batch, self.ids = reading, reading.batch, reading.batch.ids
        self.values: list[torch.Tensor | None] = [None] * len(variants)
        self.plain: torch.Tensor
        self.past: Past
        self.measured: torch.Tensor | None = None
        self.seen = [Seen() for _ in variants]
        kinds = sorted({kind for variant in variants for kind, _ in variant.by_place})
        for kind in kinds:
            proof.check_kind(lm.instrument, kind)
        self.first = self._first()
        self._wire()

    def sweep(self) -> int:
        """Run all variants; how many of them a pass took in the end."""
        groups: dict[tuple[int, bool, int], list[int]] = {}
        n, t = self.ids.shape
        for number, variant in enumerate(self.variants):
            inside = variant.inside and variant.start in self.levers.inside
            first = first_position(variant, t) if self.batch.length is None else 0
            first = first if first and self.levers.reuses else 0
            groups.setdefault((variant.start, inside, first), []).append(number)
        plains = Plains(self.lm, self.split, self.variants, self.batch, {start for start, inside, _ in groups if inside})
        if any(first for *_, first in groups):
            self.past = self._past()
        rows = max(1, min(MOST_TOKENS // t, self.lm.batch_size or MOST_TOKENS))
        pace = Pace(max(1, rows // n))
        for layer, stream in plains.walk(max(start for start, *_ in groups)):
            for key in sorted(key for key in groups if key[0] == layer):
                _, inside, first = key
                left = list(groups[key])
                while left:
                    size = pace.size(len(left)) if n <= rows else 1
                    now, left = left[:size], left[size:]
                    began = time.perf_counter()
                    for begin in range(0, n, rows):
                        self._pass(now, slice(begin, min(n, begin + rows)), plains, stream, key)
                    pace.took(size, (time.perf_counter() - began) / (size * self._work(layer, first)))
        self.plain = self._plain(layer, stream)
        for number in range(len(self.variants)):
            self._finish(number)
        return pace.chosen

    def _pass(self, now: list[int], rows: slice, plains: Plains, stream: torch.Tensor, key: tuple[int, bool, int]) -> None:
        """Some variants on some rows, in one batch; what they measure is kept in `measured`."""
        layer, inside, first = key
        block = Block(self.lm, [self.variants[at] for at in now], [self.seen[at] for at in now], self.batch, rows, plains, first)
        many = len(now)
        ids = self.ids[rows].repeat(many, 1)
        start = Start(layer, block.entering(layer, stream[rows, first:].repeat(many, *(1,) * (stream.dim() - 1))), position=first)
        if first:
            start.past = self.past.of(rows, many)
        if inside:
            outputs = plains.values[OWN, "z", layer][rows, first:]
            start.heads = block.alter("z", layer, outputs.repeat(many, 1, 1, 1))
        plan = block.plan(layer, inside)
        last = len(self.split.layers) - 1
        trims = not any(at == last and kind not in TRIMMED for kind, at in plan.wanted)
        hidden = self._body(ids, plan, start, rows, trims)
        self.lm.recorder.forward_passes += len(ids)
        self._read(now, hidden, rows)

    def _body(self, ids: torch.Tensor, plan: Plan, start: Start, rows: slice, trims: bool = True) -> torch.Tensor:
        """What the head takes at the positions that the measure reads."""
        if self.reading.same is not None and trims and self.levers.trims and start.past is None:
            return self.split.body(ids, plan, start, self.reading.same)
        return self.reading.pick(self.split.body(ids, plan, start), rows)

    def _read(self, now: list[int], hidden: torch.Tensor, rows: slice) -> None:
        """Logits of a part at a time, so that they take the memory of a few rows whatever the batch."""
        size = rows.stop - rows.start
        for begin, end, logits in heads_of(self.split, hidden, self.lm.vocab):
            at = begin
            while at < end:
                which, first = divmod(at, size)
                upto = min(end, (which + 1) * size)
                here = slice(rows.start + first, rows.start + first + upto - at)
                part = logits[at - begin : upto - begin]
                number = now[which]
                if here.start == 0:
                    self._moved(number, self.reading.cut(part[:1], 0))
                self._keep(number, here, self.reading.of(part, here))
                at = upto

    def _keep(self, number: int, rows: slice, read: torch.Tensor) -> None:
        """In one tensor [variants, n, ...]: small ones that stay would break up the memory that logits leave free."""
        if self.measured is None:
            self.measured = read.new_empty(len(self.variants), len(self.batch), *read.shape[1:])
        self.measured[number, rows] = read

    def _moved(self, number: int, logits: torch.Tensor) -> None:
        seen = self.seen[number]
        seen.moved_logits = float((logits - self.first).abs_().max())
        seen.still = seen.moved_logits <= self.small and still(self.first, logits, self.lm.instrument.model.dtype)

    def _plain(self, layer: int, stream: torch.Tensor) -> torch.Tensor:
        """The measure without intervention, by a pass that begins at a layer with what enters it."""
        n, t = self.ids.shape
        step = max(1, MOST_TOKENS // t)
        found = []
        for begin in range(0, n, step):
            rows = slice(begin, min(n, begin + step))
            hidden = self._body(self.ids[rows], Plan(), Start(layer, stream[rows]), rows)
            for first, end, logits in heads_of(self.split, hidden, self.lm.vocab):
                here = slice(begin + first, begin + end)
                found.append(self.reading.of(logits, here))
        self.lm.recorder.forward_passes += n
        return torch.cat(found)

    def _past(self) -> Past:
        """Keys and values of the plain run, a part of the rows at a time."""
        n, t = self.ids.shape
        step = max(1, MOST_TOKENS // t)
        parts = [self.split.past(self.ids[begin : begin + step]) for begin in range(0, n, step)]
        self.lm.recorder.forward_passes += n
        layers = range(len(self.split.layers))
        keys, values = ([torch.cat([getattr(part, name)[at] for part in parts]) for at in layers] for name in ("keys", "values"))
        return Past(keys, values, torch.cat([part.hidden for part in parts]))

    def _first(self) -> torch.Tensor:
        """Logits of the first row, compared with those of the model run as a whole."""
        one = slice(0, 1)
        first = self.reading.cut(self.split.head(self._body(self.ids[one], Plan(), Start(), one)), 0)
        whole = plain_forward(self.lm.model, self.ids[:1]).logits.float()
        whole = self.reading.cut(self.reading.pick(whole, one), 0)
        error, most = difference(whole, first), max(IDENTITY, 32 * torch.finfo(self.lm.dtype).eps)
        if not error <= most:
            raise InvalidMeasurement(f"{self.lm.name}: in parts the model gives logits that differ by {error:.2g} of their size")
        self.lm.recorder.forward_passes += 2
        self.small = most * float(first.abs().max())  # what moved further than this moved
        return first

    def _wire(self) -> None:
        sites = [(kind, site) for v in self.variants for (kind, _), made in v.by_place.items() for _, site in made]
        _, passes = proof.wired(self.lm.instrument, sites, self.lm.size, self.lm.some_token)
        self.lm.recorder.forward_passes += passes

    def _finish(self, number: int) -> None:
        """Receipts of one variant, and its value unless nothing moved that should have."""
        variant, seen = self.variants[number], self.seen[number]
        neutral = all(seen.moved[at] <= SAME * seen.extent[at] for at in range(len(variant.changes)))
        if seen.still and not neutral:
            return
        assert self.measured is not None
        self.values[number] = self.measured[number]
        wired = self.lm.instrument.sites_wired
        for at, change in enumerate(variant.changes):
            keys = [(change.at_kind or site.kind, site.layer, site.members(self.lm.size)) for site in change.sites]
            receipt = Receipt(
                str(change), seen.fired[at], all(wired[key] for key in keys), seen.moved[at], seen.moved_logits, neutral
            )
            expected = sum(_rows_meant(self.lm, site, self.batch) for site in change.sites)
            check(receipt, expected, seen.still and not neutral, None)
            self.lm.recorder.receipts.append(receipt)

    def _work(self, layer: int, first: int) -> float:
        """Operations of a pass that begins at a layer, in parts of the whole: so passes of different layers compare."""
        weights: int = sum(weight.numel() for part in self.split.layers[layer:] for weight in part.parameters())
        positions = self.reading.measure.positions
        read = 1.0 if positions is None else len(positions) / self.ids.shape[1]
        return weights * (1 - first / self.ids.shape[1]) + read * self.lm.vocab * self.lm.size.width


def heads_of(split: Split, hidden: torch.Tensor, vocab: int) -> Iterator[tuple[int, int, torch.Tensor]]:
    """(first row, end, logits [rows, k, vocab]) of what the body gave, a part at a time."""
    size = max(1, HEAD_BYTES // (4 * vocab * hidden.shape[1]))
    for begin in range(0, len(hidden), size):
        end = min(len(hidden), begin + size)
        yield begin, end, split.head(hidden[begin:end])


def _rows_meant(lm: LM, site: Site, batch: Batch) -> int:
    return len(batch) if site.where is None else int(site.where.mask(batch.ids, lm.known_tokens, ends=batch.ends).any(-1).sum())
