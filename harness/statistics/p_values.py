"""P-values of seeds, exact over all looks, for a suite of claims; the verdict itself needs none.

Beyond an edge lie Binomial(n, rate) of n seeds, where the rate is 1/2 for a median on the edge and the edge itself for
the rate of an event. A test stops at the first look at which enough seeds lie beyond the edge, or too few; a result is
as extreme as another if it stopped earlier in this direction or, at the same look, with more of them beyond (stagewise
ordering; Jennison and Turnbull, *Group Sequential Methods*, 8.4).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..region import Region
from .betting import Array
from .designs import FEWEST_SEEDS, LEVEL, Seeds
from .order_statistics import rank_for

Ends = Mapping[str, tuple[Array, Array]]


@dataclass(frozen=True)
class Look:
    """With `most` or more of n seeds beyond the edge a test stops for the effect; with `least` or fewer, against it."""

    n: int
    least: int
    most: int


@dataclass(frozen=True)
class Edge:
    """One edge, of a rate or (at rate 1/2) of a median: which seeds lie beyond it, in index order."""

    beyond: NDArray[np.bool_]
    rate: float
    median: bool

    def count(self, n: int) -> int:
        """How many of the first n lie beyond the edge."""
        return int(self.beyond[:n].sum())

    def looks(self, design: Seeds, last: int) -> tuple[Look, ...]:
        """The looks up to `last`, with the counts that stop this test."""
        numbers = [n for n in design.looks if FEWEST_SEEDS <= n <= last]
        if self.median:
            return tuple(Look(n, rank_for(n, LEVEL) - 1, n + 1 - rank_for(n, LEVEL)) for n in numbers)
        return tuple(critical(n, self.rate, design.error_at(n)) for n in numbers)

    def p_value(self, design: Seeds, last: int) -> float:
        """One-sided, at the look at which this test stopped for the effect; 1 if it did not up to `last`."""
        looks = self.looks(design, last)
        for i, look in enumerate(looks):
            if self.count(look.n) >= look.most:
                return stagewise(looks[: i + 1], self.rate, self.count(look.n))
        return 1.0


def of_support(ends: Ends, regions: Mapping[str, Region], design: Seeds, look: int) -> float:
    """One-sided p-value of a SUPPORTED at `look`, against "the finding does not hold": that of the weakest edge."""
    edges = [edge for name, region in regions.items() for edge in inside(*ends[name], region)]
    return max(edge.p_value(design, look) for edge in edges)


def of_refutation(ends: Ends, regions: Mapping[str, Region], design: Seeds, look: int) -> float:
    """P-value of a REFUTED at `look`, against "the finding holds": that of the strongest edge, times their number."""
    edges = [edge for name, region in regions.items() for edge in outside(*ends[name], region)]
    if len(regions) == 1:
        return min(1.0, len(edges) * min(edge.p_value(design, look) for edge in edges))
    # a conjunction is refuted at the last look only, whatever went before
    return min(1.0, len(edges) * min(tail(look, edge.rate, edge.count(look)) for edge in edges))


def inside(lows: Array, highs: Array, region: Region) -> Iterator[Edge]:
    """Against each edge, the claim that the typical effect lies on its side of the region."""
    rate = region.of == "rate"
    if math.isfinite(region.low):
        yield Edge(lows == 1, region.low, False) if rate else Edge(lows > region.low, 0.5, True)
    if math.isfinite(region.high):
        yield Edge(highs == 0, 1 - region.high, False) if rate else Edge(highs < region.high, 0.5, True)


def outside(lows: Array, highs: Array, region: Region) -> Iterator[Edge]:
    """Against each edge, the claim that the typical effect lies on the other side; an edge is itself outside."""
    rate = region.of == "rate"
    if math.isfinite(region.low):
        yield Edge(highs == 0, 1 - region.low, False) if rate else Edge(highs <= region.low, 0.5, True)
    if math.isfinite(region.high):
        yield Edge(lows == 1, region.high, False) if rate else Edge(lows >= region.high, 0.5, True)


@lru_cache(maxsize=4096)
def tail(n: int, rate: float, count: int) -> float:
    """P(Binomial(n, rate) >= count)."""
    return float(sum(_mass(n, rate, i) for i in range(count, n + 1)))


@lru_cache(maxsize=4096)
def critical(n: int, rate: float, error: float) -> Look:
    """The counts at which an exact test of a rate stops, with at most `error` on each side."""
    most = next(count for count in range(n + 2) if tail(n, rate, count) <= error)
    least = max(count for count in range(-1, n + 1) if 1 - tail(n, rate, count + 1) <= error)
    return Look(n, least, most)


@lru_cache(maxsize=4096)
def stagewise(looks: tuple[Look, ...], rate: float, count: int) -> float:
    """The probability of stopping for the effect before the last of `looks`, or of `count` or more beyond at it."""
    going, seen, stopped = {0: 1.0}, 0, 0.0
    for look in looks[:-1]:
        going = _after(going, look.n - seen, rate)
        stopped += sum(p for beyond, p in going.items() if beyond >= look.most)
        going = {beyond: p for beyond, p in going.items() if look.least < beyond < look.most}
        seen = look.n
    going = _after(going, looks[-1].n - seen, rate)
    return float(stopped + sum(p for beyond, p in going.items() if beyond >= count))


def _after(going: Mapping[int, float], more: int, rate: float) -> dict[int, float]:
    """The distribution of how many lie beyond the edge after `more` seeds."""
    carried: dict[int, float] = {}
    for beyond, p in going.items():
        for i in range(more + 1):
            carried[beyond + i] = carried.get(beyond + i, 0.0) + p * _mass(more, rate, i)
    return carried


def _mass(n: int, rate: float, i: int) -> float:
    return float(math.comb(n, i) * rate**i * (1 - rate) ** (n - i))
