"""Ranks among random sets: never zero, valid under the null, all sets where there are few."""

from __future__ import annotations

import math

import numpy as np
import pytest
from claimbench.errors import EffectError
from claimbench.measures.randomization import rank_p, rearrangements


def test_p_counts_the_observed_set_itself():
    others = list(range(39))
    assert rank_p(100, others) == 1 / 40
    assert rank_p(38, others) == 2 / 40  # a tie is as extreme
    assert rank_p(-1, others) == 1
    assert rank_p(-1, others, extreme="small") == 1 / 40
    assert rank_p(100, others, extreme="either") == 2 / 40
    assert rank_p(19, others, extreme="either") == 1


def test_nan_never_helps():
    assert rank_p(100, [math.nan] * 39) == 1
    with pytest.raises(EffectError, match="found NaN"):
        rank_p(math.nan, [1.0] * 39)


def test_thirty_nine_sets_or_all_there_are():
    with pytest.raises(EffectError, match="at least 39 sets"):
        rank_p(1, [0.0] * 38)
    assert rank_p(1, [0.0] * 5, complete=True) == 1 / 6
    with pytest.raises(EffectError, match="at least one set, found 0"):
        rank_p(1, [], complete=True)


def test_under_the_null_p_is_at_most_t_with_probability_t():
    rng = np.random.default_rng(0)
    ps = np.array([rank_p(row[0], row[1:]) for row in rng.integers(0, 30, (4000, 40))])
    for t in (0.025, 0.05, 0.2):
        assert np.mean(ps <= t) <= t + 2 * math.sqrt(t * (1 - t) / 4000)


def test_few_rearrangements_are_enumerated_and_many_are_drawn():
    rng = np.random.default_rng(0)
    every, complete = rearrangements("aabb", rng, 39)
    assert complete and len(every) == 5 and list("aabb") not in every
    assert len({tuple(order) for order in every}) == 5
    some, complete = rearrangements(list(range(8)), rng, 39)
    assert not complete and len({tuple(order) for order in some}) == 39 and list(range(8)) not in some
    assert all(sorted(order) == list(range(8)) for order in some)
    assert rearrangements([1], rng, 39) == ([], True)
    for seed in range(20):  # the given order is often drawn, and never kept
        (one,), complete = rearrangements("aab", np.random.default_rng(seed), 1)
        assert not complete and one in (list("aba"), list("baa"))
