"""From raw numbers to effects: differences, trends, orderings, interactions, existence, levels, times."""

from __future__ import annotations

import math

import numpy as np
import pytest
from claimbench.effect import Value
from claimbench.errors import EffectError
from claimbench.measures.effects import (
    difference,
    interaction,
    log_time_ratio,
    off_level,
    share,
    slope,
    smallest_gap,
    there,
    trend,
)


def test_a_difference_keeps_both_ends():
    assert difference(3.0, 1.0) == Value(2, 2)
    assert difference(Value(3, 4), Value(1, 2)) == Value(1, 3)
    assert difference(Value(3, math.inf), Value(1, math.inf)) == Value(-math.inf, math.inf)


def test_a_trend_is_rank_correlation_and_its_slope_is_not_moved_by_one_wild_level():
    assert trend([1, 2, 3, 4], [0.1, 0.2, 0.5, 9.0]) == pytest.approx(1)
    assert trend([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1)
    assert trend([1, 2, 3], [5, 5, 5]) == 0
    assert slope([0, 1, 2, 3, 4], [0, 2, 4, 6, 8]) == pytest.approx(2)
    assert slope([0, 1, 2, 3, 4, 5, 6], [0, 2, 4, 60, 8, 10, 12]) == pytest.approx(2)


@pytest.mark.parametrize("measure", [trend, slope])
@pytest.mark.parametrize(("levels", "values"), [([1, 2], [1, 2]), ([1, 1, 2, 2], [1, 2, 3, 4]), ([1, 2, 3], [1, 2]), ([], [])])
def test_a_trend_needs_three_levels(measure, levels, values):
    with pytest.raises(EffectError, match="at least 3 different levels"):
        measure(levels, values)
    with pytest.raises(EffectError, match="finite"):
        measure([1, 2, 3], [1, math.nan, 3])


def test_an_ordering_is_as_good_as_its_smallest_gap():
    assert smallest_gap([1.0, 3.0, 4.5]) == Value(1.5, 1.5)
    assert smallest_gap([1.0, 3.0, 2.9]).high == pytest.approx(-0.1)
    assert smallest_gap([Value(1, 2), Value(3, 5), Value(9, math.inf)]) == Value(1, 4)
    with pytest.raises(EffectError, match="at least two values, found 1"):
        smallest_gap([1.0])


def test_an_interaction_is_a_difference_of_differences():
    assert interaction(5.0, 1.0, 3.0, 2.0) == Value(3, 3)
    # the treatment doubles on both sides: no interaction of ratios
    assert interaction(8.0, 4.0, 2.0, 1.0, scale="log").low == pytest.approx(0)
    odds = interaction(0.8, 0.5, 0.2, 0.2, scale="logit")
    assert odds.low == odds.high == pytest.approx(math.log(4))


def test_at_floor_and_ceiling_an_interaction_is_open():
    open_above = interaction(share(100, 100), share(50, 100), share(50, 100), share(50, 100), scale="logit")
    assert math.isfinite(open_above.low) and open_above.high == math.inf
    assert interaction(share(100, 100), share(100, 100), 0.5, 0.5, scale="logit") == Value(-math.inf, math.inf)
    assert interaction(share(0, 100), 0.5, 0.5, 0.5, scale="log").low == -math.inf
    for wrong in (1.0, 0.0, -0.1, 1.1):
        with pytest.raises(EffectError, match=r"logit scale; give a counted share by share\(hits, of\)"):
            interaction(wrong, 0.5, 0.5, 0.5, scale="logit")
    with pytest.raises(EffectError, match="log scale"):
        interaction(0.0, 0.5, 0.5, 0.5, scale="log")
    assert interaction(Value(2, math.inf), 1.0, 1.0, 1.0, scale="log").high == math.inf


def test_a_share_is_known_to_half_a_count():
    assert share(50, 100) == Value(0.495, 0.505)
    assert share(0, 10) == Value(0, 0.05) and share(10, 10) == Value(0.95, 1)
    for hits, of in ((-1, 10), (11, 10), (0, 0)):
        with pytest.raises(EffectError, match="0 <= hits <= of"):
            share(hits, of)


def test_existence():
    assert there([0.1, 0.6, 0.7], above=0.5) and there([0.1, 0.6, 0.7], above=0.5, number=2)
    assert not there([0.1, 0.5], above=0.5) and not there([], above=0.5)
    with pytest.raises(EffectError, match="1 values are NaN"):
        there([0.9, math.nan], above=0.5)


def test_a_predicted_level_needs_many_queries():
    assert off_level(0.52, 0.5, queries=5000).low == pytest.approx(0.02)
    assert off_level(share(2048, 4096), 0.5, queries=4096).low == pytest.approx(-0.5 / 4096)
    with pytest.raises(EffectError, match="at least 4,096 queries a seed, found 100"):
        off_level(0.5, 0.5, queries=100)


def test_times_are_compared_as_paired_log_ratios_with_one_budget():
    assert log_time_ratio(100.0, 200.0, budget=1000).low == pytest.approx(-math.log(2))
    grid = log_time_ratio(Value(100, 110), Value(200, 220), budget=1000)
    assert (grid.low, grid.high) == pytest.approx((math.log(100 / 220), math.log(110 / 200)))
    never = log_time_ratio(None, 200.0, budget=1000)
    assert never.low == pytest.approx(math.log(5)) and never.high == math.inf
    assert log_time_ratio(200.0, None, budget=1000).low == -math.inf
    assert log_time_ratio(None, None, budget=1000) == Value(-math.inf, math.inf)
    assert log_time_ratio(1500.0, 200.0, budget=1000) == never  # beyond the budget nobody looked
    assert log_time_ratio(Value(900, 1100), 200.0, budget=1000).high == math.inf
    assert log_time_ratio(Value(0, 10), 200.0, budget=1000).low == -math.inf
    for time, budget in ((0.0, 10), (-1.0, 10), (5.0, 0)):
        with pytest.raises(EffectError, match="above 0"):
            log_time_ratio(time, 5.0, budget=budget)


def test_zero_dimensional_arrays_are_numbers():
    assert difference(np.float32(3), np.array(1.0)) == Value(2, 2)
