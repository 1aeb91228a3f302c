"""What a judgement says: the verdict, its reason, and one summary for each effect."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..region import Region
from ..verdict import Verdict


@dataclass(frozen=True)
class EffectSummary:
    """One judged effect: estimate and interval (`low` to `high`, at `level`) in `unit`, beside its region.

    `estimate` is None when nothing finite is known; `clipped` is the share of replicates beyond the clip bound (None
    where nothing is clipped); `t_low` to `t_high` is Student's interval of the mean, shown and never judged.
    """

    name: str
    estimate: float | None
    low: float
    high: float
    level: float
    unit: str
    region: Region
    method: str
    clipped: float | None = None
    t_low: float | None = None
    t_high: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; what is open or unknown is null."""
        return {
            "name": self.name,
            "estimate": self.estimate,
            "low": self.low if math.isfinite(self.low) else None,
            "high": self.high if math.isfinite(self.high) else None,
            "level": self.level,
            "unit": self.unit,
            "region": self.region.to_json(),
            "method": self.method,
            "clipped": self.clipped,
            "t_low": self.t_low,
            "t_high": self.t_high,
        }


@dataclass(frozen=True)
class Judgement:
    """A verdict with its reason.

    `n` replicates were used. `decided` says that no further replicate can change the verdict. For INCONCLUSIVE,
    `detectable` gives for each effect the smallest distance from the edge that this n and spread would have decided
    (effects for which none would are absent; None when no effect has one), and `needed` how many more replicates may
    decide (None when the schedule is exhausted).

    For a suite of claims (see `multiplicity`): `p_value` of seeds, against the opposite of the verdict reached (1
    when undecided), or `e_value` of prompts, of which 20 is as strong as a p-value of 0.05.
    """

    verdict: Verdict
    reason: str
    effects: tuple[EffectSummary, ...]
    n: int
    decided: bool
    detectable: dict[str, float] | None = None
    needed: int | None = None
    p_value: float | None = None
    e_value: float | None = None
