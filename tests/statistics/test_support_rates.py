"""Calibration: exact intervals of whole verdicts, what a pool is worth, effects moved to the edge."""

from __future__ import annotations

import math

import numpy as np
import pytest
from claimbench.effect import Value
from claimbench.errors import UsageError
from claimbench.region import above, rate_above, within
from claimbench.statistics import Prompts, Seeds, at_the_edge, direct, resampled
from claimbench.verdict import Verdict
from judgement_helpers import judged, points

S, R, U = Verdict.SUPPORTED, Verdict.REFUTED, Verdict.INCONCLUSIVE
REGION = {"effect": above(0.1)}


@pytest.mark.parametrize(("supported", "of", "honest"), [(0, 36, True), (1, 36, False), (4, 100, True), (5, 100, False)])
def test_the_bounds_that_were_chosen_before(supported, of, honest):
    found = direct([S] * supported + [R] * (of - supported))
    assert found.honest is honest and found.tier == "direct" and found.independent == of
    assert found.low <= found.share <= found.high


def test_power_is_nine_in_ten_of_whole_verdicts():
    assert direct([S] * 33 + [U] * 3).powerful and not direct([S] * 32 + [U] * 4).powerful
    few = direct([S] * 35)
    assert few.tier == "too few" and not few.powerful and not direct([R] * 35).honest
    with pytest.raises(UsageError, match="at least one verdict"):
        direct([])


def test_a_pool_is_worth_its_independent_verdicts_and_meets_nothing():
    rng = np.random.default_rng(0)
    clear = resampled(points(rng.normal(3, 0.1, 33)), REGION, Seeds(), rng=rng, verdicts=50)
    assert (clear.share, clear.independent, clear.tier) == (1, 3, "resampled")
    assert not clear.powerful and clear.low < 0.5 and clear.high == 1
    edge = resampled(points(rng.normal(1.0, 1, 22)), REGION, Seeds(), rng=rng, verdicts=50)
    assert edge.low < edge.share < edge.high
    small = resampled(points([1.0] * 5), REGION, Seeds(), rng=rng, verdicts=20)
    assert (small.independent, small.low, small.high, small.honest) == (0, 0, 1, False)
    with pytest.raises(UsageError, match="found none"):
        resampled([], REGION, Seeds(), rng=rng)


def test_seeds_are_moved_so_that_their_median_is_on_the_edge():
    pool = points([1.0, 2.0, 9.0])
    assert [one["effect"].low for one in at_the_edge(pool, REGION, Seeds())] == pytest.approx([-0.9, 0.1, 7.1])
    nearer = at_the_edge(points([0.0, 1.0, 2.0]), {"effect": within(3)}, Seeds())
    assert [one["effect"].low for one in nearer] == [2, 3, 4]
    ends = at_the_edge([{"effect": Value(1, math.inf)}], REGION, Seeds())
    assert ends[0]["effect"].low == pytest.approx(0.1) and ends[0]["effect"].high == math.inf


def test_prompts_are_moved_so_that_their_clipped_mean_is_on_the_edge():
    rng = np.random.default_rng(1)
    design = Prompts({"effect": 1.0})
    moved = at_the_edge(points(rng.normal(0.4, 0.8, 500)), REGION, design)
    assert np.clip([one["effect"].low for one in moved], -1, 1).mean() == pytest.approx(0.1)
    verdicts = [
        judged([one["effect"] for one in rng.choice(moved, 60)], above(0.1), Prompts({"effect": 1.0}, most=60)).verdict
        for _ in range(60)
    ]
    assert direct(verdicts).honest


def test_scales_are_kept():
    moved = at_the_edge(points([1.0, 2.0, 4.0]), {"effect": above(8.0, scale="log")}, Seeds())
    assert [one["effect"].low for one in moved] == pytest.approx([4, 8, 16])


def test_what_cannot_be_moved_is_refused():
    with pytest.raises(UsageError, match="an event, which cannot be moved"):
        at_the_edge([{"effect": Value(1, 1)}], {"effect": rate_above(0.5)}, Seeds())
    unknown = [{"effect": Value(-math.inf, math.inf)}] * 3
    for pool in (unknown, []):
        for design in (Seeds(), Prompts({"effect": 1.0})):
            with pytest.raises(UsageError, match="no finite typical value"):
                at_the_edge(pool, REGION, design)
