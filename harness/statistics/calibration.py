"""Calibration: how often a claim's own verdicts are right, as rates with intervals and what they rest on."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from ..effect import Value
from ..errors import UsageError
from ..region import Region
from ..verdict import Verdict
from . import order_statistics, rates
from .betting import Array
from .designs import LEVEL, Design, Seeds
from .judge import judge

if TYPE_CHECKING:
    from numpy.random import Generator
    from scipy import optimize
else:
    from ..lazy import LazyModule

    optimize = LazyModule("scipy.optimize")

Replicates = Sequence[Mapping[str, Value]]

#: How far inside a region without another edge, in parts of the edge, on the linear scale and on the others.
DEEP, DEEP_LOG = 1e6, 10.0

#: From this many whole verdicts on a rate is measured directly.
WHOLE_VERDICTS = 36
#: Power must be at least this; the upper limit of false support must lie below that.
LEAST_POWER, MOST_FALSE = 0.9, 0.1


@dataclass(frozen=True)
class SupportRate:
    """The share of verdicts that are SUPPORTED, with its 95 % interval.

    `independent` is the number of independent verdicts it rests on. Only a `direct` rate (36 or more whole verdicts,
    each from replicates of its own) or an `exact` one (enumerated, no verdict needed) can meet a bound; a `resampled`
    one, or one `borrowed` from a claim of the same protocol, never does.
    """

    share: float
    low: float
    high: float
    independent: int
    tier: Literal["direct", "exact", "resampled", "borrowed", "too few"]

    @property
    def powerful(self) -> bool:
        """On a positive control: directly measured, and at least nine in ten."""
        return self.tier == "direct" and self.share >= LEAST_POWER

    @property
    def honest(self) -> bool:
        """On a negative control or at the edge: directly measured or exact, and surely below one in ten."""
        return self.tier in ("direct", "exact") and self.high < MOST_FALSE


def direct(verdicts: Sequence[Verdict]) -> SupportRate:
    """From whole verdicts, each on fresh replicates: the exact interval of Clopper and Pearson."""
    n, supported = len(verdicts), sum(verdict is Verdict.SUPPORTED for verdict in verdicts)
    if not n:
        raise UsageError("a support rate needs at least one verdict, found none")
    low, high = rates.interval(supported, supported, n, (1 - LEVEL) / 2)
    return SupportRate(supported / n, low, high, n, "direct" if n >= WHOLE_VERDICTS else "too few")


def resampled(
    pool: Replicates, regions: Mapping[str, Region], design: Design, *, rng: Generator, verdicts: int = 200
) -> SupportRate:
    """From a pool of stored replicates: verdicts on replicates drawn from it with replacement.

    Its interval is that of the pool: the whole thing again on pools drawn from the pool, joined with the exact interval
    of as many independent verdicts as the pool holds, since a pool without spread knows no better.
    """
    if not pool:
        raise UsageError("a support rate needs a pool of replicates, found none")

    def share(indices: NDArray[np.int64], draws: int) -> float:
        supported = 0
        for _ in range(draws):
            chosen = rng.choice(indices, design.most)
            supported += judge([pool[int(i)] for i in chosen], regions, design).verdict is Verdict.SUPPORTED
        return supported / draws

    everything = np.arange(len(pool))
    found = share(everything, verdicts)
    again = [share(rng.choice(everything, len(pool)), max(10, verdicts // 10)) for _ in range(100)]
    independent = len(pool) // design.most
    low, high = (float(end) for end in np.quantile(again, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    events = math.floor(found * independent), math.ceil(found * independent)
    exact = rates.interval(*events, independent, (1 - LEVEL) / 2) if independent else (0.0, 1.0)
    return SupportRate(found, min(low, exact[0]), max(high, exact[1]), independent, "resampled")


def supportable(replicates: Replicates, regions: Mapping[str, Region], design: Seeds) -> bool:
    """Whether seeds can still come out SUPPORTED: as they would if all further ones lay deep inside their regions.

    Order statistics and counts only gain from that, so where the answer is no a support rate needs no further seed.
    """
    best = {name: deep_inside(region) for name, region in regions.items()}
    filled = [*replicates, *[best] * (design.most - len(replicates))]
    return judge(filled, regions, design).verdict is Verdict.SUPPORTED


def deep_inside(region: Region) -> Value:
    """The effect that supports a region most: its middle, or far from its one edge; for a rate whether the event happens."""
    if region.of == "rate":
        return Value(*[float(math.isfinite(region.low))] * 2)
    edges = [region.forward(edge) for edge in region.edges]
    if len(edges) == 2:
        found = region.backward((edges[0] + edges[1]) / 2)
        return Value(found, found)
    inward = 1 if math.isfinite(region.low) else -1
    far = region.backward(edges[0] + inward * (DEEP if region.scale == "linear" else DEEP_LOG) * max(1.0, abs(edges[0])))
    return Value(far, far)


def at_the_edge(
    replicates: Replicates,
    regions: Mapping[str, Region],
    design: Design,
    *,
    only: str | None = None,
    typical_of: Replicates | None = None,
) -> list[dict[str, Value]]:
    """The replicates with effects moved so that their typical value lies on the edge of its region, where support is false.

    Of two edges on the nearer one, on the region's scale. Events cannot be moved: for a rate `UsageError` is raised (see
    `coins_at_the_edge`).

    Args:
        only: the effect to move. Of a conjunction one effect on its edge, the others where they are, is the hardest case.
        typical_of: replicates that say what is typical, by default the same ones. Others make the move independent of
            the replicates that are moved.
    """
    reference = replicates if typical_of is None else typical_of
    moved = [dict(one) for one in replicates]
    for name, region in regions.items():
        if only not in (None, name):
            continue
        if region.of == "rate":
            raise UsageError(f"effect {name!r} is an event, which cannot be moved to the edge; calibrate it by a control")
        lows, highs = _on_scale(reference, name, region)
        shifts = [(_shift(name, lows, highs, region.forward(edge), region, design), edge) for edge in region.edges]
        by, edge = min(shifts, key=lambda shift: abs(shift[0]))
        for one, low, high in zip(moved, *_on_scale(replicates, name, region), strict=True):
            one[name] = Value(*(_on_edge(region.backward(float(end) + by), edge) for end in (low, high)))
    return moved


def _on_edge(value: float, edge: float) -> float:
    """The edge itself where rounding alone parts a moved value from it: equal effects would all lie on one side of it."""
    return edge if math.isclose(value, edge, rel_tol=1e-12, abs_tol=1e-12) else value


def coins_at_the_edge(region: Region, design: Seeds) -> SupportRate:
    """How often a rate on the edge of its region is SUPPORTED: exact, over all outcomes of all looks; the worse edge."""
    return max((_coins(edge, region, design) for edge in region.edges), key=lambda rate: rate.share)


def _coins(edge: float, region: Region, design: Seeds) -> SupportRate:
    steps = np.diff([0, *design.looks])
    share = 0.0
    for counts in itertools.product(*(range(step + 1) for step in steps)):
        events = [e for step, count in zip(steps, counts, strict=True) for e in [1.0] * count + [0.0] * (int(step) - count)]
        if judge([{"event": Value(e, e)} for e in events], {"event": region}, design).verdict is Verdict.SUPPORTED:
            ways = math.prod(math.comb(int(step), count) for step, count in zip(steps, counts, strict=True))
            share += ways * edge ** sum(counts) * (1 - edge) ** (design.most - sum(counts))
    return SupportRate(share, share, share, 0, "exact")


def spread(replicates: Replicates, name: str, region: Region) -> float:
    """Largest minus smallest finite effect on the region's scale; 0 where all are equal or none is finite."""
    values = np.concatenate(_on_scale(replicates, name, region))
    finite = values[np.isfinite(values)]
    return float(np.ptp(finite)) if len(finite) else 0.0


def _on_scale(replicates: Replicates, name: str, region: Region) -> tuple[Array, Array]:
    return np.array([region.forward(one[name].low) for one in replicates]), np.array(
        [region.forward(one[name].high) for one in replicates]
    )


def _shift(name: str, lows: Array, highs: Array, edge: float, region: Region, design: Design) -> float:
    """What to add to every effect for its typical value (the median; of prompts the clipped mean) to lie on the edge."""
    with np.errstate(invalid="ignore"):  # open at both ends
        middles = lows / 2 + highs / 2
    typical = order_statistics.median(lows, highs) if len(lows) and isinstance(design, Seeds) else None
    if typical is not None:
        return edge - typical
    if isinstance(design, Seeds) or not len(lows) or not np.isfinite(middles).all():
        raise UsageError(f"effect {name!r} has no finite typical value in {len(lows)} replicates to move to the edge")
    bottom, top = design.range_of(name, region)
    return float(
        optimize.brentq(
            lambda by: float(np.clip(middles + by, bottom, top).mean()) - edge, bottom - middles.max(), top - middles.min()
        )
    )
