"""Receipts: proof that an intervention happened. The field's worst bug is the silent no-op."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import InvalidMeasurement
from .attention import Plan
from .heads import Head, Write

if TYPE_CHECKING:
    import torch

    from .instrument import Instrument
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

#: A replacement that differs from the original by less than this, relative to their size, is the original.
SAME = 1e-6
_SITES_AT_ONCE = 32


@dataclass(frozen=True)
class Receipt:
    """What one intervention did in one call.

    fired: sequences times layers at which its sites were reached. wired: a NaN written there reaches the logits.
    moved_activation, moved_logits: largest absolute change against the plain run, on the first few rows; of the logits,
    by all interventions in force together. neutral: no movement is the truth (the replacement equals the original,
    nothing reads the head, or the change is below the resolution of the numbers).
    """

    intervention: str
    fired: int
    wired: bool
    moved_activation: float
    moved_logits: float
    neutral: bool


@dataclass
class Recorder:
    """Counts forward passes (sequences) and keeps receipts, for a subject and every view of it."""

    forward_passes: int = 0
    receipts: list[Receipt] = field(default_factory=list)

    def reset(self) -> None:
        """Forget what was recorded."""
        self.forward_passes = 0
        self.receipts.clear()

    def summary(self) -> dict[str, Any]:
        """JSON: `forward_passes`, and `receipts`, with those of one intervention counted together (least movement)."""
        merged: dict[tuple[str, bool, bool], dict[str, Any]] = {}
        for receipt in self.receipts:
            key = (receipt.intervention, receipt.wired, receipt.neutral)
            known = merged.get(key)
            if known is None:
                merged[key] = {**asdict(receipt), "count": 1}
                continue
            known["count"] += 1
            known["fired"] += receipt.fired
            for moved in ("moved_activation", "moved_logits"):
                known[moved] = min(known[moved], getattr(receipt, moved))
        return {"forward_passes": self.forward_passes, "receipts": list(merged.values())}


class Watch:
    """Looks over the shoulder of a plan that writes, on the first rows: was this written, and nothing else?

    Args:
        plain: by layer, the plain run's outputs [first rows, seq, heads of `kept`, head_dim].
    """

    def __init__(self, plain: Mapping[int, torch.Tensor], kept: Mapping[int, Sequence[int]]) -> None:
        self.plain, self.kept = plain, kept
        self.intended: dict[int, float] = {}
        self.moved: dict[int, float] = {}
        self.size: dict[int, float] = {}
        self.fault: str | None = None

    def see(self, layer: int, rows: slice, before: torch.Tensor, after: torch.Tensor, made: Sequence[Write]) -> None:
        """`rows` of a layer before and after writing. before, after: [rows, seq, heads, head_dim]."""
        written = [head for write in made for head in write.heads]
        others = [head for head in range(before.shape[2]) if head not in written]
        if not torch.equal(before[:, :, others], after[:, :, others]):
            self.fault = f"heads of layer {layer} that were to stay were changed too"
        for write in made:
            heads = list(write.heads)
            plain = self.plain[layer][rows][:, :, [list(self.kept[layer]).index(head) for head in heads]]
            values, found = write.of(rows).expand_as(plain), after[:, :, heads]
            if not torch.equal(values, found):
                self.fault = f"at heads {heads} of layer {layer} stands something else than what was to be written"
            for into, number in (
                (self.intended, (values - plain).abs().max()),
                (self.moved, (found - plain).abs().max()),
                (self.size, torch.maximum(values.abs().max(), plain.abs().max())),
            ):
                into[write.removal] = max(into.get(write.removal, 0.0), float(number))

    def neutral(self, removal: int) -> bool:
        """Whether what was to be written equals what stood there."""
        return self.intended.get(removal, 0.0) <= SAME * self.size.get(removal, 0.0)


def check(receipt: Receipt, expected: int, still: bool, fault: str | None) -> None:
    """Raise InvalidMeasurement when an intervention did not happen as asked.

    Args:
        expected: what `fired` must be.
        still: no logit moved beyond rounding.
        fault: what a `Watch` saw go wrong.
    """
    what = receipt.intervention
    if receipt.fired != expected:
        raise InvalidMeasurement(
            f"{what}: its sites were reached {receipt.fired} times, not {expected}: the intervention did not happen"
        )
    if fault is not None:
        raise InvalidMeasurement(f"{what}: {fault}")
    if not receipt.wired:
        raise InvalidMeasurement(f"{what}: a NaN written at the heads does not reach the logits: the site is not wired")
    if still and not receipt.neutral:
        raise InvalidMeasurement(
            f"{what}: head outputs changed by {receipt.moved_activation:.3g} and the logits not at all: "
            "the replacement was not used"
        )


def wired(instrument: Instrument, heads: Sequence[Head], token: int) -> tuple[bool, int]:
    """Whether a NaN written at each of the heads reaches the logits, and the sequences that it took to find out.

    Asked once for each head of a model; many heads share a pass, one in each row.
    """
    unknown = [head for head in heads if head not in instrument.wired]
    for start in range(0, len(unknown), _SITES_AT_ONCE):
        sites = unknown[start : start + _SITES_AT_ONCE]
        ids = torch.full((len(sites), 3), token, device=instrument.model.device)
        bad = instrument.forward(ids, Plan(edit=_poison(sites))).isnan().flatten(1).any(1)
        instrument.wired.update(zip(sites, bad.tolist(), strict=True))
    return all(instrument.wired[head] for head in heads), len(unknown)


def _poison(sites: Sequence[Head]) -> Any:
    def edit(layer: int, outputs: torch.Tensor) -> torch.Tensor:
        outputs = outputs.clone()
        for row, (at, head) in enumerate(sites):
            if at == layer:
                outputs[row, :, head] = torch.nan
        return outputs

    return edit
