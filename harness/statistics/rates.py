"""Exact intervals for a rate (Clopper and Pearson 1934)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from ..region import Region

if TYPE_CHECKING:
    from scipy import special
else:
    from ..lazy import LazyModule

    special = LazyModule("scipy.special")


@lru_cache(maxsize=4096)
def lower_limit(events: int, n: int, error: float) -> float:
    """The rate at which `events` or more of n happen with probability `error`; 0 without events."""
    return 0.0 if events == 0 else float(special.betaincinv(events, n - events + 1, error))


@lru_cache(maxsize=4096)
def upper_limit(events: int, n: int, error: float) -> float:
    """The rate at which `events` or fewer of n happen with probability `error`; 1 when all are events."""
    return 1.0 if events == n else float(special.betaincinv(events + 1, n - events, 1 - error))


def interval(surely: int, perhaps: int, n: int, error: float) -> tuple[float, float]:
    """Clopper-Pearson limits with `error` on each side, of n > 0 replicates.

    `surely` counts the events known to have happened, `perhaps` also those that may have.
    """
    return lower_limit(surely, n, error), upper_limit(perhaps, n, error)


def nearest_deciding(region: Region, n: int, error: float) -> float | None:
    """The smallest distance from an edge at which an observed rate of n replicates decides; None where none does."""
    limits = {events / n: interval(events, events, n, error) for events in range(n + 1)}
    distances = [
        min(abs(rate - edge) for edge in region.edges)
        for rate, (low, high) in limits.items()
        if region.contains(low, high) or region.disjoint(low, high)
    ]
    return min(distances, default=None)
