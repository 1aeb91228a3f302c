"""A confidence sequence for the mean of bounded values, by betting (Waudby-Smith and Ramdas 2024, JRSS B 86:1).

For each candidate mean m a gambler bets that the mean is larger: capital K(m) = prod(1 + bet_i (x_i - m)). If m is the
mean the capital is a nonnegative martingale whatever the distribution, so it ever reaches 1/error with probability at
most `error` (Ville), however often one looks. The lower limit is the smallest m whose capital never has. The bet of a
step depends on earlier values only (predictable plug-in) and is capped at 1/(2 m); the capital falls in m, so a
verdict needs its value at the region's edges only, and limits are found by bisection (to 1e-12, on the safe side).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: A bet risks at most this share of the capital.
RISK = 0.5


def bets(x: Array, error: float) -> Array:
    """The predictable plug-in bets for values in [0, 1], shape [n]; bet i depends on x[:i] only."""
    n = len(x)
    count = np.arange(1, n + 1)
    mean = (0.5 + np.cumsum(x)) / (count + 1)
    variance = (0.25 + np.cumsum((x - mean) ** 2)) / (count + 1)
    before = np.concatenate(([0.25], variance[:-1]))
    return np.asarray(np.sqrt(2 * math.log(1 / error) / (before * count * np.log(count + 1))))


def log_capital(x: Array, m: float, bet: Array) -> Array:
    """The log capital after each value, of betting that the mean of x (in [0, 1]) is above m; shape [n]."""
    capped = np.minimum(bet, RISK / m) if m > 0 else bet
    return np.cumsum(np.log1p(capped * (x - m)))


def first_crossing(path: Array, error: float, least: int) -> float:
    """After how many values (at least `least`) the capital has reached 1/error; infinite if it never does."""
    reached = np.flatnonzero(path >= -math.log(error))
    return float(max(int(reached[0]) + 1, least)) if len(reached) else math.inf


def lower_limit(x: Array, error: float) -> float:
    """The lower limit of the running intersection after all of x, values in [0, 1]; 0 when nothing is excluded."""
    if not len(x):
        return 0.0
    bet = bets(x, error)
    excluded, open_ = 0.0, 1.0
    while open_ - excluded > 1e-12:
        m = (excluded + open_) / 2
        if log_capital(x, m, bet).max() >= -math.log(error):
            excluded = m
        else:
            open_ = m
    return excluded
