"""Templates as replicates: averaged, complete ones only, whatever is added later."""

from __future__ import annotations

import math

import numpy as np
import pytest
from claimbench.effect import Value
from claimbench.errors import DeclarationError, EffectError
from claimbench.region import above, rate_above
from claimbench.statistics import Prompts, Seeds, by_cluster, judge
from claimbench.verdict import Verdict
from judgement_helpers import points


def test_a_cluster_is_the_average_of_its_first_members_in_order_of_completion():
    found = by_cluster(points([1, 10, 3, 5, 20, 99]), ["a", "b", "a", "c", "b", "a"], 2)
    assert found == [{"effect": Value(2, 2)}, {"effect": Value(15, 15)}]


def test_topping_up_changes_no_cluster():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 60).tolist()
    replicates = points(rng.random(60))
    whole = by_cluster(replicates, labels, 4)
    for n in range(61):
        assert by_cluster(replicates[:n], labels[:n], 4) == whole[: len(by_cluster(replicates[:n], labels[:n], 4))]


def test_ends_are_averaged_apart_and_open_ends_stay_open():
    (found,) = by_cluster([{"a": Value(0, 1)}, {"a": Value(2, math.inf)}], "xx", 2)
    assert found == {"a": Value(1, math.inf)}
    (rate,) = by_cluster([{"a": Value(1, 1)}, {"a": Value(0, 0)}], "xx", 2)
    assert rate == {"a": Value(0.5, 0.5)}


def test_labels_must_match_and_seeds_have_none():
    with pytest.raises(EffectError, match="each of 2 replicates needs a cluster, found 1"):
        by_cluster(points([1, 2]), "x", 1)
    with pytest.raises(DeclarationError, match="nested in a seed"):
        judge(points([1.0] * 6), {"effect": above(0)}, Seeds(), clusters="abcdef")
    with pytest.raises(EffectError, match="no effect 'b'"):
        judge([{"b": Value(1, 1)}, {"a": Value(1, 1)}], {"b": above(0)}, Prompts({"b": 2}, per_cluster=2), "xx")


def test_many_prompts_of_one_template_are_one_replicate():
    """Counted as 120 they would support; the template is one."""
    design = Prompts({"effect": 1.0}, per_cluster=20)
    alone = judge(points([0.9] * 120), {"effect": above(0.1)}, design, clusters=["one"] * 120)
    assert (alone.verdict, alone.n) == (Verdict.INCONCLUSIVE, 1)
    assert "of one template" in alone.reason
    assert judge(points([0.9] * 120), {"effect": above(0.1)}, design).verdict is Verdict.SUPPORTED


def test_templates_on_the_edge_support_no_more_often_than_they_may():
    """Templates differ, prompts of one are alike: judged by prompt 2.5 % would be far exceeded."""
    rng = np.random.default_rng(3)
    design = Prompts({"effect": 1.0}, most=40, tuned_for=40, per_cluster=5)
    labels = [i // 5 for i in range(200)]
    by_template, by_prompt = 0, 0
    for _ in range(200):
        x = np.repeat(rng.normal(0, 0.3, 40), 5) + rng.normal(0, 0.1, 200)
        by_template += judge(points(x), {"effect": above(0)}, design, labels).verdict is Verdict.SUPPORTED
        by_prompt += judge(points(x), {"effect": above(0)}, Prompts({"effect": 1.0})).verdict is Verdict.SUPPORTED
    assert by_template / 200 <= 0.025 + 2 * math.sqrt(0.025 * 0.975 / 200)
    assert by_prompt / 200 > 0.1


def test_rates_of_templates_are_shares():
    design = Prompts(per_cluster=2)
    replicates = [{"effect": Value(float(i % 2), float(i % 2))} for i in range(400)]
    found = judge(replicates, {"effect": rate_above(0.3)}, design, [i // 2 for i in range(400)])
    assert found.verdict is Verdict.SUPPORTED and found.effects[0].estimate == 0.5
    assert "templates" in found.reason
