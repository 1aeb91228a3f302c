"""Designs: which schedules are honest, and what is worth measuring next."""

from __future__ import annotations

import math

import pytest
from claimbench.errors import DeclarationError
from claimbench.region import above, rate_above
from claimbench.statistics import Prompts, Seeds, next_look


@pytest.mark.parametrize("looks", [(), (0,), (6, 6), (11, 6), (-1, 6), (6, 7, 8, 9, 10, 11)])
def test_a_schedule_that_fishes_is_refused(looks):
    with pytest.raises(DeclarationError, match="looks"):
        Seeds(looks)


def test_the_next_look():
    assert [next_look(n, Seeds()) for n in (0, 3, 6, 8, 11, 20)] == [6, 6, 11, 11, None, None]
    assert next_look(6, Seeds((6,))) is None
    prompts = Prompts(most=10, least=4)
    assert [next_look(n, prompts) for n in (0, 3, 4, 9, 10, 11)] == [4, 4, 5, 10, None, None]


def test_a_rate_spends_two_and_a_half_percent_over_all_looks():
    assert Seeds().error_at(6) + Seeds().error_at(11) == pytest.approx(0.025)
    assert Seeds((6,)).error_at(6) == Seeds().error_at(6)  # a prefix judges as the whole schedule does
    assert Seeds((8,)).error_at(8) == pytest.approx(0.025)
    assert Seeds().error_at(4) == pytest.approx(0.025)


@pytest.mark.parametrize("bound", [0, -1, math.inf, math.nan, "1"])
def test_a_clip_bound_is_a_positive_number(bound):
    with pytest.raises(DeclarationError, match="clip bound of effect 'a'"):
        Prompts({"a": bound})


def test_a_clip_bound_is_needed_and_lies_beyond_the_region():
    with pytest.raises(DeclarationError, match="no clip bound"):
        Prompts().range_of("a", above(0.1))
    with pytest.raises(DeclarationError, match="beyond every edge"):
        Prompts({"a": 0.1}).range_of("a", above(0.1))
    assert Prompts({"a": 1}).range_of("a", above(0.1)) == (-1, 1)
    assert Prompts().range_of("a", rate_above(0.5)) == (0, 1)
    assert Prompts({"a": 1}).range_of("a", above(2, scale="log")) == (-1, 1)


@pytest.mark.parametrize(("least", "most"), [(0, 5), (6, 5)])
def test_least_and_most_are_in_order(least, most):
    with pytest.raises(DeclarationError, match="least"):
        Prompts(most=most, least=least)


def test_what_bets_are_tuned_for_and_the_size_of_clusters_are_counts():
    assert Prompts(tuned_for=60).planned == 40
    for wrong in ({"tuned_for": 0}, {"per_cluster": 0}):
        with pytest.raises(DeclarationError, match="at least 1"):
            Prompts(**wrong)
