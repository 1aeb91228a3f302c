"""Exact intervals for rates, and their error over both looks at every edge."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from claimbench.region import Region, rate_above, rate_below
from claimbench.statistics.rates import interval, lower_limit, upper_limit
from claimbench.verdict import Verdict
from judgement_helpers import judged
from scipy import stats


@pytest.mark.parametrize(("events", "n"), [(0, 6), (6, 6), (3, 6), (10, 11), (1, 11), (40, 100)])
def test_limits_agree_with_scipy(events, n):
    expected = stats.binomtest(events, n).proportion_ci(0.95, method="exact")
    assert interval(events, events, n, 0.025) == pytest.approx((expected.low, expected.high))


def test_open_sides():
    assert lower_limit(0, 6, 0.025) == 0 and upper_limit(6, 6, 0.025) == 1
    assert interval(2, 5, 6, 0.025) == (lower_limit(2, 6, 0.025), upper_limit(5, 6, 0.025))


def _support(region: Region) -> list[tuple[int, int]]:
    """The (events in six, events in five more) that are supported; the order inside a look does not matter."""
    return [
        (a, b)
        for a, b in itertools.product(range(7), range(6))
        if judged([1] * a + [0] * (6 - a) + [1] * b + [0] * (5 - b), region).verdict is Verdict.SUPPORTED
    ]


@pytest.mark.parametrize("make", [rate_above, rate_below])
def test_false_support_is_at_most_two_and_a_half_percent_at_every_edge(make):
    worst = 0.0
    for edge in np.linspace(0.01, 0.99, 99):
        region = make(float(edge))
        pairs = _support(region)
        worst = max(worst, sum(stats.binom.pmf(a, 6, edge) * stats.binom.pmf(b, 5, edge) for a, b in pairs))
    assert 0.01 < worst <= 0.025
