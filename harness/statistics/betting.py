"""A confidence sequence for the mean of values in [0, 1], by betting (Waudby-Smith and Ramdas 2024, JRSS B 86:1).

For a candidate mean m a gambler who stakes the share c of the capital on "the mean is larger" multiplies it by
1 + c (x / m - 1) at every value x. If m is the mean and c was fixed before x was seen, the capital is a nonnegative
martingale, whatever the distribution, so it ever reaches 1/error with probability at most `error` (Ville), however
often one looks. A mixture of gamblers is one too. Four share the capital here:
- one stakes in proportion to m over the spread seen so far, so that a mean which a fixed design of the planned size
  would just find is found (the paper's bet for a fixed number of values, eq. 26, with the spread learnt on the way);
- three stake constant shares: small, for many more values than planned, and large, for effects that are clear at once.

The capital falls as m rises. So a verdict needs it at the region's edges only, exactly, and a limit of the interval is
found by root finding, rounded outwards. What was measured: docs/statistics.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy import optimize
else:
    from ..lazy import LazyModule

    optimize = LazyModule("scipy.optimize")

Array = NDArray[np.float64]

#: Shares of the capital that the constant gamblers stake.
STAKES = (0.2, 0.6, 0.97)
#: What they start with; the rest is the tuned gambler's.
WEIGHTS = (0.1, 0.1, 0.2)
#: No gambler stakes more than this, so that none is ever ruined.
MOST_STAKED = 0.97
#: The tuned gambler stakes this times m over (spread times root of the planned number).
TUNING = 2.8
#: The variance that the tuned gambler assumes before the first value, worth one value.
PRIOR_VARIANCE = 0.1
#: Limits are found to this part of the range.
TOLERANCE = 1e-9


def planned_stakes(x: Array, planned: float) -> Array:
    """What the tuned gambler stakes for each unit of m at each value of x, from the values before it; shape [n].

    `planned` is the number of values of a fixed design with power 0.9 at the smallest distance of interest.
    """
    n = np.arange(1, len(x) + 1)
    mean = (0.5 + np.cumsum(x)) / (n + 1)
    variance = (PRIOR_VARIANCE + np.cumsum((x - mean) ** 2)) / (n + 1)
    known = np.concatenate([[PRIOR_VARIANCE], variance[:-1]]) if len(x) else variance
    return TUNING / np.sqrt(known * planned)


@dataclass(frozen=True)
class Bets:
    """Bets that the mean of x (in [0, 1], in the order seen) is larger than a candidate."""

    x: Array
    stakes: Array

    @classmethod
    def on(cls, x: Array, planned: float) -> Bets:
        """Bets on x, tuned to `planned` values."""
        return cls(x, planned_stakes(x, planned))

    def first(self, n: int) -> Bets:
        """The bets on the first n values."""
        return Bets(self.x[:n], self.stakes[:n])

    def log_capital(self, m: float) -> Array:
        """The log capital after each value, betting that the mean is above m (0 < m < 1); shape [n]."""
        gains = np.empty((1 + len(STAKES), len(self.x)))
        gains[0] = np.minimum(self.stakes * m, MOST_STAKED)
        gains[1:] = np.array(STAKES)[:, None]
        gains *= self.x / m - 1
        paths = np.cumsum(np.log1p(gains), axis=1)
        top = paths.max(axis=0)
        start = np.array([1 - sum(WEIGHTS), *WEIGHTS])
        return np.asarray(top + np.log(start @ np.exp(paths - top)))

    def lower_limit(self, error: float) -> float:
        """The lower limit of the running intersection; every mean below it has been excluded at some time.

        0 when nothing is excluded.
        """
        goal = -math.log(error)

        def ahead(m: float) -> float:
            return float(self.log_capital(m).max()) - goal

        least = 1e-6
        if not len(self.x) or ahead(least) < 0:
            return 0.0
        # against m = 1 nothing can be won, so there is a root
        return max(least, float(optimize.brentq(ahead, least, 1.0, xtol=TOLERANCE)) - TOLERANCE)


def first_crossing(path: Array, error: float, least: int) -> float:
    """After how many values (at least `least`) the capital has reached 1/error; infinite if it never does."""
    reached = np.flatnonzero(path >= -math.log(error))
    return float(max(int(reached[0]) + 1, least)) if len(reached) else math.inf


def cashed(path: Array, error: float, n: int) -> float:
    """The capital after n values of a gambler who stops at 1/error: evidence (an e-value) against the candidate."""
    if not n:
        return 1.0
    reached = np.flatnonzero(path[:n] >= -math.log(error))
    return math.exp(min(float(path[reached[0] if len(reached) else n - 1]), 700.0))
