"""The exact interval of the median and the error of two looks, by enumeration."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from claimbench.region import above
from claimbench.statistics.means import t_interval
from claimbench.statistics.order_statistics import error_over_looks, interval, median, miss, rank_for
from claimbench.verdict import Verdict
from judgement_helpers import judged
from scipy import stats


def test_levels_of_the_two_looks():
    assert 1 - 2 * miss(6, rank_for(6, 0.95)) == 0.96875
    assert 1 - 2 * miss(11, rank_for(11, 0.95)) == pytest.approx(0.98828125)
    assert [rank_for(n, 0.95) for n in (1, 5, 6, 8, 9, 11, 12)] == [0, 0, 1, 1, 2, 2, 3]


@pytest.mark.parametrize("n", [6, 9, 11, 20, 50])
def test_ranks_agree_with_the_binomial_test(n):
    rank = rank_for(n, 0.95)
    assert miss(n, rank) == pytest.approx(stats.binom.cdf(rank - 1, n, 0.5))
    assert 2 * stats.binom.cdf(rank - 1, n, 0.5) <= 0.05 < 2 * stats.binom.cdf(rank, n, 0.5)


def test_false_support_over_both_looks_is_one_point_nine_percent_exactly():
    """All 2^11 ways in which eleven seeds fall on one side of their median, judged by the judge itself."""
    supported = sum(
        judged([float(side) for side in sides], above(0.0)).verdict is Verdict.SUPPORTED
        for sides in itertools.product((-1, 1), repeat=11)
    )
    assert supported == 38
    assert error_over_looks((6, 11)) == 38 / 2**11 == pytest.approx(0.0186, abs=1e-4)


def test_more_looks_cost_more_error():
    assert error_over_looks((6,)) == 1 / 64
    assert error_over_looks((3,)) == 0
    assert error_over_looks((6, 7, 8, 9, 10, 11)) > 0.025


def test_power_at_two_standard_deviations():
    """0.98, with 6.7 seeds on average: exact, from the probability that a normal seed lies beyond the edge."""
    p = stats.norm.cdf(2)
    six = p**6
    eleven = 6 * p**5 * (1 - p) * p**5
    assert six + eleven == pytest.approx(0.98, abs=0.005)
    assert 6 * six + 11 * (1 - six) == pytest.approx(6.65, abs=0.05)


def test_interval_and_median_of_outer_ends():
    lows, highs = np.array([3.0, 1, 2, -math.inf]), np.array([3.0, 4, math.inf, 5])
    assert interval(lows, highs, 1) == (-math.inf, math.inf)
    assert interval(lows, highs, 2) == (1, 5)
    assert median(lows, highs) == pytest.approx((1.5 + 4.5) / 2)
    assert median(np.array([-math.inf]), np.array([2.0])) == 2
    assert median(np.array([2.0]), np.array([math.inf])) == 2
    assert median(np.array([-math.inf]), np.array([math.inf])) is None


def test_the_t_interval_is_students():
    x = np.array([1.0, 2, 4, 7])
    expected = stats.t.interval(0.95, 3, x.mean(), stats.sem(x))
    assert t_interval(x, x, 0.95) == pytest.approx(expected)
    assert t_interval(x[:1], x[:1], 0.95) == (None, None)
    assert t_interval(np.array([1e308, -1e308]), np.array([1e308, -1e308]), 0.95) == (None, None)
