"""One run of sequences under removals: the plain run first, then the altered passes, then the receipts."""

from __future__ import annotations

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import InvalidMeasurement
from . import receipts
from .attachable import Weights, weights_of
from .attention import Plan
from .heads import Head, Removal, Write, names, resolved, writes
from .padding import Batch
from .receipts import Receipt, Recorder, Watch

if TYPE_CHECKING:
    import torch

    from .changing import Changing
    from .instrument import Instrument
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

#: Rows on which movement is measured, whatever the batch size; fewer where their logits would take more bytes.
FIRST, FIRST_BYTES = 4, 128 * 2**20
#: A change that moves no logit is enlarged to this many times the largest head output, to see whether it can.
ENLARGED = 1e3
#: Plain runs of this many bytes in all are kept, so that many head sets on the same sequences share one.
KEPT_BYTES = 96 * 2**20

Slices = Callable[["torch.Tensor"], Iterable[slice]]


@dataclass
class PlainRun:
    """What the model does by itself: `outputs` [rows, seq, k, head_dim] of `heads` by layer; `first` rows' logits."""

    heads: dict[int, list[int]]
    outputs: dict[int, torch.Tensor]
    first: torch.Tensor
    weights: Weights = ()
    """Address and version of every weight at that time."""

    @property
    def bytes(self) -> int:
        return sum(found.numel() * found.element_size() for found in (*self.outputs.values(), self.first))


@dataclass
class PlainRuns:
    """Keeps the latest plain runs of a model.

    A kept run is used only if no weight was written to, and if its first rows still give the same logits: writing
    through `.data` leaves no trace, and what later rows alone read does not show in the first ones.
    """

    _kept: OrderedDict[str, PlainRun] = field(default_factory=OrderedDict)

    def get(self, instrument: Instrument, batch: Batch) -> PlainRun | None:
        found = self._kept.get(_key(batch))
        if found is not None:
            self._kept.move_to_end(_key(batch))
            same = found.weights == weights_of(instrument.model)
            some = batch[: len(found.first)]
            if not same or not still(found.first, some.clean(instrument.forward(some, Plan()))):
                self._kept.clear()  # the weights have changed
                return None
        return found

    def put(self, batch: Batch, run: PlainRun) -> None:
        self._kept[_key(batch)] = run
        while len(self._kept) > 1 and sum(kept.bytes for kept in self._kept.values()) > KEPT_BYTES:
            self._kept.popitem(last=False)


class Removing:
    """Runs `ids` [n, seq] under `removals`. Where two name one head the later holds; else their order is free.

    Every replacement comes from the plain run of the model on all of `ids`, so results do not depend on how the rows
    are split.

    Args:
        slices: ids -> row slices that together cover them.
        token: an ordinary token, for the NaN probe.
    """

    def __init__(
        self,
        instrument: Instrument,
        removals: Sequence[Removal],
        ids: torch.Tensor | Batch,
        slices: Slices,
        recorder: Recorder,
        runs: PlainRuns,
        token: int,
    ) -> None:
        self.batch = Batch.of(ids)
        self.instrument, self.removals, self.ids, self.slices = instrument, removals, self.batch.ids, slices
        self.recorder, self.token = recorder, token
        self.plain = self._plain_run(runs)
        self.first = len(self.plain.first)
        self.made = writes(removals, self.plain.outputs, self.plain.heads, self.batch)
        self.fired: Counter[int] = Counter()
        self.watch = Watch({layer: outputs[: self.first] for layer, outputs in self.plain.outputs.items()}, self.plain.heads)
        self.moved_logits = 0.0
        self.still = True
        self.others: Changing | None = None  # changes after the removals

    def forward(self, rows: slice, read: Callable[[int, torch.Tensor], None] | None = None) -> torch.Tensor:
        """Logits float32 of some rows under the removals; `read` is shown the attention patterns."""
        plan = Plan() if self.others is None else self.others.plan(rows)
        plan.edit, plan.read = self._writer(rows), read
        logits = self.instrument.forward(self.batch[rows], plan).float()
        self.recorder.forward_passes += len(logits)
        if rows.start < self.first:
            many = logits[: self.first - rows.start]
            plain, found = self.plain.first[rows], self.batch[rows][: len(many)].clean(many)
            self.moved_logits = max(self.moved_logits, float((found - plain).abs().max()))
            self.still = self.still and still(plain, found, self.instrument.model.dtype)
        return logits

    def finish(self) -> None:
        """Write a receipt for each removal; InvalidMeasurement when one did not happen."""
        needed = [write.removal for made in self.made.values() for write in made]
        null = self.still and self._null()
        for number, removal in enumerate(self.removals):
            if number not in needed:
                continue  # later removals name all of its heads
            later = {head for other in self.removals[number + 1 :] for head in other.heads}
            heads: list[Head] = [
                (layer, head)
                for layer, made in self.made.items()
                for write in made
                if write.removal == number
                for head in write.heads
            ]
            named = {head for head in removal.heads if head not in later}
            if named != set(heads):
                self.watch.fault = f"written were heads {names(sorted(heads))}, not {names(sorted(named))}"
            wired, passes = receipts.wired(self.instrument, heads, self.token)
            self.recorder.forward_passes += passes
            receipt = Receipt(
                str(removal),
                fired=self.fired[number],
                wired=wired,
                moved_activation=self.watch.moved.get(number, 0.0),
                moved_logits=self.moved_logits,
                neutral=self.watch.neutral(number) or null,
            )
            receipts.check(receipt, needed.count(number) * len(self.ids), self.still, self.watch.fault)
            self.recorder.receipts.append(receipt)

    def _writer(self, rows: slice, factor: float | None = None) -> Callable[[int, torch.Tensor], torch.Tensor]:
        """Writes at every layer what was decided; with a factor, plain output + factor * change instead."""

        def edit(layer: int, before: torch.Tensor) -> torch.Tensor:
            made = self.made.get(layer, [])
            if not made:
                return before
            batch = self.batch[rows]
            before = batch.turned(before)
            after = before.clone()
            for write in made:
                values = write.of(rows)
                if factor is not None:
                    own = self._own(layer, write, rows)
                    values = own + factor * (values - own)
                after[:, :, list(write.heads)] = values
                if factor is None:
                    self.fired[write.removal] += len(before)
            if rows.start < self.first and factor is None:
                first = slice(rows.start, min(rows.stop, self.first))
                size = first.stop - first.start
                self.watch.see(layer, first, before[:size], after[:size], made)
            return batch.back(after)

        return edit

    def _own(self, layer: int, write: Write, rows: slice) -> torch.Tensor:
        kept = self.plain.heads[layer]
        return self.plain.outputs[layer][rows][:, :, [kept.index(head) for head in write.heads]]

    def _null(self) -> bool:
        """Whether it is the truth that no logit moved: nothing reads the heads, or the change is below the resolution.

        A change enlarged until it cannot be overlooked must reach the logits, or not even leave the attention block.
        """
        rows = slice(0, self.first)
        largest = max(self.watch.intended.values(), default=0.0)
        if largest == 0.0:
            return True
        factor = ENLARGED * max(max(self.watch.size.values()), 1.0) / largest
        blocks: list[dict[int, torch.Tensor]] = []
        logits = []
        for plan in (Plan(), Plan(edit=self._writer(rows, factor))):
            seen: dict[int, torch.Tensor] = {}
            with _block_outputs(self.instrument, self.made, seen):
                logits.append(self.instrument.forward(self.batch[rows], plan))
            blocks.append(seen)
            self.recorder.forward_passes += rows.stop
        reaches = not torch.equal(*logits)
        leaves = any(not torch.equal(blocks[0][layer], blocks[1][layer]) for layer in self.made)
        return reaches or not leaves

    def _plain_run(self, runs: PlainRuns) -> PlainRun:
        whole = any(removal.mode != "zero" for removal in self.removals)
        batch = self.batch if whole else self.batch[: first_rows(self.instrument, self.ids)]
        for candidate in (self.batch, batch):
            found = runs.get(self.instrument, candidate)
            if found is not None:
                self.recorder.forward_passes += len(found.first)
                return found
        heads = {layer: sorted(owners) for layer, owners in resolved(self.removals).items()}
        keep = 4 * self.instrument.width * batch.ids.numel() <= KEPT_BYTES // 4
        if keep:  # all heads, so that other removals on the same sequences find theirs
            heads = {layer: list(range(self.instrument.heads)) for layer in range(self.instrument.layers)}
        run = _capture(self.instrument, batch, heads, self.slices)
        self.recorder.forward_passes += len(batch)
        if keep:
            runs.put(batch, run)
        return run


def _capture(instrument: Instrument, batch: Batch, heads: dict[int, list[int]], slices: Slices) -> PlainRun:
    """Outputs in token order, and logits without what stands in padding."""
    outputs: dict[int, list[torch.Tensor]] = {layer: [] for layer in heads}
    first: list[torch.Tensor] = []

    def keep(layer: int, found: torch.Tensor) -> torch.Tensor:
        if layer in heads:
            outputs[layer].append(some.turned(found[:, :, heads[layer]]).clone())
        return found

    most = first_rows(instrument, batch.ids)
    for rows in slices(batch.ids):
        some = batch[rows]
        logits = instrument.forward(some, Plan(edit=keep))
        if rows.start < most:
            first.append(some.clean(logits.float())[: most - rows.start])
    if missed := [layer for layer, found in outputs.items() if len(found) != len(list(slices(batch.ids)))]:
        raise InvalidMeasurement(f"the plain run was to be captured, and layer {missed[0]} was not reached in every pass")
    joined = {layer: torch.cat(found) for layer, found in outputs.items()}
    return PlainRun(heads, joined, torch.cat(first), weights_of(instrument.model))


@contextmanager
def _block_outputs(instrument: Instrument, layers: Iterable[int], into: dict[int, torch.Tensor]) -> Iterator[None]:
    """Keeps what the attention blocks of some layers give to the residual stream."""

    def keep(layer: int) -> Callable[..., None]:
        def hook(_: Any, __: Any, output: Any) -> None:
            into[layer] = output[0] if isinstance(output, tuple) else output

        return hook

    with ExitStack() as stack:
        for layer in layers:
            stack.callback(instrument.modules[layer].register_forward_hook(keep(layer)).remove)
        yield


def still(plain: torch.Tensor, other: torch.Tensor, dtype: torch.dtype | None = None) -> bool:
    """Whether logits differ by no more than splitting rows differently makes them differ."""
    noise = 4 * torch.finfo(dtype or other.dtype).eps * float(plain.abs().max())
    return float((plain.float() - other.float()).abs().max()) <= noise


def first_rows(instrument: Instrument, ids: torch.Tensor) -> int:
    """On how many rows movement is measured: a matter of the sequences alone, never of the batch size."""
    return min(len(ids), FIRST, max(1, FIRST_BYTES // (4 * ids.shape[1] * instrument.vocab)))


def _key(batch: torch.Tensor | Batch) -> str:
    """Of everything that the model is given."""
    batch = Batch.of(batch)
    parts = {"ids": batch.ids, "begin": batch.begin, "length": batch.length, **batch.options}
    found = hashlib.sha256()
    for name, part in parts.items():
        if part is not None:
            found.update(f"{name} {tuple(part.shape)}".encode() + part.cpu().numpy().tobytes())
    return found.hexdigest()
