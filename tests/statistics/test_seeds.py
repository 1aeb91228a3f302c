"""Seeds: exact looks at six and eleven, conjunctions, intervals, rates, and what an INCONCLUSIVE says."""

from __future__ import annotations

import math

import pytest
from claimbench.effect import Value
from claimbench.errors import DeclarationError, EffectError
from claimbench.region import Region, above, below, rate_above, rate_below, within
from claimbench.statistics import Seeds, judge
from claimbench.verdict import Verdict
from judgement_helpers import judged

S, R, U = Verdict.SUPPORTED, Verdict.REFUTED, Verdict.INCONCLUSIVE
SIX = [0.91, 0.95, 0.96, 0.98, 0.99, 1.0]


def test_six_seeds_beyond_the_edge_support_with_the_range_at_its_exact_level():
    found = judged([SIX[i] for i in (3, 0, 5, 1, 4, 2)], above(0.1, unit="share of gain"))
    (effect,) = found.effects
    assert (found.verdict, found.n, found.decided, found.needed, found.detectable) == (S, 6, True, None, None)
    assert (effect.low, effect.high, effect.level) == (0.91, 1.0, 0.96875)
    assert effect.estimate == pytest.approx(0.97)
    assert found.reason == "median 0.97 of six seeds, interval 0.91 to 1, inside above 0.1 share of gain"


def test_six_seeds_on_the_other_side_refute():
    assert judged([0.0, 0.05, 0.09, -1, 0.01, 0.02], above(0.1)).verdict is R
    assert judged(SIX, within(0.5)).verdict is R
    assert judged(SIX, within(2)).verdict is S


def test_one_seed_short_of_the_edge_waits_for_eleven_and_ten_of_eleven_decide():
    six = [0.0, *SIX[1:]]
    first = judged(six, above(0.1))
    assert (first.verdict, first.decided, first.needed, first.n) == (U, False, 5, 6)
    assert "five more seeds may decide" in first.reason and "across an edge" in first.reason
    assert judged([*six, 1, 1], above(0.1)).needed == 3  # surplus of a look is not looked at
    assert judged([*six, 1, 1], above(0.1)).n == 6
    eleven = judged([*six, *SIX[:5]], above(0.1))
    assert (eleven.verdict, eleven.n, eleven.effects[0].low, eleven.effects[0].high) == (S, 11, 0.91, 0.99)
    assert eleven.effects[0].level == pytest.approx(0.98828125)
    nine = judged([*six, 0.0, *SIX[:4]], above(0.1))
    assert (nine.verdict, nine.decided, nine.needed) == (U, True, None) and "exhausted" in nine.reason
    assert judged([*six, *[0.0] * 5], above(0.5)).verdict is U  # six of eleven
    assert judged([1.0, *[0.0] * 10], above(0.5)).verdict is R


@pytest.mark.parametrize("n", range(6))
def test_fewer_than_six_are_shown_and_never_decide(n):
    found = judged([5.0 + i for i in range(n)], above(0.1))
    assert (found.verdict, found.n, found.needed, found.decided, found.detectable) == (U, n, 6 - n, False, None)
    assert "never decide" in found.reason
    (effect,) = found.effects
    if n:
        assert (effect.level, round(effect.low, 4), round(effect.high, 4)) == (1 - 2 * 0.5**n, 5, 4 + n)
    else:
        assert (effect.estimate, effect.low, effect.high, effect.level) == (None, -math.inf, math.inf, 0)


def test_a_schedule_that_ends_before_six_says_so():
    found = judged([1.0] * 4, above(0.1), Seeds((3,)))
    assert (found.verdict, found.n, found.needed, found.decided) == (U, 3, None, True)
    assert "at most 3" in found.reason


def test_the_edge_itself_is_outside():
    assert judged([0.1, *[1.0] * 5], above(0.1)).verdict is U
    assert judged([0.1] * 6, above(0.1)).verdict is U  # the resolution reaches over the edge


def test_a_conjunction_is_supported_when_all_are_and_refuted_only_at_eleven():
    regions = {"a": above(0.1), "b": below(0)}
    both = [{"a": 1.0 + i, "b": -1.0 - i} for i in range(6)]
    assert judged(both, regions).verdict is S
    one_off = [{"a": 1.0 + i, "b": 1.0 + i} for i in range(6)]
    six = judged(one_off, regions)
    assert (six.verdict, six.needed) == (U, 5)
    eleven = judged([*one_off, *one_off[:5]], regions)
    assert eleven.verdict is R and eleven.reason.startswith("b outside, also at the level for 2 effects; a: median")
    assert judged([{"b": 1.0 + i} for i in range(6)], {"b": below(0)}).verdict is R


def test_a_shorter_profile_does_not_refute_a_conjunction_at_six():
    regions = {"a": above(0.1), "b": rate_above(0.9)}
    found = judged([{"a": -1.0, "b": 0}] * 6, regions, Seeds((6,)))
    assert (found.verdict, found.needed) == (U, None)


def test_a_schedule_without_the_level_for_three_effects_cannot_refute():
    regions = {name: above(0.1) for name in "abc"}
    assert judged([dict.fromkeys("abc", -1.0)] * 6, regions, Seeds((5, 6))).verdict is U
    assert judged([dict.fromkeys("abc", -1.0)] * 11, regions).verdict is R


def test_conjunctions_of_rates_spend_their_error_at_the_last_look():
    regions = {"a": rate_above(0.5), "b": rate_above(0.5)}
    none = [{"a": 1, "b": 0}] * 6
    assert judged(none, regions).verdict is U
    assert judged([*none, *none[:5]], regions).verdict is R
    one = [{"a": 1, "b": 1}, *none, *none[:4]]
    assert judged(one, regions).verdict is R  # one of eleven: 0.6 % against 1.25 %
    two = [{"a": 1, "b": 1}] * 2 + [{"a": 1, "b": 0}] * 9
    assert judged(two, regions).verdict is U


def test_rates_above_one_half_need_six_of_six_or_ten_of_eleven():
    most = rate_above(0.5)
    six = judged([True] * 6, most)
    assert (six.verdict, six.effects[0].estimate, six.effects[0].high) == (S, 1, 1)
    assert "rate 1 of six seeds" in six.reason
    assert judged([1] * 5 + [0], most).verdict is U
    assert judged([1] * 5 + [0] + [1] * 5, most).verdict is S
    assert judged([1] * 4 + [0, 0] + [1] * 5, most).verdict is U
    assert judged([0] * 6, most).verdict is R
    assert judged([0] * 6, rate_below(0.5)).verdict is S
    assert judged([], most).effects[0].high == 1


def test_an_event_that_is_not_known_counts_against_both_ends():
    most = rate_above(0.5)
    found = judged([1] * 5 + [(0, 1)], most)
    assert found.verdict is U and found.effects[0].estimate == pytest.approx(11 / 12)
    assert judged([0] * 5 + [(0, 1)], most).verdict is U
    assert found.effects[0].high == 1


def test_rates_say_how_far_from_the_edge_would_have_decided():
    found = judged([0] * 2 + [1] * 9, rate_above(0.5))
    assert found.verdict is U and found.detectable == {"effect": pytest.approx(10 / 11 - 0.5)}
    narrow = Region(0.98, 0.99, "rate", of="rate")
    assert judged([1] * 11, narrow).detectable == {"effect": pytest.approx(0.98 - 8 / 11)}
    middle = judged([0, 1] * 6, Region(0.3, 0.7, "rate", of="rate"))
    assert middle.verdict is U and middle.detectable is None  # eleven are too few for it


def test_intervals_count_by_their_outer_ends():
    resolved = [(0.2, 0.3)] * 5 + [(0.05, 0.3)]
    assert judged(resolved, above(0.1)).verdict is U
    assert judged([(0.2, 0.3)] * 6, above(0.1)).verdict is S
    (effect,) = judged([(0.2, 0.3)] * 6, above(0.1)).effects
    assert (effect.low, effect.high, effect.estimate) == (0.2, 0.3, 0.25)


def test_a_censored_time_supports_above_and_never_below():
    censored = [(2.0, math.inf)] * 6
    assert judged(censored, above(1)).verdict is S
    assert judged(censored, below(1)).verdict is R
    assert judged(censored, below(3)).verdict is U
    (effect,) = judged(censored, above(1)).effects
    assert (effect.estimate, effect.low, effect.high, effect.t_low) == (2.0, 2.0, math.inf, None)


def test_detectable_is_the_half_width_of_the_interval():
    found = judged([0.0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0.0], above(0.5))
    assert found.detectable == {"effect": 1.0}
    assert judged([(0, math.inf)] * 11, above(1)).detectable is None


def test_the_t_interval_is_shown_on_the_scale_of_the_region():
    (effect,) = judged([1.0, 2, 4, 8, 16, 32], above(0.5, scale="log", unit="ratio")).effects
    assert effect.t_low < 2**2.5 < effect.t_high
    assert math.sqrt(effect.t_low * effect.t_high) == pytest.approx(2**2.5)


def test_equal_effects_support_with_a_width_and_say_so():
    found = judged([1.0] * 6, above(0.1))
    assert found.verdict is S and "all equal, no spread" in found.reason
    assert found.effects[0].low < 1.0 < found.effects[0].high
    assert judged([0.0] * 6, within(0.1)).verdict is S
    assert judged([1.0, *SIX[1:]], above(0.1)).reason.count("all equal") == 0


@pytest.mark.parametrize(
    "raw",
    [
        [0.0] * 11,
        [1e308, -1e308] * 3,
        [(-math.inf, math.inf)] * 11,
        [(-math.inf, 0.0), (0.0, math.inf)] * 5,
        [5e-324] * 6,
    ],
)
def test_degenerate_data_never_crash_and_never_support_through_nothing(raw):
    found = judged(raw, above(0.0))
    assert found.verdict is U and found.reason
    assert found.effects[0].to_json()["region"]["text"] == "above 0"


def test_json_of_a_summary_has_null_for_what_is_open():
    (effect,) = judged([(-math.inf, math.inf)] * 6, above(0)).effects
    body = effect.to_json()
    assert (body["estimate"], body["low"], body["high"], body["t_low"]) == (None, None, None, None)


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(DeclarationError, match="one to 3 judged effects, found 0"):
        judge([], {}, Seeds())
    with pytest.raises(DeclarationError, match="found 4"):
        judge([], {name: above(0) for name in "abcd"}, Seeds())
    with pytest.raises(EffectError, match="no effect 'b'"):
        judge([{"a": Value(1, 1)}], {"b": above(0)}, Seeds())
