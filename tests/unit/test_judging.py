"""Judging: replicates in index order become a verdict; a surplus in the store changes nothing that was decided."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from claimbench import above, rate_above, variant
from claimbench.errors import DeclarationError
from claimbench.running import judging
from claimbench.running.judging import Standing, replay, stand
from claimbench.running.measure import Part, Replicate
from claimbench.running.profile import PROFILES
from claimbench.statistics import Prompts, Seeds
from claimbench.verdict import Verdict
from hypothesis import example, given, settings
from hypothesis import strategies as st

from running_fakes import declared, fake_family, fake_lm, item, level, nothing, replicate, session

S, R, I, N, V, E = (  # noqa: E741
    Verdict[name] for name in ("SUPPORTED", "REFUTED", "INCONCLUSIVE", "NOT_APPLICABLE", "INVALID", "ERROR")
)
CLAIM = declared()
ITEM = item(CLAIM)
GIVEN = item(CLAIM, "gpt", "model")


def play(replicates: Sequence[Replicate], seeds: int | None = 11, design: Any = None, of: Any = ITEM) -> tuple[Standing, int]:
    """As a session replays a store: one replicate after the other, until no more are wanted or there."""
    standing, used = stand(of, [], design or Seeds(), seeds), 0
    while standing.wants > used and used < len(replicates):
        used += 1
        standing = stand(of, replicates[:used], design or Seeds(), seeds)
    return standing, used


def levels(*values: float | None) -> list[Replicate]:
    return [replicate(index, value) for index, value in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "verdict", "used"),
    [
        ([1.0] * 11, S, 6),
        ([0.0] * 11, R, 6),
        ([0.0] + [1.0] * 10, S, 11),
        ([1.0, 0.0] * 6, I, 11),
        ([1.0] * 5, I, 5),
        ([], I, 0),
        ([None] * 11, N, 2),
    ],
)
def test_looks_at_six_and_eleven_seeds(values: list[float | None], verdict: Verdict, used: int) -> None:
    standing, found = play(levels(*values))
    assert (standing.verdict, found) == (verdict, used)


EFFECTS = st.one_of(st.floats(-1, 2), st.just(0.5), st.none())
PARTS = st.builds(
    lambda effect, passed, problem: (effect, passed, problem),
    EFFECTS,
    st.sampled_from([True, True, True, True, False]),
    st.sampled_from([None] * 12 + ["INVALID", "ERROR"]),
)


def made(index: int, effect: float | None, passed: bool, problem: str | None) -> Replicate:
    found = replicate(index, effect, passed)
    if problem:
        found.parts["effect:"] = {"problem": {"verdict": problem, "reason": "told"}}
    return found


@settings(max_examples=300, deadline=None)
@given(st.lists(PARTS, max_size=14), st.booleans(), st.data())
def test_topping_up_never_changes_a_decided_standing(parts: list[Any], family: bool, data: st.DataObject) -> None:
    """Whatever further replicates a store holds: they change a verdict only while more of them are wanted."""
    design: Any = Seeds() if family else Prompts({"effect": 2.0}, most=12)
    of, seeds = (ITEM, 11) if family else (GIVEN, None)
    replicates = [made(index, *part) for index, part in enumerate(parts)]
    standing, used = play(replicates, seeds, design, of)
    if standing.wants <= used:
        more = [made(len(replicates) + k, *p) for k, p in enumerate(data.draw(st.lists(PARTS, max_size=8)))]
        assert play([*replicates, *more], seeds, design, of) == (standing, used)
        assert play(replicates[:used], seeds, design, of) == (standing, used)
    else:
        assert used == len(replicates) and standing.verdict in (I, N, V, E)


@settings(max_examples=200, deadline=None)
@given(st.lists(PARTS, min_size=14, max_size=14))
def test_the_schedule_always_ends_within_what_the_family_has(parts: list[Any]) -> None:
    standing, used = play([made(index, *part) for index, part in enumerate(parts)])
    assert standing.wants <= used <= 11


@settings(max_examples=100, deadline=None)
@given(st.lists(PARTS, max_size=11))
def test_no_verdict_without_six_seeds_that_pass(parts: list[Any]) -> None:
    replicates = [made(index, *part) for index, part in enumerate(parts)]
    standing, used = play(replicates)
    if standing.verdict in (S, R):
        assert sum(r.passed for r in replicates[:used]) >= 6


def test_a_smoke_run_is_a_prefix_of_a_standard_one() -> None:
    for values in ([1.0] * 11, [1.0, 0.0] * 6, [0.0] + [1.0] * 10):
        smoke, used = play(levels(*values), design=PROFILES["smoke"].design(ITEM))
        standard, more = play(levels(*values))
        assert used <= more and (smoke.verdict in (standard.verdict, I))


def test_a_failing_seed_is_replaced_and_not_counted() -> None:
    replicates = [replicate(i, 0.0 if i == 2 else 1.0, passed=i != 2) for i in range(11)]
    standing, used = play(replicates)
    assert (standing.verdict, used, standing.used) == (S, 7, (0, 1, 3, 4, 5, 6))


def test_more_than_a_quarter_failing_is_not_applicable_with_the_value() -> None:
    from claimbench import at_least

    of = item(declared(requires=[at_least(0.5, "nat", level)]))
    standing, used = play([replicate(i, 1.0, passed=i % 2 == 0) for i in range(11)], of=of)
    assert (standing.verdict, used) == (N, 6)
    assert standing.reason == "3 of 6 seeds fail a precondition: needs level at least 0.5 nat, found 0"


def test_seeds_that_fail_and_say_the_opposite_are_not_hidden() -> None:
    """Eleven seeds, eight pass and support; with the failing ones the typical seed would not."""
    standing, _ = play([replicate(i, 1.0 if i > 1 else -9.0, passed=i > 1) for i in range(11)])
    assert standing.verdict is N  # two of the first six fail
    standing, _ = play([replicate(i, 1.0 if i != 3 else -9.0, passed=i != 3) for i in range(11)])
    assert standing.verdict is S


def test_were_more_seeds_allowed_to_fail_opposite_verdicts_would_decide_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one in four at most it cannot come to this; the rule holds whatever that share is."""
    monkeypatch.setattr(judging, "MOST_FAILING", 1.0)
    standing, used = play([replicate(i, -9.0 if i < 8 else 1.0, passed=i >= 8) for i in range(14)], seeds=14)
    assert (standing.verdict, used) == (I, 14) and "included, come out REFUTED; otherwise: median 1" in standing.reason


def test_the_precondition_that_is_not_met_is_the_one_named() -> None:
    from claimbench import at_least

    of = item(declared(requires=[at_least(0.5, "nat", level), at_least(2, "heads", nothing)]))
    assert [requirement.name for requirement in of.claim.requires] == ["level", "nothing"]
    told = {"requires:nothing": {"passed": False, "value": 1.0, "problem": None}}
    standing, _ = play([replicate(i, 1.0, **told) for i in range(6)], of=of)
    assert standing.verdict is N and standing.reason.endswith("needs nothing at least 2 heads, found 1")


@pytest.mark.parametrize("kept", [[0, 2, 4], [1, 2, 3, 4, 5, 6]])
def test_a_rest_of_a_series_is_no_evidence(kept: list[int]) -> None:
    lost = ", ".join(str(index) for index in range(max(kept)) if index not in kept)
    standing = stand(ITEM, [replicate(index, 1.0) for index in kept], Seeds(), 11)
    assert (standing.verdict, standing.reason) == (V, f"replicates are missing: {lost} of {max(kept) + 1}")


@pytest.mark.parametrize("problem", ["INVALID", "ERROR"])
def test_one_untrusted_replicate_ends_it(problem: str) -> None:
    replicates = levels(*[1.0] * 6)
    replicates[2].parts["effect:"] = {"problem": {"verdict": problem, "reason": "told"}}
    standing, used = play(replicates)
    assert (standing.verdict, standing.reason, used) == (Verdict[problem], "replicate 2: told", 3)


def test_a_rerun_that_differs_is_invalid_beyond_rounding_only() -> None:
    for difference, verdict in ((1e-7, S), (1e-3, V)):
        replicates = levels(*[1.0] * 6)
        replicates[0].parts["rerun:"] = {"problem": None, "effects": {"effect": [1.0 + difference] * 2}}
        assert play(replicates)[0].verdict is verdict


def test_an_open_end_that_closes_in_the_rerun_is_not_pure() -> None:
    replicates = levels(*[1.0] * 6)
    replicates[0].parts["effect:"]["effects"] = {"effect": [1.0, None]}
    replicates[0].parts["rerun:"] = {"problem": None, "effects": {"effect": [1.0, 2.0]}}
    assert play(replicates)[0].verdict is V


def test_on_one_model_a_failed_precondition_ends_it_at_once() -> None:
    standing, used = play([replicate(0, 1.0, passed=False)], None, Prompts({"effect": 2.0}), GIVEN)
    assert (standing.verdict, used) == (N, 1)


def test_on_one_model_prompts_stop_as_soon_as_it_is_decided() -> None:
    replicates = levels(*[1.0] * 200)
    standing, used = play(replicates, None, Prompts({"effect": 2.0}, most=200), GIVEN)
    assert standing.verdict is S and used < 60
    standing, used = play(replicates, None, Prompts({"effect": 2.0}, most=3), GIVEN)
    assert standing.verdict is I and used == 3


def with_variant(values: list[float | None], binding: bool) -> Standing:
    of = item(declared(variants=[variant("other", binding=binding, factor=2.0)]))
    replicates = levels(*[1.0] * 6)
    for found, value in zip(replicates, values, strict=True):
        found.parts["variant:other"] = replicate(0, value).parts["effect:"]
    return play(replicates, of=of)[0]


def test_binding_variants_veto_only_with_the_opposite_sign() -> None:
    assert with_variant([0.1] * 6, binding=True).verdict is S
    assert with_variant([-1.0] * 6, binding=True).verdict is I
    assert with_variant([None] * 6, binding=True).verdict is I
    assert with_variant([-1.0] * 6, binding=False).verdict is S
    assert with_variant([None] * 5 + [1.0], binding=True).verdict is S


def test_an_error_in_a_variant_is_an_error() -> None:
    of = item(declared(variants=[variant("other", factor=2.0)]))
    replicates = levels(*[1.0] * 6)
    replicates[0].parts["variant:other"] = {"problem": {"verdict": "ERROR", "reason": "ValueError: told"}}
    assert play(replicates, of=of)[0].verdict is E


def test_nothing_that_befalls_a_picture_touches_the_verdict() -> None:
    replicates = levels(*[1.0] * 6)
    replicates[0].parts["shows:map"] = {"problem": {"verdict": "ERROR", "reason": "told"}}
    assert play(replicates)[0].verdict is S


def test_rates_and_named_effects_are_judged_together(tmp_path: Path) -> None:
    fake_family("fake", [1.0])
    regions = {"large": above(0.5, unit="nat"), "event": rate_above(0.5)}

    def both(level: float) -> dict[str, Any]:
        """Level, and whether it is there."""
        return {"large": level, "event": level > 0.9}

    result = session(tmp_path).run(item(declared(both, holds=regions)))
    assert result["verdict"] == "SUPPORTED" and [e["name"] for e in result["effects"]] == ["large", "event"]
    assert result["replicates"][0]["effects"] == {"large": [1.0, 1.0], "event": [1.0, 1.0]}


STORED = st.lists(st.sampled_from([0.0, 0.4, 0.6, 1.0, None, "fails", "same", "unsound"]), max_size=24)


@example([0.0, 0.0, 0.0, None, None, 0.0, 0.0, 0.0], Seeds())  # two of six fail, though not of eight
@settings(max_examples=600, deadline=None)
@given(STORED, st.sampled_from([Seeds(), Seeds((6,)), Prompts({"effect": 1.0}, most=20, tuned_for=20)]))
def test_a_replay_ends_where_judging_after_each_replicate_would(stored: list[Any], design: Seeds | Prompts) -> None:
    """The replay judges at looks only and bisects; seeds, prompts, failing, broken and doubled replicates alike."""
    given, seeds = (ITEM, 11) if isinstance(design, Seeds) else (GIVEN, None)
    made = [one(index, told) for index, told in enumerate(stored[:seeds])]
    expected, used = play(made, seeds, design, given)
    found, replicates = replay(
        lambda index: made[index] if index < len(made) else None, lambda some: stand(given, some, design, seeds), design, seeds
    )
    assert (found, len(replicates)) == (expected, used)


def test_a_replay_decided_by_the_last_stored_batch_uses_them_all() -> None:
    design = Prompts({"effect": 2.0}, most=200)
    expected, used = play(levels(*[1.0] * 200), None, design, GIVEN)
    made = levels(*[1.0] * used)
    found, replicates = replay(
        lambda index: made[index] if index < used else None, lambda some: stand(GIVEN, some, design, None), design, None
    )
    assert (found, len(replicates)) == (expected, used) and expected.verdict is S


def one(index: int, told: float | str | None) -> Replicate:
    if not isinstance(told, str):
        return replicate(index, told)
    if told == "unsound":
        return Replicate(index, {"effect:": {"problem": {"verdict": "INVALID", "reason": "nothing moved"}}})
    found = replicate(index, 0.9, passed=told != "fails")
    if told == "same":
        found.parts["effect:"]["network"] = "one"
    return found


def by_template(lm: Any, rng: Any, template: Any) -> float:
    """A number of the template, and a little of the batch."""
    return 0.2 + float(template.normal()) / 4 + float(rng.normal()) / 100


def test_batches_of_one_template_share_its_stream_and_are_one_replicate(tmp_path: Path) -> None:
    made = declared(by_template, holds=above(0.0, unit="nat"), per_cluster=3, most=20, bounds=2.0)
    mine, opened = item(made, "gpt", "model"), session(tmp_path, live={"gpt": fake_lm(1.0, "x")})
    found = opened.run(mine)
    effects = [one["effects"]["effect"][0] for one in found["replicates"]]
    assert len(effects) == 3 * found["n"] and "template" in found["reason"]
    for first in range(0, len(effects), 3):
        assert max(effects[first : first + 3]) - min(effects[first : first + 3]) < 0.1  # of one template
    again = session(tmp_path, live={"gpt": fake_lm(1.0, "x")})
    for index in range(len(effects), len(effects) + 4):  # topped up, the last template not to its end
        again.measurer.replicate(mine, index)
    later = again.run(mine)
    assert (later["n"], later["verdict"], later["reason"]) == (found["n"], found["verdict"], found["reason"])
    by_batch = item(declared(by_template, holds=above(0.0, unit="nat"), most=20, bounds=2.0), "gpt", "model")
    assert again.measurer.keys.of(by_batch, Part("effect"), 0) != again.measurer.keys.of(mine, Part("effect"), 0)


def test_on_a_family_every_seed_has_a_template_of_its_own() -> None:
    made = declared(by_template, per_cluster=3)
    assert item(made).per_cluster == 1 and item(made, "gpt", "model").per_cluster == 3


def test_an_undecided_verdict_says_what_it_could_have_seen_beside_the_stated_distance() -> None:
    values = levels(0.4, 0.45, 0.55, 0.6, 0.42, 0.58)
    standing, _ = play(values, of=item(declared(distance=0.3)))
    assert standing.verdict is I and "it would have seen 0.1 or more from the edge (d* is 0.3)" in standing.reason
    assert "d*" not in play(values)[0].reason and "would have seen 0.1 or more" in play(values)[0].reason


@pytest.mark.parametrize("wrong", [{"distance": 0.0}, {"distance": {"other": 1.0}}, {"per_cluster": 0}])
def test_a_distance_or_a_size_that_means_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError, match=r"distance|per_cluster"):
        declared(**wrong)
