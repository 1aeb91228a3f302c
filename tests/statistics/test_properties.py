"""What must hold of every verdict, whatever the data (hypothesis)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from claimbench.effect import Value
from claimbench.region import Region, above, below, interval, rate_above, rate_below
from claimbench.statistics import Judgement, Prompts, Seeds, adjust, judge
from claimbench.verdict import Verdict
from hypothesis import given, settings
from hypothesis import strategies as st

S, R = Verdict.SUPPORTED, Verdict.REFUTED
ENDS = st.integers(-40, 40).map(lambda i: i / 16)  # sixteenths: ties are frequent and scaling by 2^k is exact
VALUES = st.tuples(ENDS, ENDS).map(lambda pair: Value(min(pair), max(pair))) | ENDS.map(lambda x: Value(x, x))
EDGES = st.integers(-30, 30).map(lambda i: i / 16)
REGIONS = st.one_of(
    EDGES.map(above),
    EDGES.map(below),
    st.tuples(EDGES, EDGES).filter(lambda pair: pair[0] < pair[1]).map(lambda pair: interval(*pair)),
)
DESIGNS = st.sampled_from([Seeds(), Seeds((6,)), Prompts({"effect": 4.0}, most=40), Prompts({"effect": 4.0}, least=5)])
SEEDS = st.lists(VALUES, max_size=14)
SOME = settings(max_examples=80, deadline=None)


def judged(values: list[Value], region: Region, design: Seeds | Prompts) -> Judgement:
    return judge([{"effect": value} for value in values], {"effect": region}, design)


@SOME
@given(st.integers(6, 11), st.data(), REGIONS)
def test_order_inside_a_look_does_not_matter(n, data, region):
    values = data.draw(st.lists(VALUES, min_size=n, max_size=n))
    mixed = [*data.draw(st.permutations(values[:6])), *data.draw(st.permutations(values[6:]))]
    assert judged(values, region, Seeds()).verdict is judged(mixed, region, Seeds()).verdict


@SOME
@given(st.lists(ENDS, min_size=12, max_size=12), st.data(), REGIONS)
def test_order_of_prompts_does_not_matter_at_a_fixed_number(numbers, data, region):
    """With one look, at twelve: the capital is a product over the gamblers' wins, whatever their order."""
    design = Prompts({"effect": 4.0}, most=12, least=12)
    values = [Value(x, x) for x in numbers]
    verdict = judged(values, region, design).verdict
    mixed = judged(data.draw(st.permutations(values)), region, design).verdict
    assert {verdict, mixed} not in ({S, R},)


@SOME
@given(SEEDS, REGIONS, DESIGNS, st.integers(-20, 20))
def test_units_do_not_matter(values, region, design, power):
    by = 2.0**power
    scaled = [Value(value.low * by, value.high * by) for value in values]
    other = Region(region.low * by, region.high * by)
    if isinstance(design, Prompts):
        bounds = {"effect": 4.0 * by}
        found = judged(scaled, other, Prompts(bounds, design.most, design.least))
    else:
        found = judged(scaled, other, design)
    assert (found.verdict, found.n) == (judged(values, region, design).verdict, judged(values, region, design).n)


@SOME
@given(SEEDS, REGIONS, DESIGNS, st.integers(0, 20), st.integers(0, 20))
def test_a_larger_region_keeps_support(values, region, design, below_it, above_it):
    larger = Region(region.low - below_it / 16, region.high + above_it / 16)
    if judged(values, region, design).verdict is S:
        assert judged(values, larger, design).verdict is S
    if judged(values, larger, design).verdict is R:
        assert judged(values, region, design).verdict is R


@SOME
@given(SEEDS, EDGES, DESIGNS)
def test_a_region_and_its_complement_are_never_both_supported(values, edge, design):
    verdicts = [judged(values, above(edge), design).verdict, judged(values, below(edge), design).verdict]
    assert verdicts.count(S) < 2 and verdicts.count(R) < 2
    assert verdicts[1] is R or verdicts[0] is not S
    assert verdicts[0] is R or verdicts[1] is not S


@SOME
@given(SEEDS, SEEDS, REGIONS, DESIGNS)
def test_topping_up_never_changes_a_decided_verdict(values, more, region, design):
    found = judged(values, region, design)
    if found.decided:
        assert judged([*values, *more], region, design) == found


@SOME
@given(st.lists(VALUES, min_size=11, max_size=11), ENDS)
def test_moving_a_seed_towards_the_region_never_turns_support_into_refutation(values, edge):
    region = above(edge)
    found = judged(values, region, Seeds((11,)))
    better = [Value(value.low + 1, value.high + 1) for value in values]
    ranks = {R: 0, Verdict.INCONCLUSIVE: 1, S: 2}
    assert ranks[judged(better, region, Seeds((11,))).verdict] >= ranks[found.verdict]


@SOME
@given(st.lists(VALUES, min_size=6, max_size=6), REGIONS, st.integers(1, 60), DESIGNS)
def test_more_agreeing_data_never_turn_support_into_refutation(values, region, times, design):
    first = judged(values, region, design).verdict
    more = judged(values * (1 + times), region, design).verdict
    assert {first, more} != {S, R}


@SOME
@given(SEEDS, REGIONS, DESIGNS)
def test_what_is_shown_is_what_was_judged(values, region, design):
    found = judged(values, region, design)
    (effect,) = found.effects
    assert found.n <= len(values) and effect.low <= effect.high
    if found.verdict is S:
        assert region.contains(effect.low, effect.high)
        assert effect.low < effect.high
    if found.verdict is R:
        assert region.disjoint(effect.low, effect.high)
    if found.n >= 6 and found.verdict is Verdict.INCONCLUSIVE:
        assert not region.contains(effect.low, effect.high)
    if effect.estimate is not None:
        assert effect.low <= effect.estimate <= effect.high or isinstance(design, Prompts)
    assert np.isfinite(effect.level) and 0 <= effect.level < 1


@SOME
@given(SEEDS, REGIONS, REGIONS, DESIGNS)
def test_a_conjunction_is_never_stronger_than_its_parts(values, one, other, design):
    replicates = [{"effect": value, "other": value} for value in values]
    if isinstance(design, Prompts):
        design = Prompts({"effect": 4.0, "other": 4.0}, design.most, design.least)
    both = judge(replicates, {"effect": one, "other": other}, design)
    alone = [judge(replicates, {name: region}, design).verdict for name, region in (("effect", one), ("other", other))]
    if both.verdict is R:
        assert R in alone


@SOME
@given(SEEDS, REGIONS, DESIGNS)
def test_a_mirror_changes_nothing(values, region, design):
    found = judged(values, region, design)
    mirrored = judged([Value(-value.high, -value.low) for value in values], Region(-region.high, -region.low), design)
    assert (found.verdict, found.n, found.decided) == (mirrored.verdict, mirrored.n, mirrored.decided)
    assert (found.p_value, found.e_value) == (mirrored.p_value, pytest.approx(mirrored.e_value))


@SOME
@given(SEEDS, SEEDS, REGIONS, REGIONS, DESIGNS)
def test_names_and_their_order_do_not_matter(some, others, one, other, design):
    if isinstance(design, Prompts):
        design = Prompts(dict.fromkeys("abxy", 4.0), design.most, design.least)
    pairs = list(zip(some, others, strict=False))
    found = judge([{"a": p, "b": q} for p, q in pairs], {"a": one, "b": other}, design)
    again = judge([{"y": p, "x": q} for p, q in pairs], {"x": other, "y": one}, design)
    assert (found.verdict, found.n, found.p_value, found.e_value) == (
        again.verdict,
        again.n,
        again.p_value,
        again.e_value,
    )


@SOME
@given(st.lists(st.booleans(), max_size=14), st.integers(1, 31), st.sampled_from([Seeds(), Prompts(most=40)]))
def test_an_event_and_its_absence_mirror_each_other(events, edge, design):
    found = judge([{"r": Value(e, e)} for e in events], {"r": rate_above(edge / 32)}, design)
    absent = judge([{"r": Value(1 - e, 1 - e)} for e in events], {"r": rate_below(1 - edge / 32)}, design)
    assert (found.verdict, found.n) == (absent.verdict, absent.n)
    assert (found.p_value, found.e_value) == (pytest.approx(absent.p_value), pytest.approx(absent.e_value))


@SOME
@given(SEEDS, EDGES)
def test_scales_only_change_how_edges_are_written(values, edge):
    """Of seeds, ranks do not change under a monotone scale; of prompts, effects are judged after the transformation."""
    found = judged(values, above(edge), Seeds())
    for scale, back in (("log", math.exp), ("logit", lambda y: 1 / (1 + math.exp(-y)))):
        moved = [Value(back(value.low), back(value.high)) for value in values]
        for design in (Seeds(), Prompts({"effect": 4.0}, most=40)):
            scaled = judged(moved, above(back(edge), scale=scale), design)
            plain = found if isinstance(design, Seeds) else judged(values, above(edge), design)
            if all(abs(end - edge) > 1e-6 for value in values for end in (value.low, value.high)):
                assert (scaled.verdict, scaled.n) == (plain.verdict, plain.n)


@SOME
@given(SEEDS, st.integers(1, 30), DESIGNS)
def test_a_null_and_what_lies_outside_it_are_never_both_supported(values, margin, design):
    inside = judged(values, Region(-margin / 16, margin / 16), design).verdict
    outside = [judged(values, region, design).verdict for region in (above(margin / 16), below(-margin / 16))]
    assert S not in outside or inside is R


@SOME
@given(SEEDS, SEEDS, REGIONS, DESIGNS)
def test_evidence_of_a_decided_verdict_is_that_of_the_level_and_an_undecided_one_has_none(values, more, region, design):
    found = judged([*values, *more], region, design)
    if isinstance(design, Prompts):
        assert found.p_value is None
        if found.n >= design.least:  # before that a bet may be won and not count yet
            assert {S: 40, R: 20}.get(found.verdict, 0) <= found.e_value * (1 + 1e-9)
            assert found.verdict in (S, R) or found.e_value < 40
    else:
        assert found.e_value is None and (found.p_value <= 0.05) == (found.verdict in (S, R))
    (adjusted,) = adjust([found])
    assert adjusted.adjusted is found.verdict


@SOME
@given(st.lists(st.tuples(SEEDS, REGIONS, DESIGNS), max_size=8))
def test_adjusting_never_makes_a_verdict_stronger_and_more_undecided_claims_never_help(suite):
    found = [judged(values, region, design) for values, region, design in suite]
    adjusted = adjust(found)
    assert [one.raw for one in adjusted] == [one.verdict for one in found]
    assert all(one.adjusted in (one.raw, Verdict.INCONCLUSIVE) for one in adjusted)
    diluted = adjust([*found, judged([], above(0), Seeds()), judged([], above(0), Prompts({"effect": 4.0}))])
    for before, after in zip(adjusted, diluted, strict=False):
        assert after.adjusted in (before.adjusted, Verdict.INCONCLUSIVE)


@SOME
@given(st.lists(st.tuples(ENDS, st.integers(0, 3)), max_size=60), st.integers(0, 60), REGIONS)
def test_topping_up_never_changes_a_decided_verdict_of_templates(rows, n, region):
    design = Prompts({"effect": 4.0}, most=40, per_cluster=3)
    replicates, labels = [{"effect": Value(x, x)} for x, _ in rows], [label for _, label in rows]
    found = judge(replicates[:n], {"effect": region}, design, labels[:n])
    if found.decided:
        assert judge(replicates, {"effect": region}, design, labels) == found
