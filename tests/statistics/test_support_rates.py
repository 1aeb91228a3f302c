"""Calibration: exact intervals of whole verdicts, what a pool is worth, effects moved to the edge."""

from __future__ import annotations

import math

import numpy as np
import pytest
from claimbench.effect import Value
from claimbench.errors import UsageError
from claimbench.region import Region, above, rate_above, rate_below, within
from claimbench.statistics import (
    Prompts,
    Seeds,
    at_the_edge,
    coins_at_the_edge,
    deep_inside,
    direct,
    judge,
    resampled,
    spread,
    supportable,
)
from claimbench.verdict import Verdict
from judgement_helpers import judged, points

S, R, U = Verdict.SUPPORTED, Verdict.REFUTED, Verdict.INCONCLUSIVE
REGION = {"effect": above(0.1)}


def interval_of_rates(low, high):
    return Region(low, high, "rate", of="rate")


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


def test_equal_effects_come_to_lie_on_the_edge_and_not_a_rounding_beside_it():
    censored = [{"effect": Value(math.log(4 if seed == 0 else 6), math.inf)} for seed in range(6)]
    regions = {"effect": above(math.log(2))}
    moved = at_the_edge(censored, regions, Seeds())
    assert [one["effect"].low for one in moved[1:]] == [math.log(2)] * 5
    assert resampled(moved, regions, Seeds(), rng=np.random.default_rng(0), verdicts=50).share == 0


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


def test_one_effect_of_a_conjunction_moves_to_its_edge_and_the_others_stay():
    regions = {"a": above(0.1), "b": above(0.5)}
    pool = [{"a": Value(x, x), "b": Value(9.0, 9.0)} for x in (1.0, 2.0, 3.0, 4.0, 5.0)]
    moved = at_the_edge(pool, regions, Seeds(), only="a")
    assert [one["a"].low for one in moved] == pytest.approx([-1.9, -0.9, 0.1, 1.1, 2.1])
    assert {one["b"].low for one in moved} == {9.0}
    others = [{"a": Value(10.0, 10.0), "b": Value(0.0, 0.0)}]
    assert at_the_edge(pool, regions, Seeds(), only="a", typical_of=others)[0]["a"].low == pytest.approx(-8.9)


@pytest.mark.parametrize("region", [rate_above(0.5), rate_above(0.9), rate_below(0.2), interval_of_rates(0.3, 0.8)])
def test_coins_at_the_edge_agree_with_simulation(region):
    found = coins_at_the_edge(region, Seeds())
    assert found.tier == "exact" and found.low == found.share == found.high <= 0.025
    assert found.honest and not found.powerful
    rng, draws = np.random.default_rng(5), 1500
    simulated = max(
        np.mean(
            [
                judge([{"event": Value(e, e)} for e in map(float, row)], {"event": region}, Seeds()).verdict is S
                for row in rng.random((draws, 11)) < edge
            ]
        )
        for edge in region.edges
    )
    assert simulated == pytest.approx(found.share, abs=3 * math.sqrt(0.025 / draws) + 1e-9)


@pytest.mark.parametrize(
    "region",
    [
        above(0.1), above(-3.0), Region(-np.inf, -2.0), within(0.2), Region(2.0, np.inf, scale="log"),
        Region(0.0001, 0.01, scale="log"), Region(0.3, np.inf, scale="logit"), Region(-np.inf, 0.3, scale="logit"),
        rate_above(0.5), rate_below(0.5), interval_of_rates(0.2, 0.9),
    ],
)  # fmt: skip
def test_seeds_deep_inside_support_and_what_cannot_be_supported_never_is(region):
    best = deep_inside(region)
    supported = judge([{"effect": best}] * 11, {"effect": region}, Seeds()).verdict is S
    assert supported or region.edges == (0.2, 0.9)  # eleven seeds cannot show that a rate is below 0.9 and above 0.2
    rng, worst = np.random.default_rng(0), deep_inside(Region(*_outside(region)))
    for _ in range(60):
        effects = [{"effect": best if inside else worst} for inside in rng.random(11) < rng.choice([0.7, 0.97])]
        final = judge(effects, {"effect": region}, Seeds()).verdict
        hopes = [supportable(effects[:n], {"effect": region}, Seeds()) for n in range(12)]
        assert hopes == sorted(hopes, reverse=True) or final is S  # hope that is gone never comes back
        assert final is not S or all(hopes)


def _outside(region):
    """Edges, unit, kind and scale of a region beyond this one."""
    kind = (region.unit, region.of, region.scale)
    return (-np.inf, region.low, *kind) if np.isfinite(region.low) else (region.high, np.inf, *kind)


def test_spread_is_that_of_finite_ends_on_the_scale_of_the_region():
    values = [{"x": Value(1.0, math.inf)}, {"x": Value(math.e, math.e)}]
    assert spread(values, "x", above(0.5, scale="log")) == pytest.approx(1)
    assert spread([{"x": Value(-math.inf, math.inf)}], "x", above(0.5)) == 0
