"""Judging prompt batches: a betting confidence sequence of the clipped mean, looked at after every replicate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..region import Region
from ..verdict import Verdict
from .betting import Array, Bets, cashed, first_crossing
from .designs import LEVEL, Prompts
from .means import t_interval
from .summary import EffectSummary, Judgement
from .wording import count, sentence

Ends = Mapping[str, tuple[Array, Array]]
ERROR = (1 - LEVEL) / 2


def judge_prompts(ends: Ends, regions: Mapping[str, Region], design: Prompts, have: int, unit: str) -> Judgement:
    """The verdict at the first of `have` replicates that decides, else after all of them; `unit` is what they are."""
    sequences = [_Sequence.of(name, region, ends[name], design) for name, region in regions.items()]
    inside = [path for sequence in sequences for path in sequence.inside]  # all of these bets must be won
    outside = [path for sequence in sequences for path in sequence.outside]  # one of these
    stricter = ERROR / len(sequences)
    supported = max(first_crossing(path, ERROR, design.least) for path in inside)
    refuted = min(first_crossing(path, stricter, design.least) for path in outside)
    when = min(supported, refuted)
    n = int(min(when, have))
    effects = tuple(sequence.summary(n) for sequence in sequences)
    reason = "; ".join(_sentence(e, count(n, unit), len(effects) > 1) for e in effects)
    # e-values: against "the finding does not hold" the weakest bet, against "it holds" the average of the others
    support = min(cashed(path, ERROR, n) for path in inside)
    against = math.fsum(cashed(path, stricter, n) for path in outside) / len(outside)
    if when <= have:
        # both at once (possible at `least` only) means that the data contradict themselves: never a pass
        verdict = Verdict.REFUTED if refuted <= supported else Verdict.SUPPORTED
        e_value = against if verdict is Verdict.REFUTED else support
        return Judgement(verdict, reason, effects, n, decided=True, e_value=e_value)
    e_value = max(support, against)
    left = design.most - have
    detectable = {e.name: max(e.estimate - e.low, e.high - e.estimate) for e in effects if e.estimate is not None}
    if not left:
        reason += "; the schedule is exhausted"
        return Judgement(Verdict.INCONCLUSIVE, reason, effects, n, True, detectable or None, None, e_value=e_value)
    more = min(max(_more(path, ERROR) for path in inside), min(_more(path, stricter) for path in outside))
    needed = max(1, math.ceil(min(more, left)))
    reason += f"; about {needed} of at most {count(left, f'more {unit}')} may decide"
    return Judgement(Verdict.INCONCLUSIVE, reason, effects, n, False, detectable or None, needed, e_value=e_value)


def _more(path: Array, error: float) -> float:
    """How many further replicates win this bet if its log capital goes on growing as it did so far."""
    growth = float(path[-1]) / len(path) if len(path) else 0.0
    return max(0.0, -math.log(error) - float(path[-1])) / growth if growth > 0 else math.inf


def _sentence(e: EffectSummary, of: str, named: bool) -> str:
    return sentence(e, "rate" if e.region.of == "rate" else "mean", of, named)


@dataclass(frozen=True)
class _Sequence:
    """One effect, moved to [0, 1]: `up` bets on its lower ends, `down` on its upper ends reflected (1 - x)."""

    name: str
    region: Region
    bottom: float
    top: float
    lows: Array
    highs: Array
    up: Bets
    down: Bets

    @classmethod
    def of(cls, name: str, region: Region, ends: tuple[Array, Array], design: Prompts) -> _Sequence:
        bottom, top = design.range_of(name, region)
        lows, highs = (end if region.scale == "linear" else np.array([region.forward(x) for x in end]) for end in ends)
        up = (np.clip(lows, bottom, top) - bottom) / (top - bottom)
        down = (top - np.clip(highs, bottom, top)) / (top - bottom)
        planned = design.planned
        return cls(name, region, bottom, top, lows, highs, Bets.on(up, planned), Bets.on(down, planned))

    def _above(self, edge: float) -> Array:
        """The log capital of betting that the mean is above `edge`, after each replicate."""
        return self.up.log_capital((self.region.forward(edge) - self.bottom) / (self.top - self.bottom))

    def _below(self, edge: float) -> Array:
        """The log capital of betting that the mean is below `edge`, after each replicate."""
        return self.down.log_capital((self.top - self.region.forward(edge)) / (self.top - self.bottom))

    @cached_property
    def inside(self) -> list[Array]:
        """The bets that are all won when the interval lies inside the region."""
        low, high = self.region.low, self.region.high
        return ([self._above(low)] if math.isfinite(low) else []) + ([self._below(high)] if math.isfinite(high) else [])

    @cached_property
    def outside(self) -> list[Array]:
        """The bets of which one is won when the interval lies outside the region."""
        low, high = self.region.low, self.region.high
        return ([self._below(low)] if math.isfinite(low) else []) + ([self._above(high)] if math.isfinite(high) else [])

    def summary(self, n: int) -> EffectSummary:
        """Estimate and running interval after n replicates."""
        region, width, rate = self.region, self.top - self.bottom, self.region.of == "rate"
        up, down = self.up.first(n), self.down.first(n)
        low = self.bottom + width * up.lower_limit(ERROR)
        high = self.top - width * down.lower_limit(ERROR)
        mean = region.backward(self.bottom + width * float((up.x + 1 - down.x).mean() / 2)) if n else None
        beyond = (self.lows[:n] < self.bottom) | (self.highs[:n] > self.top)
        clipped = None if rate else float(beyond.mean()) if n else 0.0
        t_low, t_high = (None, None) if rate else t_interval(self.lows[:n], self.highs[:n], LEVEL)
        return EffectSummary(
            self.name,
            mean,
            region.backward(low),
            region.backward(high),
            LEVEL,
            region.unit,
            region,
            "betting confidence sequence" + ("" if rate else f", clipped at ±{self.top:g}"),
            clipped,
            None if t_low is None else region.backward(t_low),
            None if t_high is None else region.backward(t_high),
        )
