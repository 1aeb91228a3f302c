"""Judging prompt batches: a betting confidence sequence of the clipped mean, looked at after every replicate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..region import Region
from ..verdict import Verdict
from . import betting
from .betting import Array
from .designs import LEVEL, Prompts
from .means import t_interval
from .summary import EffectSummary, Judgement
from .wording import count, sentence

Ends = Mapping[str, tuple[Array, Array]]
ERROR = (1 - LEVEL) / 2


@dataclass(frozen=True)
class _Sequence:
    """One effect on [0, 1]: lower ends `up` bet that the mean is larger, reflected upper ends `down` that it is smaller."""

    name: str
    region: Region
    bottom: float
    top: float
    up: Array
    down: Array
    clipped: float | None

    def unit(self, edge: float) -> float:
        return (self.region.forward(edge) - self.bottom) / (self.top - self.bottom)

    def above(self, edge: float, error: float, least: int) -> float:
        """When the sequence has excluded that the mean is at or below `edge`; 0 for an absent edge."""
        return self._crossing(self.up, self.unit(edge), error, least) if math.isfinite(edge) else float(least)

    def below(self, edge: float, error: float, least: int) -> float:
        """When the sequence has excluded that the mean is at or above `edge`."""
        return self._crossing(self.down, 1 - self.unit(edge), error, least) if math.isfinite(edge) else float(least)

    @staticmethod
    def _crossing(x: Array, m: float, error: float, least: int) -> float:
        if not 0 <= m <= 1:
            return math.inf
        return betting.first_crossing(betting.log_capital(x, m, betting.bets(x, ERROR)), error, least)

    def supported(self, least: int) -> float:
        return max(self.above(self.region.low, ERROR, least), self.below(self.region.high, ERROR, least))

    def refuted(self, least: int, k: int) -> float:
        over = self.above(self.region.high, ERROR / k, least) if math.isfinite(self.region.high) else math.inf
        under = self.below(self.region.low, ERROR / k, least) if math.isfinite(self.region.low) else math.inf
        return min(over, under)

    def summary(self, n: int, ends: tuple[Array, Array]) -> EffectSummary:
        region, width = self.region, self.top - self.bottom
        low = self.bottom + width * betting.lower_limit(self.up[:n], ERROR)
        high = self.top - width * betting.lower_limit(self.down[:n], ERROR)
        mean = self.bottom + width * float((self.up[:n] + 1 - self.down[:n]).mean() / 2) if n else None
        t_low, t_high = t_interval(ends[0][:n], ends[1][:n], region, LEVEL) if region.of != "rate" else (None, None)
        method = "betting confidence sequence" + (f", clipped at ±{self.top:g}" if region.of != "rate" else "")
        return EffectSummary(
            self.name,
            None if mean is None else region.backward(mean),
            region.backward(low),
            region.backward(high),
            LEVEL,
            region.unit,
            region,
            method,
            self.clipped,
            t_low,
            t_high,
        )


def _sequence(name: str, region: Region, ends: tuple[Array, Array], design: Prompts) -> _Sequence:
    bottom, top = design.range_of(name, region)
    lows, highs = (np.array([region.forward(float(x)) for x in end], dtype=np.float64) for end in ends)
    beyond = (lows < bottom) | (highs > top)
    clipped = None if region.of == "rate" else float(beyond.mean()) if len(lows) else 0.0
    up = (np.clip(lows, bottom, top) - bottom) / (top - bottom)
    down = (top - np.clip(highs, bottom, top)) / (top - bottom)
    return _Sequence(name, region, bottom, top, up, down, clipped)


def judge_prompts(ends: Ends, regions: Mapping[str, Region], design: Prompts, have: int) -> Judgement:
    """The verdict at the first replicate that decides, else after all of them."""
    sequences = [_sequence(name, region, ends[name], design) for name, region in regions.items()]
    supported = max(s.supported(design.least) for s in sequences)
    refuted = min(s.refuted(design.least, len(sequences)) for s in sequences)
    when = min(supported, refuted)
    n = int(when) if when <= have else have
    effects = tuple(s.summary(n, ends[s.name]) for s in sequences)
    reason = "; ".join(
        sentence(e, "rate" if e.region.of == "rate" else "mean", n, "prompt batch", len(effects) > 1) for e in effects
    )
    if when <= have:
        verdict = Verdict.REFUTED if refuted <= supported else Verdict.SUPPORTED
        return Judgement(verdict, reason, effects, n, decided=True)
    left = design.most - have
    reason += f"; at most {count(left, 'more prompt batch')} may decide" if left else "; the schedule is exhausted"
    detectable = {
        e.name: max(e.estimate - e.low, e.high - e.estimate) for e in effects if e.estimate is not None
    }
    return Judgement(Verdict.INCONCLUSIVE, reason, effects, n, not left, detectable or None, left or None)
