"""Receipts: proof that an intervention happened. The field's worst bug is the silent no-op."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..errors import InvalidMeasurement


@dataclass(frozen=True)
class Receipt:
    """What one intervention did on one call.

    fired: how often a site was reached. wired: a NaN written there reaches the logits. moved_activation, moved_logits:
    largest absolute change on the first rows. neutral: the replacement equals the original, or nothing reads the site, so
    that no movement is the truth.
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
        """Forget what was recorded; called before each replicate."""
        self.forward_passes = 0
        self.receipts.clear()

    def summary(self) -> dict[str, Any]:
        """JSON: forward passes, and receipts with equal ones counted together."""
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


def check_receipt(receipt: Receipt, expected: int) -> None:
    """Raise InvalidMeasurement when an intervention did not happen.

    Args:
        expected: how often every site together had to be reached.
    """
    what = receipt.intervention
    if receipt.fired < expected:
        raise InvalidMeasurement(
            f"{what}: a site was reached {receipt.fired} times instead of {expected}: the intervention did not happen"
        )
    if not receipt.wired:
        raise InvalidMeasurement(f"{what}: a NaN written at the site does not reach the logits: it is not wired")
    if not receipt.neutral and receipt.moved_logits == 0.0:
        raise InvalidMeasurement(
            f"{what}: the head outputs changed by {receipt.moved_activation:.3g} and the logits not at all: "
            "the replacement was not used"
        )


def names(heads: Sequence[tuple[int, int]]) -> str:
    """Heads as a reader writes them: `1.3 1.5`."""
    return " ".join(f"{layer}.{head}" for layer, head in heads)
