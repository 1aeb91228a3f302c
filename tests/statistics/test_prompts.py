"""Prompts: judged after every replicate, clipped, with a maximum; what an INCONCLUSIVE says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from claimbench.region import above, below, rate_above, within
from claimbench.statistics import Prompts
from claimbench.verdict import Verdict
from judgement_helpers import judged

S, R, U = Verdict.SUPPORTED, Verdict.REFUTED, Verdict.INCONCLUSIVE
DESIGN = Prompts({"effect": 1.0}, most=200)


def batches(mean: float, spread: float = 0.2, n: int = 200, seed: int = 0) -> list[float]:
    return np.random.default_rng(seed).normal(mean, spread, n).tolist()


def test_a_clear_effect_stops_early_and_surplus_is_ignored():
    raw = batches(0.5)
    found = judged(raw, above(0.1), DESIGN)
    assert (found.verdict, found.decided, found.needed) == (S, True, None)
    assert 12 < found.n < 40
    assert judged(raw[: found.n], above(0.1), DESIGN) == found
    assert judged(raw[: found.n - 1], above(0.1), DESIGN).verdict is U
    (effect,) = found.effects
    assert 0.1 < effect.low < effect.estimate < effect.high and effect.level == 0.95
    assert effect.t_low > effect.low and "clipped at ±1" in effect.method
    assert f"mean {effect.estimate:.3g} of {found.n} prompt batches" in found.reason


@pytest.mark.parametrize(
    ("mean", "region", "verdict"),
    [
        (-0.4, above(0.1), R),
        (-0.4, below(0.1), S),
        (0.0, within(0.3), S),
        (0.6, within(0.3), R),
        (-0.6, within(0.3), R),
        (0.3, within(0.3), U),
    ],
)
def test_every_kind_of_region(mean, region, verdict):
    found = judged(batches(mean), region, DESIGN)
    assert found.verdict is verdict
    (effect,) = found.effects
    assert region.contains(effect.low, effect.high) is (verdict is S)
    assert region.disjoint(effect.low, effect.high) is (verdict is R)


def test_undecided_says_what_it_could_see_and_how_many_more_it_needs():
    raw = batches(0.2)
    early = judged(raw[:20], above(0.1), DESIGN)
    assert (early.verdict, early.decided, early.n) == (U, False, 20)
    assert 1 <= early.needed <= 180 and f"about {early.needed} of at most 180 more" in early.reason
    (effect,) = early.effects
    assert early.detectable == {"effect": max(effect.estimate - effect.low, effect.high - effect.estimate)}
    late = judged(batches(0.1), above(0.1), DESIGN)
    assert (late.verdict, late.decided, late.needed, late.n) == (U, True, None, 200)
    assert "exhausted" in late.reason


def test_nothing_measured_yet():
    found = judged([], above(0.1), DESIGN)
    assert (found.verdict, found.n, found.needed, found.detectable) == (U, 0, 200, None)
    assert (found.effects[0].estimate, found.effects[0].clipped) == (None, 0.0)
    assert (found.effects[0].low, found.effects[0].high) == (-1, 1)


def test_the_projection_counts_a_bet_that_is_already_won_as_won():
    regions = {"a": above(0.1), "b": above(0.1)}
    raw = [{"a": 0.9, "b": x} for x in batches(0.15, n=30)]
    found = judged(raw, regions, Prompts({"a": 1, "b": 1}))
    assert found.verdict is U and found.needed >= 1


def test_clipping_is_reported_and_limits_an_outlier():
    raw = [50.0, *batches(0.0, n=150)]
    found = judged(raw, above(0.3), DESIGN)
    assert found.verdict is R
    assert found.effects[0].clipped == pytest.approx(1 / found.n)
    assert found.effects[0].estimate < 0.1


def test_intervals_count_by_their_outer_ends_and_open_ends_by_the_bound():
    assert judged([(0.5, 0.7)] * 100, above(0.1), DESIGN).verdict is S
    assert judged([(0.05, 0.7)] * 100, above(0.1), DESIGN).verdict is U
    found = judged([(0.5, math.inf)] * 100, above(0.1), DESIGN)
    assert found.verdict is S and found.effects[0].clipped == 1 and found.effects[0].t_low is None
    assert judged([(-math.inf, math.inf)] * 100, above(0.1), DESIGN).verdict is U


def test_equal_effects_have_a_width():
    found = judged([0.5] * 200, above(0.1), DESIGN)
    assert found.verdict is S and found.effects[0].high - found.effects[0].low > 0.3
    assert judged([0.0] * 200, above(0.0), DESIGN).verdict is U


def test_rates_use_the_same_sequence_on_zero_to_one():
    found = judged([True] * 200, rate_above(0.5), Prompts())
    assert found.verdict is S and 5 <= found.n <= 10
    assert (found.effects[0].clipped, found.effects[0].t_low, found.effects[0].high) == (None, None, 1.0)
    assert "rate 1 of" in found.reason and "clipped" not in found.effects[0].method
    assert judged([False] * 200, rate_above(0.5), Prompts()).verdict is R
    assert judged([True, False] * 100, rate_above(0.5), Prompts()).verdict is U


def test_log_scale_means_are_geometric():
    design = Prompts({"effect": 3.0})
    found = judged(np.exp(batches(1.0)).tolist(), above(1.5, scale="log", unit="ratio"), design)
    assert found.verdict is S
    assert found.effects[0].estimate == pytest.approx(math.e, rel=0.15)
    assert 1.5 < found.effects[0].low < found.effects[0].high < math.exp(3.0)


def test_nothing_is_decided_before_least_and_contradiction_there_is_no_pass():
    raw = batches(0.6)
    assert judged(raw, above(0.1), Prompts({"effect": 1}, least=60)).n == 60
    back_and_forth = [1.0] * 60 + [-1.0] * 400
    found = judged(back_and_forth, above(0.1), Prompts({"effect": 1}, most=460, least=450))
    assert (found.verdict, found.n) == (R, 450)


def test_a_conjunction_needs_all_to_support_and_a_stricter_level_to_refute():
    regions = {"a": above(0.1), "b": above(0.1)}
    design = Prompts({"a": 1, "b": 1})
    good, bad = batches(0.6), batches(-0.4, seed=1)
    both = judged([{"a": a, "b": b} for a, b in zip(good, batches(0.5, seed=2), strict=True)], regions, design)
    assert both.verdict is S
    one = judged([{"a": a, "b": b} for a, b in zip(good, bad, strict=True)], regions, design)
    alone = judged([{"b": b} for b in bad], {"b": above(0.1)}, design)
    assert one.verdict is alone.verdict is R
    assert one.n > alone.n
    assert "a: mean" in one.reason and "b: mean" in one.reason
