"""Planning: from a few pilot replicates, how many are needed to see an effect that lies a stated distance from the edge.

The pilot says how effects spread, and nothing else: its own typical effect is moved to the stated distance. Pilot
replicates are burned; they never count towards a verdict.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..effect import Value
from ..errors import UsageError
from ..region import Region
from ..verdict import Verdict
from . import order_statistics
from .betting import Array
from .designs import Design, Prompts, Seeds
from .judge import judge

if TYPE_CHECKING:
    from numpy.random import Generator

#: The power that planning aims at.
POWER = 0.9
#: With fewer pilot replicates their spread says too little.
FEWEST = 4


@dataclass(frozen=True)
class Plan:
    """How a design fares at `distance` inside the region, over `draws` simulated runs.

    `power` is the share SUPPORTED within the design, `refuted` the share REFUTED (wrongly), `mean` the average number of
    replicates until the end. `needed` is the smallest number of replicates by which nine runs in ten are SUPPORTED,
    None where that takes more than `explored`.
    """

    distance: float
    power: float
    refuted: float
    mean: float
    needed: int | None
    explored: int
    draws: int


def default_distance(pilot: Sequence[Value], region: Region) -> float:
    """The distance d* to plan for where none is stated, on the region's scale.

    Half the width of a region with two edges (its middle); as far inside one edge as that lies from zero; for an edge at
    zero two standard deviations of the pilot, where seeds decide at once nearly always; four fifths of what is left to
    the end for a rate. Raises `UsageError` where a pilot without spread gives none.
    """
    if region.of == "rate":
        edge = region.edges[0]
        return 0.8 * (1 - edge if math.isfinite(region.low) else edge)
    edges = [region.forward(edge) for edge in region.edges]
    if len(edges) == 2:
        return (edges[1] - edges[0]) / 2
    if edges[0] != 0:
        return abs(edges[0])
    values = np.array([region.forward(value.low / 2 + value.high / 2) for value in pilot])
    finite = values[np.isfinite(values)]
    found = 2 * float(finite.std(ddof=1)) if len(finite) > 1 else 0.0
    if found <= 0:
        raise UsageError(f"a pilot of {len(pilot)} has no spread, and {region} gives no distance: say one with --at")
    return found


def plan(
    pilot: Sequence[Value],
    region: Region,
    distance: float,
    design: Design,
    *,
    rng: Generator,
    draws: int = 400,
    name: str | None = None,
) -> Plan:
    """Simulate whole runs of `design` for one effect that lies `distance` inside the edge of `region` (on its scale).

    Where the region has two edges, the distance is from the one nearer to the pilot's typical effect. Of prompts, more
    replicates than the design allows are explored, four times as many. For a rate the pilot is not used. `name` is the
    effect's, where a design bounds several; by default the first. Raises `UsageError` for too few pilot replicates, or a
    distance that leaves the region.
    """
    truth, spread = _scenario(pilot, region, distance, design)
    explored = design if isinstance(design, Seeds) else dataclasses.replace(design, most=4 * design.most)
    if name is None:
        name = next(iter(design.bounds), "effect") if isinstance(design, Prompts) else "effect"
    found = []
    for _ in range(draws):
        values = truth + spread[rng.integers(0, len(spread), explored.most)]
        if region.of == "rate":
            values = (rng.random(explored.most) < truth).astype(float)
        natural = [value if region.of == "rate" else region.backward(float(value)) for value in values]
        found.append(judge([{name: Value(float(x), float(x))} for x in natural], {name: region}, explored))
    right = sorted(one.n for one in found if one.verdict is Verdict.SUPPORTED)
    enough = math.ceil(POWER * draws)
    within = [one for one in found if one.n <= design.most]
    return Plan(
        distance,
        sum(one.verdict is Verdict.SUPPORTED for one in within) / draws,
        sum(one.verdict is Verdict.REFUTED for one in within) / draws,
        sum(min(one.n, design.most) for one in found) / draws,
        right[enough - 1] if len(right) >= enough else None,
        explored.most,
        draws,
    )


def _scenario(pilot: Sequence[Value], region: Region, distance: float, design: Design) -> tuple[float, Array]:
    """The true typical effect and what is added to it, both on the region's scale."""
    if region.of == "rate":
        edge, residuals, typical = region.edges[0], np.zeros(1), 0.0
        inward = 1 if math.isfinite(region.low) else -1
    else:
        values = np.array([region.forward(value.low / 2 + value.high / 2) for value in pilot])
        values = values[np.isfinite(values)]
        if len(values) < FEWEST:
            raise UsageError(f"a plan needs at least {FEWEST} pilot replicates with a finite effect, found {len(values)}")
        middle = order_statistics.median(values, values) if isinstance(design, Seeds) else float(values.mean())
        typical = middle or 0.0
        # about their own middle, n values spread less than about the true one
        residuals = (values - typical) * math.sqrt(len(values) / (len(values) - 1))
        edge = min((region.forward(edge) for edge in region.edges), key=lambda edge: abs(edge - typical))
        inward = 1 if edge == region.forward(region.low) else -1
    truth = edge + inward * distance
    if distance <= 0 or not region.low < region.backward(truth) < region.high:
        raise UsageError(f"a distance of {distance:g} from the edge does not lie inside {region}; give one that does")
    if region.of == "rate" and not 0 < truth < 1:
        raise UsageError(f"a rate of {truth:g} is none; give a smaller distance than {distance:g}")
    return truth, residuals
