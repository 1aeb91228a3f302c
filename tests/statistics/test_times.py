"""Times with and without the event: restricted means and the log-rank test, against plain cases and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from claimbench.effect import Value
from claimbench.errors import EffectError
from claimbench.statistics import log_rank, restricted_mean, survival
from scipy import stats

NEVER = Value(100, math.inf)


def seen(*times: float) -> list[Value]:
    return [Value(time - 1, time) for time in times]


def test_without_early_censoring_it_is_the_mean_of_times_cut_at_the_budget():
    found = restricted_mean([*seen(10, 40, 70), NEVER, NEVER], 100)
    cut = [10, 40, 70, 100, 100]
    assert found.mean == pytest.approx(np.mean(cut)) and (found.events, found.n) == (3, 5)
    assert (found.low, found.high) == pytest.approx(stats.t.interval(0.95, 4, np.mean(cut), stats.sem(cut)))


def test_a_run_that_ended_early_counts_for_as_long_as_it_ran():
    found = restricted_mean([*seen(10, 60), Value(30, math.inf)], 100)
    assert found.mean == pytest.approx(10 + 2 / 3 * 50)


def test_a_smaller_budget_cuts_events_off():
    found = restricted_mean(seen(10, 40, 70), 50)
    assert found.mean == pytest.approx((10 + 40 + 50) / 3) and found.events == 2


def test_degenerate_times():
    assert restricted_mean([NEVER] * 4, 100).mean == 100
    one = restricted_mean(seen(10), 100)
    assert (one.mean, one.low, one.high) == (10, None, None)
    assert restricted_mean([Value(-math.inf, math.inf)] * 2, 100).events == 0
    with pytest.raises(EffectError, match="at least one run"):
        restricted_mean([], 100)


def test_survival_falls_at_each_time_by_the_share_of_those_still_running():
    found = survival([*seen(10, 60, 60), Value(30, math.inf), NEVER], 100)
    assert found.at.tolist() == [10, 60] and found.censored.tolist() == [30, 100]
    assert found.left.tolist() == pytest.approx([4 / 5, 4 / 5 * 1 / 3])  # at 60 two of the three that still run


def test_survival_has_the_area_of_the_mean_and_ends_at_the_budget():
    times = [*seen(10, 25, 60, 90), Value(30, math.inf), Value(70, math.inf)]
    found = survival(times, 80)
    steps = np.diff([0, *found.at, 80])
    assert np.dot([1, *found.left], steps) == pytest.approx(restricted_mean(times, 80).mean)
    assert found.at.max() == 60 and found.censored.tolist() == [30, 70, 80]
    assert survival([NEVER] * 2, 100).at.size == 0


def test_log_rank_is_scipys():
    fast, slow = seen(5, 9, 12, 20, 30, 31), [*seen(28, 40, 66, 80), NEVER, NEVER]
    found = log_rank(fast, slow)
    expected = stats.logrank(
        stats.CensoredData(uncensored=[5, 9, 12, 20, 30, 31]),
        stats.CensoredData(uncensored=[28, 40, 66, 80], right=[100, 100]),
    ).pvalue
    assert found == pytest.approx(expected) and found < 0.01
    assert log_rank(slow, fast) == pytest.approx(found)


def test_log_rank_without_anything_to_tell_apart():
    assert log_rank([NEVER] * 3, [NEVER] * 3) == 1
    assert log_rank(seen(5), seen(5)) == 1
    with pytest.raises(EffectError, match="both arms"):
        log_rank([], seen(5))
