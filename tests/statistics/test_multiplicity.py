"""A suite of claims: p-values of seeds, e-values of prompts, and the verdicts that stand among many."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from claimbench.region import Region, above, below, rate_above, rate_below, within
from claimbench.statistics import Prompts, Seeds, adjust, judge
from claimbench.statistics.p_values import Look, critical, stagewise, tail
from claimbench.verdict import Verdict
from judgement_helpers import judged, points
from scipy import stats

S, R, U = Verdict.SUPPORTED, Verdict.REFUTED, Verdict.INCONCLUSIVE


def test_tails_and_critical_counts_are_those_of_the_binomial():
    assert tail(11, 0.3, 5) == pytest.approx(stats.binom.sf(4, 11, 0.3))
    assert tail(6, 0.3, 7) == 0 and tail(6, 0.3, 0) == pytest.approx(1)
    assert critical(11, 0.5, 0.01) == Look(11, 1, 10)
    assert critical(3, 0.5, 0.01) == Look(3, -1, 4)  # three seeds never stop


def test_the_p_value_of_a_look_is_its_error_over_all_looks():
    looks = (Look(6, 0, 6), Look(11, 1, 10))
    assert stagewise(looks[:1], 0.5, 6) == 1 / 64
    assert stagewise(looks, 0.5, 10) == pytest.approx(38 / 2048)
    every = sorted(stagewise(looks, 0.5, count) for count in range(1, 11))
    assert every[0] == pytest.approx(38 / 2048) and every[-1] == pytest.approx(1 - 1 / 64)


@pytest.mark.parametrize(
    ("raw", "region", "p"),
    [
        ([1.0] * 6, above(0.1), 1 / 64),
        ([1.0] * 6, below(0.1), 1 / 64),
        ([0.0, *[1.0] * 10], above(0.1), 38 / 2048),
        ([0.0] * 6, within(0.1), 1 / 64),
        ([1.0] * 6, within(0.1), 2 / 64),
        ([-1.0] * 6, within(0.1), 2 / 64),
        ([0.0, 1.0, *[0.0] * 9], within(0.1), 38 / 2048),
        ([0.0, 1.0, *[-1.0] * 9], within(0.1), None),
        ([True] * 6, rate_above(0.5), 1 / 64),
        ([True] * 6, rate_below(0.5), 1 / 64),
        ([False] * 6, rate_above(0.5), 1 / 64),
        ([False] * 6, rate_below(0.5), 1 / 64),
        ([0, *[1] * 10], rate_above(0.5), 38 / 2048),
        ([True] * 6, rate_above(0.1), 0.1**6),
        ([False] * 6, Region(0.9, 0.99, "rate", of="rate"), 2 * 0.1**6),
    ],
)
def test_p_values_of_verdicts(raw, region, p):
    found = judged(raw, region)
    assert found.e_value is None
    if p is None:
        assert found.verdict is U and found.p_value == 1
    else:
        assert found.verdict is not U and found.p_value == pytest.approx(p)


def test_p_values_of_conjunctions():
    regions = {"a": above(0.1), "b": rate_above(0.5)}
    both = judged([{"a": 1.0, "b": 1}] * 6, regions)
    assert both.verdict is S and both.p_value == pytest.approx(1 / 64)  # the weaker of the two: no correction
    one = judged([{"a": -1.0, "b": 1}] * 11, regions)
    assert one.verdict is R and one.p_value == pytest.approx(2 / 2**11)
    mixed = [{"a": 0.0 if i == 0 else 1.0, "b": 1} for i in range(11)]
    assert judged(mixed, regions).p_value == pytest.approx(38 / 2048)


def test_a_verdict_is_decided_exactly_where_its_p_value_is_small():
    """One edge: 2.5 %; with two, a refutation by either: 5 %."""
    regions = [above(0), within(1), rate_below(0.7), rate_above(0.2)]
    for region, sides in itertools.product(regions, itertools.product((0.0, 1.0), repeat=11)):
        if sum(sides) in (2, 5, 6, 9, 10):
            found = judged(list(sides) if region.of == "rate" else [2 * s - 0.5 for s in sides], region)
            most = 0.05 if found.verdict is R and len(region.edges) == 2 else 0.025
            assert (found.verdict is not U) == (found.p_value <= most)


def test_false_support_has_at_most_the_probability_that_its_p_value_says():
    """On the edge, over all 2^11 ways."""
    ps = [judged([2 * s - 1.0 for s in sides], above(0.0)) for sides in itertools.product((0, 1), repeat=11)]
    found = sorted(one.p_value for one in ps if one.verdict is S)
    for p in found:
        assert sum(other <= p for other in found) / 2**11 <= p + 1e-12


def test_e_values_of_verdicts():
    design = Prompts({"effect": 1.0}, most=200)
    raw = np.random.default_rng(0).normal(0.5, 0.2, 200).tolist()
    for region, verdict in ((above(0.1), S), (below(0.1), R), (within(0.9), S), (within(0.1), R)):
        found = judged(raw, region, design)
        assert found.verdict is verdict and (40 if verdict is S else 20) <= found.e_value < 200 and found.p_value is None
        assert judged(raw[: found.n - 1], region, design).e_value < 40
    assert judged([], above(0.1), design).e_value == 1
    two = {"effect": above(0.1), "b": above(0.9)}
    found = judge([{"effect": one["effect"], "b": one["effect"]} for one in points(raw)], two, Prompts({"effect": 1, "b": 1}))
    assert found.verdict is R and found.e_value >= 20


def test_the_e_value_has_expectation_at_most_one_on_the_edge():
    """Of the support, stopped wherever the judge stops; a median of skewed values would not be enough."""
    rng = np.random.default_rng(1)
    design = Prompts({"effect": 1.0}, most=60, tuned_for=60)
    rows = rng.choice([-1.0, 1.0], size=(600, 60))
    found = [judge(points(row), {"effect": above(0.0)}, design) for row in rows]
    support = [one.e_value if one.verdict is not R else 0.0 for one in found]
    assert np.mean(support) <= 1 + 2 * np.std(support) / math.sqrt(len(rows))


def test_one_claim_alone_is_not_adjusted():
    seeds, prompts = judged([1.0] * 6, above(0.1)), judged([0.9] * 99, above(0.1), Prompts({"effect": 1.0}))
    one, other = adjust([seeds, prompts])
    assert (one.raw, one.adjusted, one.method, one.of) == (S, S, "BH", 1)
    assert one.rate == pytest.approx(1 / 64)
    assert (other.raw, other.adjusted, other.method, other.of) == (S, S, "e-BH", 1)
    assert other.rate <= 0.05
    assert adjust([]) == ()


def test_among_undecided_claims_a_weak_verdict_does_not_stand():
    decided, strong = judged([1.0] * 6, above(0.1)), judged([True] * 6, rate_above(0.1))
    undecided = judged([0.0, 1.0] * 6, above(0.1))
    found = adjust([decided, strong, *[undecided] * 8])
    assert [one.adjusted for one in found] == [U, S, *[U] * 8]
    assert [one.raw for one in found] == [S, S, *[U] * 8]
    assert found[0].rate == pytest.approx(1 / 64 * 10 / 2)
    assert [one.adjusted for one in adjust([decided, decided, decided, undecided])] == [S, S, S, U]
    refuted = judged([-1.0] * 6, above(0.1))
    found = adjust([*[decided] * 6, refuted])  # six SUPPORTED do not vouch for one REFUTED
    assert [one.adjusted for one in found] == [*[S] * 6, U] and found[-1].rate == pytest.approx(7 / 64)


def test_e_bh_agrees_with_its_definition():
    judgements = [judged([x] * 99, above(0.1), Prompts({"effect": 1.0}, most=99)) for x in (0.9, 0.9, 0.7, 0.5, 0.12)]
    e = np.array([one.e_value if one.verdict is not U else 0.0 for one in judgements])
    order = np.argsort(-e)
    passing = [k for k in range(1, 6) if k * e[order[k - 1]] / 5 >= 20]
    kept = set(order[: max(passing, default=0)].tolist())
    found = adjust(judgements)
    assert {i for i, one in enumerate(found) if one.adjusted is not U} == kept


def test_false_discoveries_among_many_claims():
    """Two hundred claims on the edge or beyond: at most 5 % of the adjusted verdicts are wrong, on average."""
    rng = np.random.default_rng(2)
    shares = []
    for _ in range(40):
        truth = rng.random(60) < 0.5
        found = adjust([judge(points(rng.normal(2.0 * t, 1.0, 11)), {"effect": above(0.0)}, Seeds()) for t in truth])
        wrong = sum(one.adjusted is S and not t for one, t in zip(found, truth, strict=True))
        shares.append(wrong / max(1, sum(one.adjusted is not U for one in found)))
    assert np.mean(shares) <= 0.05 + 2 * np.std(shares) / math.sqrt(len(shares))
