"""Judging seeds: exact intervals at fixed looks; the typical effect is the median, an event's is its rate."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping

import numpy as np

from ..region import Region
from ..verdict import Verdict
from . import order_statistics, p_values, rates
from .betting import Array
from .designs import FEWEST_SEEDS, LEVEL, Seeds
from .means import t_interval
from .summary import EffectSummary, Judgement
from .wording import count, sentence

#: No interval is narrower than this part of its own size, or of its distance to an edge: float32 has seven digits.
RESOLUTION = 1e-6

Ends = Mapping[str, tuple[Array, Array]]


def judge_seeds(ends: Ends, regions: Mapping[str, Region], design: Seeds, have: int) -> Judgement:
    """The verdict at the first look that decides, else at the last look that `have` seeds reach."""
    looks = [look for look in design.looks if FEWEST_SEEDS <= look <= have]
    if not looks:
        return _too_few(ends, regions, design, have)
    effects: tuple[EffectSummary, ...] = ()
    for look in looks:
        effects = _summaries(ends, regions, design, look)
        if all(e.region.contains(e.low, e.high) for e in effects):
            p_value = p_values.of_support(ends, regions, design, look)
            return Judgement(Verdict.SUPPORTED, _reason(effects, ends, look), effects, look, decided=True, p_value=p_value)
        against = [e.name for e in effects if _refutes(e, *ends[e.name], look, design, len(effects))]
        if against:
            reason = _reason(effects, ends, look)
            if len(effects) > 1:
                reason = f"{' and '.join(against)} outside, also at the level for {len(effects)} effects; {reason}"
            p_value = p_values.of_refutation(ends, regions, design, look)
            return Judgement(Verdict.REFUTED, reason, effects, look, decided=True, p_value=p_value)
    return _undecided(effects, ends, design, looks[-1], have)


def _undecided(effects: tuple[EffectSummary, ...], ends: Ends, design: Seeds, look: int, have: int) -> Judgement:
    needed = design.most - have if have < design.most else None
    ending = f"{count(needed, 'more seed')} may decide" if needed else "the schedule is exhausted"
    found = {e.name: _detectable(e, look, design.error_at(look)) for e in effects}
    detectable = {name: distance for name, distance in found.items() if distance is not None}
    reason = f"{_reason(effects, ends, look)}; {ending}"
    return Judgement(Verdict.INCONCLUSIVE, reason, effects, look, needed is None, detectable or None, needed, 1.0)


def _too_few(ends: Ends, regions: Mapping[str, Region], design: Seeds, have: int) -> Judgement:
    """Shown, never decided: the range of the seeds with the level it has."""
    effects = _summaries(ends, regions, design, have)
    first = next((look for look in design.looks if look >= FEWEST_SEEDS), None)
    if first is None:
        ending = f"fewer than {count(FEWEST_SEEDS, 'seed')} never decide, and this schedule has at most {design.most}"
    else:
        ending = f"fewer than {count(first, 'seed')} never decide, {count(first - have, 'more seed')} needed"
    reason = f"{_reason(effects, ends, have) if have else 'nothing measured'}; {ending}"
    decided, needed = have >= design.most, None if first is None else first - have
    return Judgement(Verdict.INCONCLUSIVE, reason, effects, have, decided, None, needed, 1.0)


def _summaries(ends: Ends, regions: Mapping[str, Region], design: Seeds, n: int) -> tuple[EffectSummary, ...]:
    return tuple(
        _rate(name, *ends[name], region, n, design.error_at(n)) if region.of == "rate" else _median(name, *ends[name], region, n)
        for name, region in regions.items()
    )


def _rate(name: str, lows: Array, highs: Array, region: Region, n: int, error: float) -> EffectSummary:
    surely, perhaps = int(lows[:n].sum()), int(highs[:n].sum())
    low, high = rates.interval(surely, perhaps, n, error) if n else (0.0, 1.0)
    share = (surely + perhaps) / 2 / n if n else None
    level = 1 - 2 * error if n else 0.0
    return EffectSummary(name, share, low, high, level, region.unit, region, "Clopper-Pearson interval")


def _median(name: str, lows: Array, highs: Array, region: Region, n: int) -> EffectSummary:
    lows, highs = lows[:n], highs[:n]
    if not n:
        return EffectSummary(name, None, -math.inf, math.inf, 0.0, region.unit, region, "nothing measured")
    rank = order_statistics.rank_for(n, LEVEL) or 1  # too few for the level: the range, at the level it has
    low, high = _resolved(*order_statistics.interval(lows, highs, rank), region)
    t_low, t_high = t_interval(_on_scale(lows, region), _on_scale(highs, region), LEVEL)
    return EffectSummary(
        name,
        order_statistics.median(lows, highs),
        low,
        high,
        1 - 2 * order_statistics.miss(n, rank),
        region.unit,
        region,
        f"order statistics {rank} and {n + 1 - rank} of {n}",
        None,
        None if t_low is None else region.backward(t_low),
        None if t_high is None else region.backward(t_high),
    )


def _on_scale(x: Array, region: Region) -> Array:
    return x if region.scale == "linear" else np.array([region.forward(float(value)) for value in x])


def _resolved(low: float, high: float, region: Region) -> tuple[float, float]:
    """The interval, opened to the resolution of the arithmetic where equal effects made it narrower.

    Equal effects in all seeds are sound evidence (order statistics are exact under ties), but no number is known
    without error. The resolution is relative, so a change of units changes nothing, and a small part of the distance
    to the edge, so it decides only where effect and edge agree to six digits.
    """
    if math.isinf(low) or math.isinf(high):
        return low, high
    middle = low / 2 + high / 2
    half = RESOLUTION * max(abs(middle), min(abs(middle - edge) for edge in region.edges))
    half = max(half, sys.float_info.min)  # exact zeros on an edge at zero decide nothing
    return min(low, middle - half), max(high, middle + half)


def _refutes(e: EffectSummary, lows: Array, highs: Array, look: int, design: Seeds, k: int) -> bool:
    """Whether the interval that may refute one of k effects, at level 1 - 0.05/k over all looks, is outside its region.

    With one effect that is the interval shown. With more, six seeds cannot reach the level, so only the last look of
    the schedule may refute, and a rate spends its whole error there.
    """
    if k == 1 or not e.region.disjoint(e.low, e.high):
        return e.region.disjoint(e.low, e.high)
    if look != design.schedule[-1]:
        return False
    if e.region.of == "rate":
        surely, perhaps = int(lows[:look].sum()), int(highs[:look].sum())
        return e.region.disjoint(*rates.interval(surely, perhaps, look, (1 - LEVEL) / 2 / k))
    rank = order_statistics.rank_for(look, 1 - (1 - LEVEL) / k)
    if not rank:
        return False
    low, high = order_statistics.interval(lows[:look], highs[:look], rank)
    return e.region.disjoint(*_resolved(low, high, e.region))


def _detectable(e: EffectSummary, n: int, error: float) -> float | None:
    """The distance from an edge at which this n and spread decide on either side; None where they never do."""
    if e.region.of == "rate":
        return rates.nearest_deciding(e.region, n, error)
    if e.estimate is None or math.isinf(e.low) or math.isinf(e.high):
        return None
    return max(e.estimate - e.low, e.high - e.estimate)


def _reason(effects: tuple[EffectSummary, ...], ends: Ends, n: int) -> str:
    return "; ".join(_sentence(e, *ends[e.name], n, len(effects) > 1) for e in effects)


def _sentence(e: EffectSummary, lows: Array, highs: Array, n: int, named: bool) -> str:
    if e.region.of == "rate":
        return sentence(e, "rate", count(n, "seed"), named)
    equal = n > 1 and lows[:n].min() == highs[:n].max()
    return sentence(e, "median", count(n, "seed") + (" (all equal, no spread)" if equal else ""), named)
