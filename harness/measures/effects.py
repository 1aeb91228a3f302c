"""From the raw numbers of one replicate to the effect that is judged: differences, orderings, interactions, levels.

Numbers may be known exactly (a float) or only to lie between two ends (a `Value`): a censored time, a resolution. What
is made of them keeps both ends, so nothing is ever known better than it was measured.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..effect import Value
from ..errors import EffectError
from .ranks import rank_correlation

if TYPE_CHECKING:
    from scipy import stats
else:
    from ..lazy import LazyModule

    stats = LazyModule("scipy.stats")

Number = float | Value
Scale = Literal["linear", "log", "logit"]

#: A predicted level is compared with a level measured on at least this many queries a seed.
QUERIES = 4096
#: A trend needs this many levels: with two there is only a difference.
LEVELS = 3


def difference(one: Number, other: Number) -> Value:
    """`one` minus `other`."""
    a, b = _value(one), _value(other)
    return Value(a.low - b.high, a.high - b.low)


def trend(levels: Sequence[float], values: Sequence[float]) -> float:
    """How consistently `values` rise over ordered levels: Spearman's correlation, -1 to 1; 0 where nothing changes."""
    _check_levels(levels, values)
    return rank_correlation(levels, values)


def slope(levels: Sequence[float], values: Sequence[float]) -> float:
    """How steeply `values` rise a unit of level: the median slope between two levels (Theil 1950, Sen 1968)."""
    _check_levels(levels, values)
    return float(stats.theilslopes(values, levels).slope)


def smallest_gap(values: Sequence[Number]) -> Value:
    """The smallest step between neighbours in the order that a finding states, smallest first; above 0 if it holds."""
    if len(values) < 2:
        raise EffectError(f"an ordering needs at least two values, found {len(values)}")
    gaps = [difference(after, before) for before, after in itertools.pairwise(values)]
    return Value(min(gap.low for gap in gaps), min(gap.high for gap in gaps))


def interaction(
    treated: Number, control: Number, treated_elsewhere: Number, control_elsewhere: Number, *, scale: Scale = "linear"
) -> Value:
    """How much more a treatment does here than elsewhere: the difference of the two differences.

    Where the controls differ, differences on the linear scale differ too, although the treatment does the same: then
    compare ratios (scale "log") or odds ("logit"). There a 0, and on the logit scale a 1, is no number but an open
    end; give counted shares as `share(hits, of)`.
    """
    here = difference(_on(scale, treated), _on(scale, control))
    return difference(here, difference(_on(scale, treated_elsewhere), _on(scale, control_elsewhere)))


def share(hits: int, of: int) -> Value:
    """A counted share, known to half a count: 0.5 lower to 0.5 higher, within 0 to 1."""
    if not 0 <= hits <= of or of < 1:
        raise EffectError(f"a share needs 0 <= hits <= of, found {hits} of {of}")
    return Value(max(0.0, (hits - 0.5) / of), min(1.0, (hits + 0.5) / of))


def there(values: Iterable[float], *, above: float, number: int = 1) -> bool:
    """Whether at least `number` of the values exceed `above`: the event of an existence, judged as a rate."""
    found = [float(value) for value in values]
    if any(math.isnan(value) for value in found):
        raise EffectError(f"whether something is there cannot be said: {sum(map(math.isnan, found))} values are NaN")
    return sum(value > above for value in found) >= number


def off_level(measured: Number, predicted: float, *, queries: int) -> Value:
    """A measured level minus the level that theory predicts for this replicate, judged within ± a margin.

    A level from fewer than 4,096 queries is too coarse to meet a prediction, and raises `EffectError`.
    """
    if queries < QUERIES:
        raise EffectError(
            f"a predicted level needs at least {QUERIES:,} queries a seed, found {queries:,}; measure more"
        )
    return difference(measured, predicted)


def log_time_ratio(time: Number | None, baseline: Number | None, *, budget: float) -> Value:
    """The log of `time` over `baseline`, two times (in steps) of one replicate that share one budget.

    A time that is None, or beyond the budget, did not happen within it: it is the budget or any later time. Where
    neither happened nothing is known, and both ends are open.
    """
    return difference(_log_time(time, budget), _log_time(baseline, budget))


def _log_time(time: Number | None, budget: float) -> Value:
    known = Value(budget, math.inf) if time is None else _value(time)
    if known.low < 0 or known.high <= 0 or budget <= 0:
        raise EffectError(f"a time to compare must be above 0, found {known.low:g} with a budget of {budget:g}")
    high = known.high if known.high <= budget else math.inf
    return Value(_forward("log", min(known.low, budget)), _forward("log", high))


def _value(number: Number) -> Value:
    return number if isinstance(number, Value) else Value(float(number), float(number))


def _on(scale: Scale, number: Number) -> Value:
    value = _value(number)
    if scale == "linear":
        return value
    top = math.inf if scale == "log" else 1.0
    if value.low < 0 or value.high > top or (value.point and value.low in (0.0, top)):
        raise EffectError(
            f"{value.low:g} to {value.high:g}"
            f" has no value on the {scale} scale; give a counted share by share(hits, of)"
        )
    return Value(_forward(scale, value.low), _forward(scale, value.high))


def _forward(scale: Scale, x: float) -> float:
    if x == 0:
        return -math.inf
    if x == math.inf or (scale == "logit" and x == 1):
        return math.inf
    return math.log(x) if scale == "log" else math.log(x) - math.log1p(-x)


def _check_levels(levels: Sequence[float], values: Sequence[float]) -> None:
    if len(levels) != len(values) or len(set(map(float, levels))) < LEVELS:
        raise EffectError(
            f"a trend needs a value for each of at least {LEVELS} different levels,"
            f" found {len(values)} values for {len(set(map(float, levels)))} levels"
        )
    if not (np.isfinite(levels).all() and np.isfinite(values).all()):
        raise EffectError("a trend needs finite levels and values, found NaN or infinity")
