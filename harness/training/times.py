"""Times to a criterion read off recorded curves, as intervals that are open where the run ended first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..effect import Value
from ..errors import DeclarationError
from .recipe import Stop


class Curve(Protocol):
    """A run with a curve: `Run`, or what a claim receives as an arm."""

    @property
    def curve(self) -> Sequence[Mapping[str, float]]: ...


def steps_to(run: Curve, metric: str, *, above: float | None = None, below: float | None = None, times: int = 1) -> Value:
    """Steps until `metric` is above (or below) a level at `times` records in a row, as the interval in which that happened.

    Low: the last record before (0 if there is none); high: the record at which it held first. A run that never gets there is
    censored: low is its last record and high is infinite, whether its budget ended or it diverged.
    """
    stop = Stop(metric, above, below, times)
    last, row, start = 0.0, 0, (0.0, 0.0)
    for point in run.curve:
        step = float(point["step"])
        reached = stop.reached(value_of(point, metric))
        if reached and row == 0:
            start = (last, step)
        row = row + 1 if reached else 0
        if row >= times:
            return Value(*start)
        last = step
    return Value(start[0] if row else last, math.inf)


def log_ratio(one: Value, other: Value) -> Value:
    """Logarithm of one time over another: an interval that holds every ratio of what the two may be. Unit: nats of steps."""
    return Value(_log(one.low) - _log(other.high), _log(one.high) - _log(other.low))


def value_of(point: Mapping[str, float], metric: str) -> float:
    """A metric of a record; DeclarationError names those that there are."""
    if metric not in point:
        raise DeclarationError(f'the curve has no "{metric}"; it has {", ".join(point)}')
    return float(point[metric])


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def metrics_of(run: Any, metric: str) -> tuple[list[float], list[float]]:
    """(steps, values) of a metric over a run, for the measures of curves."""
    return [float(point["step"]) for point in run.curve], [value_of(point, metric) for point in run.curve]
