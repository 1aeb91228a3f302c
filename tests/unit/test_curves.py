"""Curves over training: when, how long, where they jump, and what they move with; on curves of known shape."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from claimbench.effect import Value
from claimbench.errors import EffectError, NotApplicable
from claimbench.measures.curves import (
    change_points,
    co_movement,
    plateau_index,
    shifted_correlations,
    time_to,
)
from claimbench.measures.randomization import rank_p

STEPS = np.geomspace(10, 10_000, 200)
LOG = np.log(STEPS / 10) / math.log(1000)  # 0 to 1


def jump(at: float, width: float = 0.01) -> np.ndarray:
    return 1 / (1 + np.exp(-(LOG - at) / width))


def test_the_time_to_a_level_lies_between_two_records():
    assert time_to([10, 20, 30], [0.1, 0.6, 0.9], 0.5) == Value(10, 20)
    assert time_to([10, 20, 30], [0.1, 0.2, 0.3], 0.5) == Value(30, math.inf)
    assert time_to([10, 20, 30], [0.9, 0.2, 0.3], 0.5) == Value(0, 10)
    assert time_to([10, 20, 30], [3.0, 2.0, 1.0], 2.0, falling=True) == Value(10, 20)
    assert time_to([10], [1.0], 0.5) == Value(0, 10)


def dwell(values: np.ndarray, level: float = 0.5, **options: object) -> float:
    chosen = {"level": level, "within": 0.05, "leaving": 0.1, "reaching": 0.9, **options}
    return plateau_index(STEPS, values, **chosen)


def test_a_steady_curve_has_no_plateau_and_two_jumps_have_one():
    assert dwell(LOG) == pytest.approx(0, abs=0.01)
    assert dwell(jump(0.5)) < 0.05  # one jump: no plateau half way
    two = (jump(0.2) + jump(0.8)) / 2
    assert dwell(two) > 0.7
    assert dwell(two, level=0.8) < 0
    assert dwell(1 - two, leaving=0.9, reaching=0.1) == pytest.approx(dwell(two))


def test_a_power_law_is_smooth_on_the_log_scale():
    loss = 4.0 * (STEPS / 10) ** -0.4
    options = {"level": 1.0, "within": 0.1, "leaving": 3.5, "reaching": 0.3, "scale": "log"}
    assert plateau_index(STEPS, loss, **options) == pytest.approx(0, abs=0.01)
    stuck = np.where((LOG > 0.3) & (LOG < 0.8), 1.0, loss)
    assert plateau_index(STEPS, np.minimum.accumulate(stuck), **options) > 0.2


def test_a_curve_that_never_arrives_is_counted_to_its_end():
    half = jump(0.2) / 2
    assert dwell(half) > 0.8
    assert dwell(half + 0.2, level=0.7, leaving=0.05) > 0.6  # it starts above the level it leaves


def test_curves_without_a_stretch_to_dwell_in():
    with pytest.raises(NotApplicable, match="spends no time"):
        dwell(np.zeros(200))
    with pytest.raises(EffectError, match="lies outside"):
        dwell(LOG, level=2.0)
    with pytest.raises(EffectError, match="above 0, found 0"):
        plateau_index(np.arange(9), np.arange(9), level=4, within=1, leaving=0, reaching=8)
    with pytest.raises(EffectError, match="values above 0"):
        dwell(LOG, scale="log")


@pytest.mark.parametrize(
    ("steps", "values", "match"),
    [
        ([1, 2], [1, 2], "at least 8"),
        (range(9), range(8), "found 8 for 9"),
        ([*range(8), 7], range(9), "rising steps"),
        (range(9), [math.nan] * 9, "finite"),
    ],
)
def test_what_is_no_curve_is_refused(steps, values, match):
    with pytest.raises(EffectError, match=match):
        change_points(steps, values, smallest=0.1)


def test_change_points_are_found_between_the_records_where_they_are():
    rng = np.random.default_rng(0)
    values = np.concatenate([np.full(20, 0.3), np.full(15, 0.7), np.full(25, 1.0)]) + rng.normal(0, 0.02, 60)
    steps = np.arange(10, 610, 10)
    assert change_points(steps, values, smallest=0.1) == [Value(200, 210), Value(350, 360)]
    assert change_points(steps, values, smallest=0.1, most=1) in ([Value(200, 210)], [Value(350, 360)])
    assert change_points(steps, rng.normal(0, 0.02, 60), smallest=0.1) == []


def test_cuts_are_the_best_of_all():
    values = np.random.default_rng(1).normal(size=10).round(2)

    def within(cuts: tuple[int, ...]) -> float:
        return sum(((piece - piece.mean()) ** 2).sum() for piece in np.split(values, cuts))

    for number in (1, 2, 3):
        found = change_points(range(1, 11), values, smallest=0.0, most=number)
        best = min(itertools.combinations(range(1, 10), number), key=within)
        assert [int(one.low) for one in found] == list(best)


def wander(rng: np.random.Generator, n: int = 120) -> np.ndarray:
    return np.cumsum(rng.normal(size=n))


def test_two_curves_that_only_drift_do_not_move_together():
    rng = np.random.default_rng(2)
    naive, found = [], []
    for _ in range(200):
        x, y = wander(rng) + 0.5 * np.arange(120), wander(rng) + 0.5 * np.arange(120)
        naive.append(np.corrcoef(x, y)[0, 1])
        found.append(co_movement(x, y))
    assert np.median(naive) > 0.9
    assert abs(np.median(found)) < 0.03 and np.quantile(np.abs(found), 0.95) < 0.25


def test_two_curves_that_change_together_do_also_with_a_lag():
    rng = np.random.default_rng(3)
    x = wander(rng)
    y = x + 0.3 * wander(rng)
    assert co_movement(x, y) > 0.8
    late = np.concatenate([np.zeros(5), y[:-5]])
    assert co_movement(x, late, lag=5) > 0.8 and co_movement(late, x, lag=-5) > 0.8
    assert abs(co_movement(x, late)) < 0.4
    observed, shifted = shifted_correlations(x, y)
    assert observed - np.mean(shifted) == pytest.approx(co_movement(x, y))
    assert len(shifted) >= 39 and rank_p(observed, shifted) == 1 / (1 + len(shifted))


def test_constant_curves_move_with_nothing_and_short_ones_are_refused():
    assert co_movement(np.ones(20), np.arange(20.0)) == 0
    with pytest.raises(EffectError, match="at least 9 records"):
        co_movement(np.ones(5), np.ones(5))
    with pytest.raises(EffectError, match="at least 14 records"):
        co_movement(np.ones(12), np.ones(12), lag=-5)
    with pytest.raises(EffectError, match="finite"):
        co_movement([math.nan] * 20, np.ones(20))
