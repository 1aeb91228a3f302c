"""Judging seeds: exact intervals at fixed looks; the typical effect is the median, an event's is its rate."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ..region import Region
from ..verdict import Verdict
from . import order_statistics, rates
from .betting import Array
from .designs import FEWEST_SEEDS, LEVEL, Seeds
from .means import t_interval
from .summary import EffectSummary, Judgement
from .wording import count, number, sentence

#: Effects are computed in float32: no interval is narrower than this part of its own size or of its distance to an edge.
RESOLUTION = 1e-6

Ends = Mapping[str, tuple[Array, Array]]


def judge_seeds(ends: Ends, regions: Mapping[str, Region], design: Seeds, have: int) -> Judgement:
    """The verdict at the first look that decides, else at the last look that `have` seeds reach."""
    looks = [look for look in design.looks if FEWEST_SEEDS <= look <= have]
    if not looks:
        return _too_few(ends, regions, design, have)
    effects: tuple[EffectSummary, ...] = ()
    for look in looks:
        effects = tuple(_summary(name, *ends[name], region, look, design.error_at(look)) for name, region in regions.items())
        if all(e.region.contains(e.low, e.high) for e in effects):
            return _decided(Verdict.SUPPORTED, effects, look)
        refuting = tuple(e for e in effects if _refutes(e, *ends[e.name], look, design, len(regions)))
        if refuting:
            return _decided(Verdict.REFUTED, refuting, look, effects)
    return _undecided(effects, ends, design, looks[-1], have)


def _summary(name: str, lows: Array, highs: Array, region: Region, n: int, error: float) -> EffectSummary:
    lows, highs = lows[:n], highs[:n]
    if region.of == "rate":
        surely, perhaps = int(lows.sum()), int(highs.sum())
        low, high = rates.interval(surely, perhaps, n, error) if n else (0.0, 1.0)
        share = (surely + perhaps) / 2 / n if n else None
        return EffectSummary(name, share, low, high, 1 - 2 * error, region.unit, region, "Clopper-Pearson interval")
    rank = order_statistics.rank_for(n, LEVEL)
    shown = max(rank, 1)  # too few for the level: the range, with the level it has
    low, high = order_statistics.interval(lows, highs, shown) if n else (-math.inf, math.inf)
    low, high = _at_least_resolution(low, high, region)
    method = f"order statistics {shown} and {n + 1 - shown} of {n}" if n else "no data"
    level = 1 - 2 * order_statistics.miss(n, shown) if n else 0.0
    t_low, t_high = t_interval(lows, highs, region, LEVEL)
    median = order_statistics.median(lows, highs)
    return EffectSummary(name, median, low, high, level, region.unit, region, method, None, t_low, t_high)


def _at_least_resolution(low: float, high: float, region: Region) -> tuple[float, float]:
    """The interval, opened to the resolution of the arithmetic where ties made it narrower.

    Equal effects in all seeds are valid evidence (ties do not hurt order statistics), but no number is known exactly.
    The resolution is relative, so a change of units changes nothing, and less than the distance to an edge, so it only
    matters where an effect and an edge agree to six digits.
    """
    if math.isinf(low) or math.isinf(high):
        return low, high
    middle = (low + high) / 2
    half = RESOLUTION * max(abs(middle), min(abs(middle - edge) for edge in region.edges))
    return min(low, middle - half), max(high, middle + half)


def _refutes(e: EffectSummary, lows: Array, highs: Array, look: int, design: Seeds, k: int) -> bool:
    """Whether the interval for refuting one of k effects, at level 1 - 0.05/k over all looks, is outside the region.

    With one effect that is the interval shown. With more, six seeds cannot reach the level: the last look decides, and
    a rate spends its whole error there.
    """
    if k == 1 or not e.region.disjoint(e.low, e.high):
        return e.region.disjoint(e.low, e.high)
    if look != design.most:
        return False
    if e.region.of == "rate":
        surely, perhaps = int(lows[:look].sum()), int(highs[:look].sum())
        return e.region.disjoint(*rates.interval(surely, perhaps, look, (1 - LEVEL) / 2 / k))
    rank = order_statistics.rank_for(look, 1 - (1 - LEVEL) / k)
    if not rank:
        return False
    return e.region.disjoint(*_at_least_resolution(*order_statistics.interval(lows[:look], highs[:look], rank), e.region))


def _decided(verdict: Verdict, said: tuple[EffectSummary, ...], n: int, effects: tuple[EffectSummary, ...] = ()) -> Judgement:
    effects = effects or said
    reason = "; ".join(_sentence(e, n, len(effects) > 1) for e in said)
    return Judgement(verdict, reason, effects, n, decided=True)


def _undecided(effects: tuple[EffectSummary, ...], ends: Ends, design: Seeds, look: int, have: int) -> Judgement:
    needed = design.most - have if look < design.most else None
    reason = "; ".join(_sentence(e, look, len(effects) > 1) for e in effects)
    reason += f"; {count(needed, 'more seed')} may decide" if needed else "; the schedule is exhausted"
    detectable = {e.name: d for e in effects if (d := _detectable(e, look, design.error_at(look))) is not None}
    return Judgement(Verdict.INCONCLUSIVE, reason, effects, look, needed is None, detectable or None, needed)


def _too_few(ends: Ends, regions: Mapping[str, Region], design: Seeds, have: int) -> Judgement:
    effects = tuple(_summary(name, *ends[name], region, have, design.error_at(have)) for name, region in regions.items())
    first = next((look for look in design.looks if look >= FEWEST_SEEDS), None)
    reason = f"{count(have, 'seed')}; fewer than {first or FEWEST_SEEDS} never decide"
    reason += f", {first - have} more are needed" if first else f", and this profile has at most {design.most}"
    if have:
        reason += "; " + "; ".join(_sentence(e, have, len(effects) > 1) for e in effects)
    return Judgement(Verdict.INCONCLUSIVE, reason, effects, have, first is None and have == design.most, None, first and first - have)


def _detectable(e: EffectSummary, n: int, error: float) -> float | None:
    """The distance from an edge beyond which this n and spread decide on either side; None where they never would."""
    if e.region.of == "rate":
        shares = [k / n for k in range(n + 1)]
        deciding = [
            abs(share - edge)
            for edge in e.region.edges
            for k, share in enumerate(shares)
            if rates.lower_limit(k, n, error) > edge or rates.upper_limit(k, n, error) < edge
        ]
        return min(deciding, default=None)
    if e.estimate is None or math.isinf(e.low) or math.isinf(e.high):
        return None
    return max(e.estimate - e.low, e.high - e.estimate)


def _sentence(e: EffectSummary, n: int, named: bool) -> str:
    return sentence(e, "rate" if e.region.of == "rate" else "median", n, "seed", named)


__all__ = ["judge_seeds", "number"]
