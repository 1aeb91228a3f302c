"""What a curve over training does: when it gets somewhere, where it dwells, where it jumps, what it moves with.

Steps are compared as logarithms: learning takes as long from 100 to 200 as from 1,000 to 2,000.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..effect import Value
from ..errors import EffectError, NotApplicable

Array = NDArray[np.float64]
#: A curve of fewer records has no shape to speak of.
RECORDS = 8


def time_to(steps: Sequence[float], values: Sequence[float], level: float, *, falling: bool = False) -> Value:
    """When the curve first reaches `level`: after one record (or 0) and by the next; open where it never does."""
    x, y = _curve(steps, values, least=1)
    reached = np.flatnonzero(y <= level if falling else y >= level)
    if not len(reached):
        return Value(float(x[-1]), math.inf)
    first = int(reached[0])
    return Value(float(x[first - 1]) if first else min(0.0, float(x[0])), float(x[first]))


def plateau_index(
    steps: Sequence[float],
    values: Sequence[float],
    *,
    level: float,
    within: float,
    leaving: float,
    reaching: float,
    scale: Literal["linear", "log"] = "linear",
) -> float:
    """How much longer the curve dwells within `level` ± `within` than a smooth one, as a share of its log steps.

    Counted between the last time before `reaching` at which it had not left `leaving` and the first at which it has
    reached `reaching` (or its end). The smooth null moves steadily from the one to the other in log steps (on the
    scale "log" a power law, as smooth losses are), so it dwells in proportion to the width of the band; 0 means no
    plateau, near 1 nothing else. `NotApplicable` where the curve never leaves.
    """
    x, y = _curve(steps, values)
    if x[0] <= 0:
        raise EffectError(f"a plateau is counted in log steps, so steps must be above 0, found {x[0]:g}")
    low, high = sorted((leaving, reaching))
    band = max(low, level - within), min(high, level + within)
    if scale == "log":
        if min(low, y.min()) <= 0:
            raise EffectError(f"the log scale needs values above 0, found {min(low, float(y.min())):g}")
        y, leaving, reaching = np.log(y), math.log(leaving), math.log(reaching)
        band = math.log(band[0]), math.log(band[1])
    if not band[0] < band[1]:
        raise EffectError(f"{level:g} ± {within:g} lies outside {low:g} to {high:g}, between which a plateau is sought")
    fine_x, fine_y = _fine(np.log(x), y)
    rise = (fine_y - leaving) / (reaching - leaving)  # 0 where it sets out, 1 where it arrives
    arrived = np.flatnonzero(rise >= 1)
    end = int(arrived[0]) if len(arrived) else len(rise) - 1
    waiting = np.flatnonzero(rise[: end + 1] <= 0)
    start = int(waiting[-1]) if len(waiting) else 0
    if start == end:
        raise NotApplicable(f"a plateau is sought between {low:g} and {high:g}; the curve spends no time there")
    inside = (fine_y[start:end] >= band[0]) & (fine_y[start:end] <= band[1])
    spent = np.diff(fine_x[start : end + 1])
    return float(spent[inside].sum() / spent.sum()) - (band[1] - band[0]) / abs(reaching - leaving)


def change_points(steps: Sequence[float], values: Sequence[float], *, smallest: float, most: int = 4) -> list[Value]:
    """Where the curve jumps from one level to another: for each jump the records between which it does.

    The curve is cut into constant pieces by least squares (exact, dynamic programming), into as many as have jumps of
    at least `smallest` between all neighbours, at most `most` jumps. Empty for a curve without any.
    """
    x, y = _curve(steps, values)
    best: list[int] = []
    for number in range(1, min(most, len(y) - 1) + 1):
        cuts = _cuts(y, number)
        levels = [piece.mean() for piece in np.split(y, cuts)]
        if np.abs(np.diff(levels)).min() >= smallest:
            best = cuts
    return [Value(float(x[cut - 1]), float(x[cut])) for cut in best]


def co_movement(x: Sequence[float], y: Sequence[float], *, lag: int = 0) -> float:
    """Correlation of the changes of two curves of one run, beyond that of shifted ones; -1 to 1, about 0 by chance.

    Two curves that both drift correlate whatever they have to do with each other. So records are differenced, and the
    mean correlation over all shifts of y by a quarter of its length or more (around the end) is taken off. With `lag`,
    y is compared that many records later.
    """
    one, other = _changes(x, y, lag)
    return _correlation(one, other) - float(np.mean([_correlation(one, np.roll(other, s)) for s in _shifts(len(one))]))


def shifted_correlations(x: Sequence[float], y: Sequence[float], *, lag: int = 0) -> tuple[float, list[float]]:
    """The correlation of the changes of two curves and those with y shifted: what `rank_p` needs."""
    one, other = _changes(x, y, lag)
    return _correlation(one, other), [_correlation(one, np.roll(other, shift)) for shift in _shifts(len(one))]


def _changes(x: Sequence[float], y: Sequence[float], lag: int) -> tuple[Array, Array]:
    one, other = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if len(one) != len(other) or len(one) < RECORDS + abs(lag) + 1:
        raise EffectError(
            f"co-movement needs two curves of equal length, at least {RECORDS + abs(lag) + 1} records,"
            f" found {len(one)} and {len(other)}"
        )
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        raise EffectError("co-movement needs finite values, found NaN or infinity")
    one, other = np.diff(one), np.diff(other)
    return (one[: len(one) - lag], other[lag:]) if lag >= 0 else (one[-lag:], other[:lag])


def _shifts(n: int) -> range:
    return range(n // 4, n - n // 4 + 1)


def _correlation(one: Array, other: Array) -> float:
    a, b = one - one.mean(), other - other.mean()
    size = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / size if size > 0 else 0.0


def _fine(x: Array, y: Array) -> tuple[Array, Array]:
    """The curve with straight lines between its records, in a thousand equal parts."""
    fine = np.linspace(x[0], x[-1], 1001)
    return fine, np.interp(fine, x, y)


def _cuts(y: Array, number: int) -> list[int]:
    """The `number` places that cut y into pieces with the least sum of squares within."""
    n = len(y)
    sums, squares = np.append(0.0, np.cumsum(y)), np.append(0.0, np.cumsum(y**2))

    def within(start: NDArray[np.int64], end: int) -> Array:
        return np.asarray(squares[end] - squares[start] - (sums[end] - sums[start]) ** 2 / (end - start))

    cost = np.array([np.inf, *(float(within(np.array([0]), end)[0]) for end in range(1, n + 1))])
    back = []
    for _ in range(number):
        last, cost, came = cost, np.full(n + 1, np.inf), np.zeros(n + 1, dtype=np.int64)
        for end in range(2, n + 1):
            starts = np.arange(1, end)
            totals = last[starts] + within(starts, end)
            came[end] = starts[int(totals.argmin())]
            cost[end] = totals.min()
        back.append(came)
    cuts, end = [], n
    for came in reversed(back):
        end = int(came[end])
        cuts.append(end)
    return cuts[::-1]


def _curve(steps: Sequence[float], values: Sequence[float], least: int = RECORDS) -> tuple[Array, Array]:
    x, y = np.asarray(steps, dtype=float), np.asarray(values, dtype=float)
    if len(x) != len(y) or len(x) < least:
        raise EffectError(f"a curve needs a value for each of at least {least} steps, found {len(y)} for {len(x)}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()) or (np.diff(x) <= 0).any():
        raise EffectError("a curve needs finite values at rising steps")
    return x, y
