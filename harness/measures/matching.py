"""Comparisons at matched loss: what a run was like when its loss was another's, so that mere undertraining is no difference."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..effect import Value
from ..errors import EffectError, NotApplicable


def when_matched(losses: Sequence[float], level: float, measured: Sequence[float]) -> Value:
    """What was measured when a falling loss first came to `level`: between the records around that time.

    Args:
        losses: of a run at its records, in order.
        level: the loss at which the run is compared with another.
        measured: at the same records.

    Returns:
        The smaller and the larger of the values at the first record at or below `level` and at the one before it.

    Raises:
        NotApplicable: the loss never comes to the level.
        EffectError: the two do not have the same records.
    """
    loss, value = np.asarray(losses, dtype=float), np.asarray(measured, dtype=float)
    if loss.shape != value.shape or not loss.size:
        raise EffectError(f"matched loss: {loss.size} losses and {value.size} values; need as many, at least one")
    reached = np.flatnonzero(loss <= level)
    if not len(reached):
        raise NotApplicable(f"no matched loss: it falls to {loss.min():.3f} and the other's is {level:.3f}")
    around = value[max(0, reached[0] - 1) : reached[0] + 1]
    return Value(float(around.min()), float(around.max()))


def step_at(steps: Sequence[float], losses: Sequence[float], level: float) -> Value:
    """The step at which a falling loss first came to `level`, on the line between the records around it.

    Open beyond the last record where it never does; anything up to the first record where it was there already.
    """
    step, loss = np.asarray(steps, dtype=float), np.asarray(losses, dtype=float)
    if step.shape != loss.shape or not step.size:
        raise EffectError(f"step at a loss: {step.size} steps and {loss.size} losses; need as many, at least one")
    reached = np.flatnonzero(loss <= level)
    if not len(reached):
        return Value(float(step[-1]), math.inf)
    if not (after := int(reached[0])):
        return Value(0.0, float(step[0]))
    before = after - 1
    found = float(step[before] + (step[after] - step[before]) * (loss[before] - level) / (loss[before] - loss[after]))
    return Value(found, found)


def last_mean(values: Sequence[float], records: int = 3) -> float:
    """Mean of the last records of a curve, against the noise of a constant rate."""
    return float(np.mean(np.asarray(values, dtype=float)[-records:]))
