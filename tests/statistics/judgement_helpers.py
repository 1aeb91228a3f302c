"""What the tests of judgement share: short ways to judge plain numbers."""

from __future__ import annotations

from collections.abc import Sequence

from claimbench.effect import Value, as_effects
from claimbench.region import Region
from claimbench.statistics import Design, Judgement, Seeds, judge


def judged(raw: Sequence[object], regions: Region | dict[str, Region], design: Design | None = None) -> Judgement:
    """The judgement on what a claim function returned, replicate by replicate."""
    regions = {"effect": regions} if isinstance(regions, Region) else regions
    return judge([as_effects(one, regions) for one in raw], regions, design or Seeds())


def points(numbers: Sequence[float]) -> list[dict[str, Value]]:
    """Replicates with one exact effect."""
    return [{"effect": Value(float(x), float(x))} for x in numbers]
