"""Times that may be censored: the ratio of two, the least and the greatest of several, one number to rank by."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ..effect import Value
from ..errors import EffectError


def ratio_of(one: Value, other: Value) -> Value:
    """One time over another: from its least to its largest possible value; at least 0."""
    if one.low < 0 or other.low < 0 or other.high == 0:
        raise EffectError("times are at least 0, and one to divide by is above 0")
    low = 0.0 if math.isinf(other.high) else one.low / other.high
    return Value(low, math.inf if other.low == 0 or math.isinf(one.high) else one.high / other.low)


def least(times: Iterable[Value]) -> Value:
    """The smallest of several times or ratios; open above only where all are."""
    found = _some(times)
    return Value(min(time.low for time in found), min(time.high for time in found))


def greatest(times: Iterable[Value]) -> Value:
    """The largest of several times or ratios; open above where one is."""
    found = _some(times)
    return Value(max(time.low for time in found), max(time.high for time in found))


def _some(times: Iterable[Value]) -> list[Value]:
    found = list(times)
    if not found:
        raise EffectError("the smallest or largest of no times is asked for")
    return found


def to_rank(time: Value, budget: float) -> float:
    """A number to rank times by: the middle of the interval in log steps, and the budget for a time that is censored."""
    if budget <= 0:
        raise EffectError(f"a budget is above 0, found {budget:g}")
    if math.isinf(time.high) or time.high >= budget:
        return float(budget)
    return math.sqrt(max(time.low, 1.0) * max(time.high, 1.0))


def lasting_fall(steps: Sequence[float], values: Sequence[float], share: float = 0.95) -> Value:
    """When a curve falls below `share` of its largest value so far and stays there to its end; open where it does not.

    The record before, and the first one below. Raises EffectError for fewer than two records, or values that are not positive.
    """
    if len(steps) != len(values) or len(steps) < 2 or not min(values) > 0:
        raise EffectError(f"a fall is sought in two or more positive values at as many steps, found {len(values)} at {len(steps)}")
    largest, above = 0.0, 0
    for record, value in enumerate(values):
        largest = max(largest, value)
        if value >= share * largest:
            above = record
    return Value(float(steps[above]), math.inf if above == len(steps) - 1 else float(steps[above + 1]))
