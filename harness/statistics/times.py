"""Times to an event over runs, some of which never see it: shown beside the paired log ratios, never judged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..effect import Value
from ..errors import EffectError
from .betting import Array
from .designs import LEVEL
from .means import t_interval

if TYPE_CHECKING:
    from scipy import stats
else:
    from ..lazy import LazyModule

    stats = LazyModule("scipy.stats")

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class RestrictedMean:
    """The mean time up to a budget: `events` of `n` runs saw the event within it; interval None below two runs."""

    mean: float
    low: float | None
    high: float | None
    events: int
    n: int


def restricted_mean(times: Sequence[Value], budget: float) -> RestrictedMean:
    """The area under the Kaplan-Meier curve up to `budget`, with Student's interval of its pseudo-values.

    A time with an open end is one that had not happened by its lower end; else it is seen at its upper end.
    """
    observed, seen = _within(times, budget)
    n, mean = len(observed), _area(observed, seen, budget)
    if n < 2:
        return RestrictedMean(mean, None, None, int(seen.sum()), n)
    kept = ~np.eye(n, dtype=bool)
    pseudo = np.array([n * mean - (n - 1) * _area(observed[keep], seen[keep], budget) for keep in kept])
    low, high = t_interval(pseudo, pseudo, LEVEL)
    return RestrictedMean(mean, low, high, int(seen.sum()), n)


@dataclass(frozen=True)
class Survival:
    """A Kaplan-Meier curve: `left[k]` of the runs have not seen the event from `at[k]` on, all of them before the first.

    censored: when the runs ended, or the budget did, that did not see it.
    """

    at: Array
    left: Array
    censored: Array


def survival(times: Sequence[Value], budget: float) -> Survival:
    """The curve whose area up to `budget` is `restricted_mean`; times are read as there."""
    observed, seen = _within(times, budget)
    at, left = _kaplan_meier(observed, seen, budget)
    falls = np.diff(left, prepend=1.0) < 0
    return Survival(at[falls], left[falls], np.sort(observed[~seen]))


def log_rank(one: Sequence[Value], other: Sequence[Value]) -> float:
    """Two-sided p-value of the log-rank test that two arms have the same times; 1 where no run sees the event.

    It takes the arms for independent, which runs of one seed are not: shown, never judged.
    """
    arms = [_split(times) for times in (one, other)]
    if not all(len(observed) for observed, _ in arms):
        raise EffectError("a log-rank test needs runs in both arms, found none in one")
    if not any(seen.any() for _, seen in arms):
        return 1.0
    with np.errstate(invalid="ignore", divide="ignore"):
        p_value = float(stats.logrank(*(_censored(observed, seen) for observed, seen in arms)).pvalue)
    return 1.0 if math.isnan(p_value) else p_value  # one time for all: nothing to tell apart


def _within(times: Sequence[Value], budget: float) -> tuple[Array, Mask]:
    """`_split`, with the runs that saw the event after the budget not seen to it."""
    observed, seen = _split(times)
    if not len(observed):
        raise EffectError("a mean time needs at least one run, found none")
    return np.minimum(observed, budget), seen & (observed <= budget)


def _split(times: Sequence[Value]) -> tuple[Array, Mask]:
    """Observed times, and whether the event was seen; a time that is open below too says nothing and stays at zero."""
    seen = np.array([math.isfinite(time.high) for time in times], dtype=bool)
    observed = np.array([time.high if math.isfinite(time.high) else max(0.0, time.low) for time in times])
    return observed, seen


def _censored(observed: Array, seen: Mask) -> stats.CensoredData:
    return stats.CensoredData(uncensored=observed[seen], right=observed[~seen])


def _area(observed: Array, seen: Mask, budget: float) -> float:
    """Under the Kaplan-Meier curve from 0 to `budget`."""
    at, left = _kaplan_meier(observed, seen, budget)
    return float(np.concatenate([[1.0], left]) @ np.diff(np.concatenate([[0.0], at, [budget]])))


def _kaplan_meier(observed: Array, seen: Mask, budget: float) -> tuple[Array, Array]:
    """Times up to `budget` at which the curve may fall, and what is left from there on."""
    if not seen.any():
        return np.zeros(0), np.zeros(0)
    survival = stats.ecdf(_censored(observed, seen)).sf
    within = survival.quantiles <= budget
    return survival.quantiles[within], survival.probabilities[within]
