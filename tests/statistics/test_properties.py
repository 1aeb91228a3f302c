"""What must hold of every verdict, whatever the data (hypothesis).

Each property says which verdicts it met, and must have met those that it is about in a fifth of the cases at least: of
data that decide nothing all of them would hold.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

import numpy as np
import pytest
from claimbench.effect import Value
from claimbench.region import Region, above, below, interval, rate_above, rate_below
from claimbench.statistics import Judgement, Prompts, Seeds, adjust, judge
from claimbench.statistics.betting import MOST_STAKED, STAKES, WEIGHTS
from claimbench.verdict import Verdict
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

S, R, U = Verdict.SUPPORTED, Verdict.REFUTED, Verdict.INCONCLUSIVE
Design = Seeds | Prompts

SIXTEENTH = 1 / 16  # ties are frequent, and scaling by a power of two is exact
EDGES = st.integers(-8, 8).map(lambda i: i * SIXTEENTH)
REGIONS = st.one_of(
    EDGES.map(above),
    EDGES.map(below),
    st.builds(lambda low, width: interval(low, low + width * SIXTEENTH), EDGES, st.integers(24, 32)),
)
#: Looks at seeds, or the least number of prompt batches that decides.
LOOKS = st.sampled_from([(6, 11), (6, 11), (6,), (11,), 2, 2, 5, 20])
SIDES = st.sampled_from([-1, 1])
SHIFTS = st.sampled_from([12, 10, 14, 8, 12, 10, 12, 10, 14, 3])  # how far from the edge a typical value lies, in sixteenths
NOISE = st.integers(-3, 3)
WIDENING = st.sampled_from([(0, 0)] * 8 + [(1, 0), (0, 2), (0, math.inf), (math.inf, 1)])


def asserted(*outcomes: Hashable, **cases: Any) -> Callable[[Callable[..., Any]], Callable[[], None]]:
    """A property of the drawn cases; it returns what it met, and meets each of the outcomes in a fifth of eighty fixed cases."""

    def declare(holds: Callable[..., Any]) -> Callable[[], None]:
        met: Counter[Hashable] = Counter()

        @wraps(holds)
        def once(**drawn: Any) -> None:
            met.update([holds(**drawn)])

        free = settings(max_examples=30, deadline=None)(given(**cases)(once))
        ten = settings(max_examples=10, deadline=None, database=None, phases=[Phase.generate])

        def test() -> None:
            free()
            met.clear()
            for number in range(8):  # cases of one seed are alike: they are made from each other
                ten(seed(number)(given(**cases)(once)))()
            assert all(met[outcome] >= met.total() / 5 for outcome in outcomes), met

        test.__name__, test.__doc__ = holds.__name__, holds.__doc__
        return test

    return declare


@dataclass(frozen=True)
class Case:
    """Replicates of one effect that lie on a side of an edge of the region, by and large, and how they are looked at."""

    values: list[Value]
    region: Region
    design: Design
    edge: float

    @property
    def found(self) -> Judgement:
        return judged(self.values, self.region, self.design)


def judged(values: list[Value], region: Region, design: Design) -> Judgement:
    return judge([{"effect": value} for value in values], {"effect": region}, design)


def point(x: float) -> Value:
    return Value(x, x)


@st.composite
def around(draw: st.DrawFn, edge: float, n: int, exact: bool = False, shifts: st.SearchStrategy[int] = SHIFTS) -> list[Value]:
    """Values whose typical one lies some way on a side of the edge, with little noise; some known between two ends only."""
    centre = edge + draw(SIDES) * draw(shifts) * SIXTEENTH
    middles = [centre + noise * SIXTEENTH for noise in draw(st.lists(NOISE, min_size=n, max_size=n))]
    if exact or draw(st.integers(0, 2)):
        return [point(x) for x in middles]
    ends = draw(st.lists(WIDENING, min_size=n, max_size=n))
    return [Value(x - down * SIXTEENTH, x + up * SIXTEENTH) for x, (down, up) in zip(middles, ends, strict=True)]


def looked_at(looks: tuple[int, ...] | int, region: Region, spare: int) -> Design:
    """A design; prompts are clipped `spare` sixteenths beyond the farthest edge, near the spread of the values."""
    if isinstance(looks, tuple):
        return Seeds(looks)
    bound = max(abs(edge) for edge in region.edges) + spare * SIXTEENTH
    return Prompts({"effect": bound}, most=40, least=looks, tuned_for=30)


@st.composite
def cases(
    draw: st.DrawFn,
    exact: bool = False,
    regions: st.SearchStrategy[Region] = REGIONS,
    looks: st.SearchStrategy[tuple[int, ...] | int] = LOOKS,
    shifts: st.SearchStrategy[int] = SHIFTS,
) -> Case:
    region = draw(regions)
    edge = draw(st.sampled_from(region.edges))
    design = looked_at(draw(looks), region, draw(st.integers(6, 14)))
    n = draw(st.sampled_from([11, 12, 13, 14, 11, 12, 13, 6]) if isinstance(design, Seeds) else st.integers(20, 40))
    return Case(draw(around(edge, n, exact, shifts)), region, design, edge)


def mirrored(values: list[Value], edge: float = 0.0) -> list[Value]:
    return [Value(2 * edge - value.high, 2 * edge - value.low) for value in values]


@asserted(S, R, case=cases(looks=st.sampled_from([(6, 11), (6,), (11,)])), data=st.data())
def test_order_inside_a_look_does_not_matter(case, data):
    """Of seeds, whatever the data: nothing that is judged or shown changes."""
    looks = [0, *case.design.looks, len(case.values)]
    mixed = [value for a, b in itertools.pairwise(looks) for value in data.draw(st.permutations(case.values[a:b]))]
    found, again = case.found, judged(mixed, case.region, case.design)
    (one,), (other,) = found.effects, again.effects
    assert (found.verdict, found.n, found.p_value) == (again.verdict, again.n, again.p_value)
    assert (one.low, one.high, one.level, one.estimate) == (other.low, other.high, other.level, other.estimate)
    return found.verdict


def constant_gamblers(x: np.ndarray, m: float) -> float:
    """The capital of those who stake constant shares after all values, a product that knows no order."""
    return sum(weight * np.prod(1 + stake * (x / m - 1)) for stake, weight in zip(STAKES, WEIGHTS, strict=True))


@asserted(
    "always",
    "never",
    case=cases(exact=True, regions=EDGES.map(above), looks=st.just(2), shifts=st.sampled_from([1, 2, 3, 4, 6, 12])),
    data=st.data(),
)
def test_order_of_prompts_on_one_side_of_the_edge_matters_near_the_threshold_only(case, data):
    """At a fixed number, where no value lies across the edge: the tuned gambler alone bets by what came before.

    So what the constant gamblers win without it is won in every order, what no stake can win is won in none, and
    between the two an order may leave undecided what another decides; none turns a verdict round.
    """
    n, bound = len(case.values), case.design.bounds["effect"]
    side = 1 if sum(value.low for value in case.values) >= n * case.edge else -1
    values = [point(case.edge + side * abs(value.low - case.edge)) for value in case.values]
    design = replace(case.design, most=n, least=n)
    x = (bound + side * np.clip([value.low for value in values], -bound, bound)) / (2 * bound)
    m = (bound + side * case.edge) / (2 * bound)
    at_least = constant_gamblers(x, m)
    at_most = at_least + (1 - sum(WEIGHTS)) * np.prod(1 + MOST_STAKED * (x / m - 1))
    won = S if side > 0 else R
    possible = {won} if at_least > 40 * (1 + 1e-9) else {U} if at_most < 40 * (1 - 1e-9) else {won, U}
    found = {judged(order, case.region, design).verdict for order in (values, data.draw(st.permutations(values)))}
    assert found <= possible
    return "either" if len(possible) == 2 else "always" if won in possible else "never"


def test_order_of_prompts_on_both_sides_of_the_edge_may_turn_a_verdict_round():
    """A mean is bet on as one of all batches: what drifts from one side to the other is excluded where it was first."""
    design = Prompts({"effect": 1.0}, most=60, least=60)
    drifting = [point(1.0)] * 30 + [point(-1.0)] * 30
    assert judged(drifting, above(0.1), design).verdict is S
    assert judged(drifting[::-1], above(0.1), design).verdict is R
    assert judged([point(x) for x in (1.0, -1.0)] * 30, above(0.1), design).verdict is U


@asserted(S, R, case=cases(), power=st.integers(-20, 20))
def test_units_do_not_matter(case, power):
    by, design = 2.0**power, case.design
    scaled = [Value(value.low * by, value.high * by) for value in case.values]
    if isinstance(design, Prompts):
        design = replace(design, bounds={"effect": design.bounds["effect"] * by})
    found, other = case.found, judged(scaled, Region(case.region.low * by, case.region.high * by), design)
    assert (found.verdict, found.n) == (other.verdict, other.n)
    return found.verdict


@asserted((S, S), (R, R), case=cases(), below_it=st.integers(0, 5), above_it=st.integers(0, 5))
def test_a_larger_region_keeps_support_and_a_smaller_one_refutation(case, below_it, above_it):
    larger = Region(case.region.low - below_it * SIXTEENTH, case.region.high + above_it * SIXTEENTH)
    found, wider = case.found, judged(case.values, larger, case.design)
    if found.verdict is S:
        assert wider.verdict is S and wider.n <= found.n
    if wider.verdict is R:
        assert found.verdict is R and found.n <= wider.n
    return found.verdict, wider.verdict


@asserted((S, R), (R, S), case=cases(regions=EDGES.map(above)))
def test_what_a_region_supports_its_complement_refutes(case):
    found, other = case.found, judged(case.values, below(case.edge), case.design)
    verdicts = found.verdict, other.verdict
    assert verdicts != (S, S)
    assert S not in verdicts or R in verdicts
    if isinstance(case.design, Prompts):  # the same bets; an edge that is met is outside of both regions, of seeds
        assert verdicts in ((S, R), (R, S), (U, U))
    return verdicts


@asserted(S, R, case=cases(), more=st.integers(1, 40))
def test_topping_up_never_changes_a_decided_verdict(case, more):
    """What is added lies on the other side of the edge."""
    found = case.found
    if not found.decided:
        return None
    surplus = mirrored((case.values * 7)[:more], case.edge)
    assert judged([*case.values, *surplus], case.region, case.design) == found
    return found.verdict


@asserted(
    (S, S),
    (R, S),
    (R, R),
    case=cases(exact=True, regions=EDGES.map(above), looks=st.sampled_from([(6, 11), (6,), (11,)])),
    by=st.sampled_from([2, 30]),
    data=st.data(),
)
def test_moving_seeds_towards_the_region_never_weakens_a_verdict(case, by, data):
    n = len(case.values)
    moves = data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    better = [point(value.low + (by + move) * SIXTEENTH) for value, move in zip(case.values, moves, strict=True)]
    found, moved = case.found.verdict, judged(better, case.region, case.design).verdict
    ranks = {R: 0, U: 1, S: 2}
    assert ranks[moved] >= ranks[found]
    return found, moved


@asserted(S, R, case=cases(regions=EDGES.map(above)), stray=st.booleans(), data=st.data())
def test_more_agreeing_seeds_never_change_a_verdict(case, stray, data):
    """A design that looks at six, and one that looks at eleven instead: five more on the side of the six, or four."""
    values = case.values[:6]
    first = judged(values, case.region, Seeds((6,))).verdict
    if first is U:
        return None
    side = 1 if first is S else -1
    more = [point(case.edge + side * k * SIXTEENTH) for k in data.draw(st.lists(st.integers(1, 30), min_size=5, max_size=5))]
    if stray:
        more[data.draw(st.integers(0, 4))] = point(case.edge - side * data.draw(st.integers(0, 30)) * SIXTEENTH)
    assert judged([*values, *more], case.region, Seeds((11,))).verdict is first
    return first


@asserted(S, R, case=cases(looks=st.just(2)), agreeing=st.booleans(), data=st.data())
def test_more_prompts_never_undo_what_a_smaller_number_decides(case, agreeing, data):
    """A design with one look, and one with one look at a larger number.

    Batches inside the region, on its edges included, leave SUPPORTED as it is; whatever the further ones are, REFUTED stays
    REFUTED and nothing becomes undecided again.
    """
    n, k = len(case.values), data.draw(st.integers(1, 40))
    first = judged(case.values, case.region, replace(case.design, most=n, least=n)).verdict
    if agreeing:
        low, high = max(case.region.low, -3.0), min(case.region.high, 3.0)
        inside = st.integers(round(low * 16), round(high * 16)).map(lambda i: i * SIXTEENTH)
        pairs = data.draw(st.lists(st.tuples(inside, inside), min_size=k, max_size=k))
        more = [Value(min(pair), max(pair)) for pair in pairs]
    else:
        more = mirrored((case.values * 4)[:k], case.edge)
    later = judged([*case.values, *more], case.region, replace(case.design, most=n + k, least=n + k)).verdict
    if first is R or (first is S and agreeing):
        assert later is first
    assert first is U or later is not U
    return first


@asserted(S, R, case=cases())
def test_what_is_shown_is_what_was_judged(case):
    found, region = case.found, case.region
    (effect,) = found.effects
    assert found.n <= len(case.values) and effect.low <= effect.high
    if found.verdict is S:
        assert region.contains(effect.low, effect.high)
        assert effect.low < effect.high
    if found.verdict is R:
        assert region.disjoint(effect.low, effect.high)
    looks = [found.n] if isinstance(case.design, Prompts) else case.design.looks
    if found.n in looks and found.verdict is U:
        assert not region.contains(effect.low, effect.high)
    if effect.estimate is not None:
        assert effect.low <= effect.estimate <= effect.high or isinstance(case.design, Prompts)
    assert np.isfinite(effect.level) and 0 <= effect.level < 1
    return found.verdict


@st.composite
def pairs_of_effects(draw: st.DrawFn) -> tuple[list[dict[str, Value]], dict[str, Region], Design]:
    one, other = draw(EDGES), draw(EDGES)
    regions = {"a": draw(st.sampled_from([above, below]))(one), "b": draw(st.sampled_from([above, below]))(other)}
    looks = draw(st.sampled_from([(6, 11), (11,), 2, 5]))
    design, n = looked_at(looks, regions["a"], 10), draw(st.integers(11, 14) if isinstance(looks, tuple) else st.integers(20, 40))
    if isinstance(design, Prompts):
        design = replace(design, bounds=dict(zip("ab", (abs(one) + 0.5, abs(other) + 0.5), strict=True)))
    values = [draw(around(edge, n)) for edge in (one, other)]
    if draw(st.booleans()):  # both on the side of their regions
        values = [
            v if regions[k].contains(v[0].low, v[0].low) else mirrored(v, e)
            for k, v, e in zip("ab", values, (one, other), strict=True)
        ]
    return [{"a": p, "b": q} for p, q in zip(*values, strict=True)], regions, design


@asserted(S, R, pair=pairs_of_effects())
def test_a_conjunction_is_never_stronger_than_its_parts(pair):
    replicates, regions, design = pair
    both = judge(replicates, regions, design)
    alone = [judge(replicates, {name: region}, design) for name, region in regions.items()]
    if both.verdict is S:
        assert all(one.verdict is S and one.n <= both.n for one in alone)
    if both.verdict is R:
        assert any(one.verdict is R and one.n <= both.n for one in alone)
    return both.verdict


@asserted(S, R, pair=pairs_of_effects())
def test_names_and_their_order_do_not_matter(pair):
    replicates, regions, design = pair
    found = judge(replicates, regions, design)
    if isinstance(design, Prompts):
        design = replace(design, bounds={"y": design.bounds["a"], "x": design.bounds["b"]})
    renamed = [{"x": one["b"], "y": one["a"]} for one in replicates]
    again = judge(renamed, {"x": regions["b"], "y": regions["a"]}, design)
    assert (found.verdict, found.n, found.p_value, found.e_value) == (again.verdict, again.n, again.p_value, again.e_value)
    return found.verdict


@asserted(S, R, case=cases())
def test_a_mirror_changes_nothing(case):
    found = case.found
    other = judged(mirrored(case.values), Region(-case.region.high, -case.region.low), case.design)
    assert (found.verdict, found.n, found.decided) == (other.verdict, other.n, other.decided)
    assert (found.p_value, found.e_value) == (other.p_value, pytest.approx(other.e_value))
    return found.verdict


@asserted(
    S,
    R,
    events=st.lists(st.sampled_from([True] * 19 + [False]), min_size=14, max_size=40),
    often=st.booleans(),
    edge=st.integers(8, 24),
    design=st.sampled_from([Seeds(), Prompts(most=40, tuned_for=30)]),
)
def test_an_event_and_its_absence_mirror_each_other(events, often, edge, design):
    numbers = [float(event is often) for event in events]
    found = judge([{"r": point(x)} for x in numbers], {"r": rate_above(edge / 32)}, design)
    absent = judge([{"r": point(1 - x)} for x in numbers], {"r": rate_below(1 - edge / 32)}, design)
    assert (found.verdict, found.n) == (absent.verdict, absent.n)
    assert (found.p_value, found.e_value) == (pytest.approx(absent.p_value), pytest.approx(absent.e_value))
    return found.verdict


@asserted(S, R, case=cases(regions=EDGES.map(above), looks=st.sampled_from([(6, 11), 2])))
def test_scales_only_change_how_edges_are_written(case):
    """Of seeds, ranks do not change under a monotone scale; of prompts, effects are judged after the transformation."""
    ends = [end for value in case.values for end in (value.low, value.high)]
    if any(abs(end - case.edge) < 1e-6 for end in ends):  # a tie with the edge may not survive the rounding
        return None
    found = case.found
    for scale, back in (("log", math.exp), ("logit", lambda y: 1 / (1 + math.exp(-y)) if y > -math.inf else 0.0)):
        moved = [Value(back(value.low), back(value.high)) for value in case.values]
        scaled = judged(moved, above(back(case.edge), scale=scale), case.design)
        assert (scaled.verdict, scaled.n) == (found.verdict, found.n)
    return found.verdict


@asserted(
    (S, False),
    (R, True),
    margin=st.integers(8, 16),
    shift=st.sampled_from([0, 30, -30, 4, -4, 26, -26, 12]),
    noise=st.lists(NOISE, min_size=40, max_size=40),
    looks=LOOKS,
)
def test_a_null_and_what_lies_outside_it_are_never_both_supported(margin, shift, noise, looks):
    null = Region(-margin * SIXTEENTH, margin * SIXTEENTH)
    values, design = [point((shift + x) * SIXTEENTH) for x in noise], looked_at(looks, null, 10)
    inside = judged(values, null, design).verdict
    outside = [judged(values, region, design).verdict for region in (above(null.high), below(null.low))]
    if inside is S:
        assert outside == [R, R]
    assert outside.count(S) < 2
    assert S not in outside or inside is R
    return inside, S in outside


@asserted(S, R, case=cases())
def test_evidence_of_a_decided_verdict_is_that_of_the_level_and_an_undecided_one_has_none(case):
    found = case.found
    if isinstance(case.design, Prompts):
        assert found.p_value is None
        if found.n >= case.design.least:  # before that a bet may be won and not count yet
            assert {S: 40, R: 20}.get(found.verdict, 0) <= found.e_value * (1 + 1e-9)
            assert found.verdict in (S, R) or found.e_value < 40
    else:
        assert found.e_value is None and (found.p_value <= 0.05) == (found.verdict in (S, R))
    (adjusted,) = adjust([found])
    assert adjusted.adjusted is found.verdict
    return found.verdict


@asserted("kept", "weakened", suite=st.lists(cases(), min_size=1, max_size=4))
def test_adjusting_never_makes_a_verdict_stronger_and_more_undecided_claims_never_help(suite):
    found = [case.found for case in suite]
    adjusted = adjust(found)
    assert [one.raw for one in adjusted] == [one.verdict for one in found]
    assert all(one.adjusted in (one.raw, U) for one in adjusted)
    undecided = judged([], above(0), Seeds()), judged([], above(0), Prompts({"effect": 4.0}))
    diluted = adjust([*found, *undecided])
    for before, after in zip(adjusted, diluted, strict=False):
        assert after.adjusted in (before.adjusted, U)
    if all(one.raw is U for one in adjusted):
        return None
    return "kept" if all(one.adjusted is one.raw for one in diluted[: len(found)]) else "weakened"


@asserted(S, R, case=cases(exact=True, looks=st.just(2)), data=st.data())
def test_topping_up_never_changes_a_decided_verdict_of_templates(case, data):
    """Two batches of each template, mixed; then further members of old templates, and new ones across the edge."""
    labels = data.draw(st.permutations([index // 2 for index in range(len(case.values))]))
    design = replace(case.design, least=5, per_cluster=2, most=20, tuned_for=20)
    replicates = [{"effect": value} for value in case.values]
    surplus = [{"effect": value} for value in mirrored(case.values, case.edge)]
    found = judge(replicates, {"effect": case.region}, design, labels)
    if not found.decided:
        return None
    both, more = [*replicates, *surplus], [*labels, *(label * 2 for label in labels)]
    assert judge(both, {"effect": case.region}, design, more) == found
    return found.verdict
