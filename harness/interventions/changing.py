"""One run of sequences under changes at sites: sources first, then the altered passes, then the receipts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..errors import DeclarationError, NotApplicable, UsageError
from . import proof
from .attention import Plan
from .changes import At, Change, Source
from .heads import donors
from .instrument import Instrument, plain_forward
from .padding import Batch, wide
from .receipts import SAME, Receipt, check
from .removing import first_rows, still
from .sites import STREAM, Site, Size

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

Put = Callable[[Site, "torch.Tensor", slice], None]


@dataclass(frozen=True)
class Capture:
    """Sites to read after all changes there; `put` gets what stands there in some of the rows."""

    sites: tuple[Site, ...]
    put: Put


class Feed:
    """A source's run, batch by batch in step with the run that it feeds; nothing is kept but the present batch."""

    def __init__(self, source: Source, sites: tuple[Site, ...], batch: Batch, slices: Sequence[slice]) -> None:
        self.now: dict[Site, torch.Tensor] = {}
        theirs = {source.sites.get(site, site): site for site in sites}

        def put(site: Site, part: torch.Tensor, rows: slice) -> None:
            self.now[theirs[site]] = part.detach().clone()  # some families add to their outputs in place

        self.passes = source.lm._passes(batch, capture=Capture(tuple(theirs), put), slices=clipped(slices))

    def advance(self) -> None:
        self.now.clear()
        next(self.passes)

    def close(self) -> None:
        """Let the source write its receipts."""
        for _ in self.passes:
            pass


class Changing:
    """Runs `ids` [n, seq] under the changes of a view; at one site they are made in the order in which they were named.

    Changes and captures get values in token order; see `padding`.

    Args:
        lm: the view; its removals of heads come before any change.
        slices: rows of each batch, in order.
        capture: what is to be read on the way.
        changes: other ones than those of the view.
        audit: whether movement against the plain run is measured, for receipts.
    """

    def __init__(
        self,
        lm: Any,
        ids: torch.Tensor | Batch,
        slices: Sequence[slice],
        capture: Capture | None = None,
        changes: Sequence[Change] | None = None,
        audit: bool = True,
    ) -> None:
        self.batch = Batch.of(ids)
        self.lm, self.ids, self.slices, self.capture, self.audit = lm, self.batch.ids, slices, capture, audit
        self.instrument: Instrument = lm.instrument
        self.size: Size = lm.size
        self.changes: Sequence[Change] = lm.changes if changes is None else changes
        self.fired: Counter[int] = Counter()
        self.moved: dict[int, float] = {}
        self.extent: dict[int, float] = {}
        self.still, self.moved_logits, self.fault = True, 0.0, ""
        self.order: dict[tuple[str, int], list[tuple[int, Change, Site]]] = {}
        self.readers: dict[tuple[str, int], list[Site]] = {}
        for number, change in enumerate(self.changes):
            for site in change.sites:
                self.order.setdefault((_kind(change, site), site.layer), []).append((number, change, site))
        self.inner = {(site.kind, site.layer) for change in self.changes for site in change.reads}
        for site in capture.sites if capture is not None else ():
            self.readers.setdefault((site.kind, site.layer), []).append(site)
        self.wanted = frozenset({*self.order, *self.readers, *self.inner})
        for kind in sorted({kind for kind, _ in self.wanted}):
            proof.check_kind(self.instrument, kind)
        self.first = first_rows(self.instrument, self.ids)
        self.plain: torch.Tensor | None = None
        self.patterns: dict[int, torch.Tensor] = {}
        for change in self.changes:
            if change.rows not in (None, len(self.ids)):
                raise UsageError(f"{change}: given for {change.rows} rows; the run has {len(self.ids)}")
        if self.changes and audit:
            self._plain()
        self.feeds: dict[int, Feed] = {}
        self.means: dict[int, dict[Site, torch.Tensor]] = {}
        for number, change in enumerate(self.changes):
            self._open(number, change)

    def plan(self, rows: slice) -> Plan:
        """The changes for some rows, whose sources run now; rows must come in the order of `slices`."""
        for feed in self.feeds.values():
            feed.advance()
        return Plan(alter=self.writer(rows), wanted=self.wanted)

    def saw(self, rows: slice, logits: torch.Tensor) -> None:
        """Compare the logits of altered rows with the plain ones."""
        if self.plain is not None and rows.start < self.first:
            many = logits[: self.first - rows.start].detach().float()
            plain, found = self.plain[rows], self.batch[rows][: len(many)].clean(many)
            self.moved_logits = max(self.moved_logits, float((found - plain).abs().max()))
            self.still = self.still and still(plain, found, self.instrument.model.dtype)

    def writer(
        self,
        rows: slice,
        ids: torch.Tensor | Batch | None = None,
        start: int | torch.Tensor = 0,
        whole: int | torch.Tensor | None = None,
        past: torch.Tensor | Batch | None = None,
    ) -> Callable[[str, int, torch.Tensor], torch.Tensor]:
        """(kind, layer, values) -> values for a pass over ids (those of the rows by default) from position `start`.

        past: the ids from position 0, where a cache holds those before `start`.
        """
        here = self.batch[rows] if ids is None else Batch.of(ids)
        every = here if past is None else Batch.of(past)
        seen: dict[tuple[str, int], torch.Tensor] = {}

        def alter(kind: str, layer: int, values: torch.Tensor) -> torch.Tensor:
            of_keys = kind in ("k", "v")  # a cache holds those of earlier passes too
            if of_keys and values.shape[1] != every.shape[1]:
                raise NotApplicable(f"{kind}: the cache hands over {values.shape[1]} of {every.shape[1]} positions")
            mine = every if of_keys else here
            values = _keys(kind, mine.turned(values), every.turned)
            for number, change, site in self.order.get((kind, layer), ()):
                given = self.feeds[number].now if number in self.feeds else self.means.get(number, {})
                at = At(
                    mine.tokens,
                    rows,
                    self.lm.known_tokens,
                    0 if of_keys else start,
                    whole,
                    given,
                    seen,
                    None if past is None else every.tokens,
                    mine.ends,
                )
                changed, part, new, mask = write(change, site, values, at, self.size)
                self.fired[number] += len(here) if mask is None else int(mask.any(-1).sum())
                if self.audit and rows.start < self.first:
                    self._watch(number, change, site, (values, changed, part, new), mask, rows)
                values = changed
            if (kind, layer) in self.inner:
                seen[kind, layer] = values.clone()
            for site in self.readers.get((kind, layer), ()):
                assert self.capture is not None
                members = site.members(self.size)
                self.capture.put(site, values if members is None else values[:, :, list(members)], rows)
            return _keys(kind, mine.back(values), every.back)

        return alter

    def finish(self) -> None:
        """Write a receipt for each change; InvalidMeasurement when one did not happen."""
        null = self.still and bool(self.changes) and proof.null(self)
        for feed in self.feeds.values():
            feed.close()
        for number, change in enumerate(self.changes):
            expected = sum(self._rows_meant(site) for site in change.sites)
            if expected == 0:
                raise UsageError(f"{change}: no sequence has a token at which it acts")
            wired, passes = proof.wired(
                self.instrument, [(_kind(change, site), site) for site in change.sites], self.size, self.lm.some_token
            )
            self.lm.recorder.forward_passes += passes
            neutral = null or self.moved.get(number, 0.0) <= SAME * self.extent.get(number, 0.0)
            receipt = Receipt(str(change), self.fired[number], wired, self.moved.get(number, 0.0), self.moved_logits, neutral)
            check(receipt, expected, self.still, self.fault or None)
            self.lm.recorder.receipts.append(receipt)

    # ---- inside

    def _plain(self) -> None:
        """Logits of the first rows, and the patterns in which edges will be cut."""
        layers = {layer for kind, layer in self.order if kind == "scores"}

        def keep(_: str, layer: int, pattern: torch.Tensor) -> torch.Tensor:
            self.patterns[layer] = _keys("pattern", batch.turned(pattern), batch.turned)
            return pattern

        batch = self.batch[: self.first]
        self.lm.recorder.forward_passes += len(batch)
        if layers:
            plan = Plan(alter=keep, wanted=frozenset(("pattern", layer) for layer in layers))
            self.plain = batch.clean(self.instrument.forward(batch, plan).float())
        else:
            self.plain = batch.clean(plain_forward(self.instrument.model, batch).logits.float())

    def _open(self, number: int, change: Change) -> None:
        source = change.source
        if source is None:
            return
        sites = change.reads or change.sites
        batch = self.batch
        if source.ids is not None:
            other = Batch.of(source.ids)
            found = other.like(self.batch)
            if found is None:
                raise UsageError(
                    f"{change}: the source has sequences {other} and the run {self.batch}: rows and length must be the "
                    "same (or one row for all)"
                )
            batch = found
        source.lm._fitting(batch)
        if source.mode == "resample":
            batch = batch[torch.from_numpy(donors(batch.lengths.tolist(), source.seed)).to(batch.ids.device)]
        batch = batch.to(source.lm.device)
        if source.mode in ("run", "resample"):
            self.feeds[number] = Feed(source, sites, batch, self.slices)
        else:
            self.means[number] = _means(source, sites, batch, self.slices)

    def _rows_meant(self, site: Site) -> int:
        if site.where is None:
            return len(self.ids)
        return int(site.where.mask(self.batch.tokens, self.lm.known_tokens, ends=self.batch.ends).any(-1).sum())

    def _watch(
        self,
        number: int,
        change: Change,
        site: Site,
        found: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor],
        mask: torch.Tensor | None,
        rows: slice,
    ) -> None:
        """Was this written, and nothing else? On the first rows, how far did it move?"""
        many = min(rows.stop, self.first) - rows.start
        values, changed, part, new = (tensor[:many].detach() for tensor in found)
        members = site.members(self.size)
        there = changed if members is None else changed[:, :, list(members)]
        wanted = new if mask is None else torch.where(wide(mask[:many], new), new, part)
        if not torch.equal(there, wanted) and not bool(wanted.isnan().any()):
            self.fault = f"at {site} stands something else than what was to be written"
        if members is not None:
            others = [index for index in range(values.shape[2]) if index not in members]
            if not torch.equal(values[:, :, others], changed[:, :, others]):
                self.fault = f"beside {site} something was changed too"
        if site.layer in self.patterns and _kind(change, site) == "scores":
            weights = self.patterns[site.layer][rows.start : rows.start + many]
            weights = weights if members is None else weights[:, :, list(members)]
            moved, extent = float((weights * (there != part)).max()), 1.0
        else:
            moved, extent = float((there - part).abs().max()), float(torch.maximum(there.abs(), part.abs()).max())
        self.moved[number] = max(self.moved.get(number, 0.0), moved)
        self.extent[number] = max(self.extent.get(number, 0.0), extent)


def write(
    change: Change, site: Site, values: torch.Tensor, at: At, size: Size
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Values after a change at a site, the part that it speaks of before and after, and the positions that it means."""
    members = site.members(size)
    part = values if members is None else values[:, :, list(members)]
    new = change.new(site, part, at)
    mask = at.mask(site.where)
    written = new if mask is None else torch.where(wide(mask, new), new, part)
    if members is None:
        return (written.clone() if mask is None else written), part, new, mask
    changed = values.clone()
    changed[:, :, list(members)] = written
    return changed, part, new, mask


def _keys(kind: str, values: torch.Tensor, move: Callable[..., torch.Tensor]) -> torch.Tensor:
    """Patterns and scores [rows, queries, heads, keys], whose keys are moved as the tokens of the whole run."""
    return move(values, 3) if kind in ("pattern", "scores") else values


def _kind(change: Change, site: Site) -> str:
    """Edges are cut in the scores; they are named by the pattern."""
    return change.at_kind or site.kind


def _means(source: Source, sites: tuple[Site, ...], batch: Batch, slices: Sequence[slice]) -> dict[Site, torch.Tensor]:
    """By site, the mean over the tokens of all rows (or at each position, where the source says so), summed in float64."""
    sums: dict[Site, torch.Tensor] = {}
    counts: dict[Site, torch.Tensor] = {}

    def put(site: Site, part: torch.Tensor, rows: slice) -> None:
        exact = part.detach() if part.device.type == "mps" else part.detach().double()
        some = batch[rows]
        mask = At(some.tokens, rows, source.lm.known_tokens, ends=some.ends).mask(site.where)
        mask = torch.ones_like(some.ids, dtype=torch.bool) if mask is None else mask
        exact, count = exact.masked_fill(~wide(mask, exact), 0), wide(mask, exact).int()
        over = (0, 1) if source.mode == "mean" else (0,)
        for into, value in ((sums, exact), (counts, count)):
            total = value.sum(over, keepdim=True)
            into[site] = into[site] + total if site in into else total

    for _ in source.lm._passes(batch, capture=Capture(sites, put), slices=clipped(slices)):
        pass
    return {site: total / counts[site].clamp_min(1) for site, total in sums.items()}


def clipped(slices: Sequence[slice]) -> Callable[[torch.Tensor], list[slice]]:
    """The same batches for whatever rows there are, so that a source goes in step with what it feeds."""
    return lambda ids: [slice(rows.start, min(rows.stop, len(ids))) for rows in slices if rows.start < len(ids)]


def meant(site: Site, part: torch.Tensor, batch: Batch, tokens: Any) -> torch.Tensor:
    """What a capture hands over: [rows, seq, ...], [rows, k, ...] at k positions, [places, ...] of a token class.

    Where rows have unequal lengths, [rows, seq, ...] is in token order and 0 behind the end of each.
    """
    if site.where is None:
        return part if batch.real is None else part.masked_fill(~wide(batch.real, part), 0)
    mask = site.where.mask(batch.tokens, tokens, ends=batch.ends)
    if site.where.token_class is not None or site.where.tokens is not None:
        return part[mask]
    if site.where.positions is not None:  # in the order in which they were named
        every = torch.arange(len(batch), device=part.device)[:, None]
        return part[every, torch.stack([at % batch.lengths for at in site.where.positions], 1)]
    if batch.length is not None:
        part = part.masked_fill(~wide(mask, part), 0)
    return part[:, mask.any(0)]


def checked_source(source: Source, sites: Sequence[Site], size: Size, dtype: torch.dtype, what: str) -> Source:
    """The source, if its model holds the same shapes at these sites; DeclarationError naming both."""
    theirs: Size = source.lm.size
    for site in sites:
        site.checked(theirs)
        wide = site.kind in STREAM or site.kind == "neurons"
        mine, other = ((s.width, s.neurons) if wide else (s.heads, s.groups, s.head_dim) for s in (size, theirs))
        if mine != other:
            raise DeclarationError(
                f"{what}: {size.family} has {mine} there and the source's {theirs.family} {other}: the models must "
                f"be of one shape ({'width, neurons' if wide else 'heads, groups, head_dim'})"
            )
    if source.lm.dtype != dtype:
        raise DeclarationError(f"{what}: the source computes in {source.lm.dtype} and the model in {dtype}")
    return replace(source)
