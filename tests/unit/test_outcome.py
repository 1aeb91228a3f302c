"""Outcomes: which verdict fails a run, under which words, and what it is called."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from claimbench.running.options import DEFAULT_FAIL_ON, FAIL_ON, checked
from claimbench.running.outcome import letter, outcome, word
from claimbench.running.result import control_ok, is_unexpected
from claimbench.verdict import Verdict
from hypothesis import given
from hypothesis import strategies as st

DEFAULT = frozenset(DEFAULT_FAIL_ON.split(","))
VERDICTS, WORDS = st.sampled_from(list(Verdict)), st.frozensets(st.sampled_from(FAIL_ON[:-1]))


def result(verdict: Verdict, expected: Verdict | None = None, control: dict[str, Any] | None = None) -> dict[str, Any]:
    told = {"verdict": expected.value, "reason": "seen"} if expected else None
    return {
        "verdict": verdict.value,
        "reason": "because",
        "control": control,
        "expected": told,
        "unexpected": control is None and is_unexpected(told, verdict),
    }


@given(VERDICTS, VERDICTS | st.none(), st.sampled_from(["smoke", "standard"]))
def test_nothing_undecided_is_ever_a_pass(verdict: Verdict, expected: Verdict | None, profile: str) -> None:
    for words in (DEFAULT, frozenset(), frozenset(FAIL_ON[:-1])):
        if verdict in (Verdict.INCONCLUSIVE, Verdict.NOT_APPLICABLE):
            assert outcome(result(verdict, expected), words, profile) != "passed"


@given(VERDICTS, WORDS)
def test_without_a_commitment_each_word_stands_for_its_verdict(verdict: Verdict, words: frozenset[str]) -> None:
    fails = outcome(result(verdict), words, "standard") == "failed"
    assert fails == (verdict.value.lower() in words)


@given(VERDICTS, VERDICTS, WORDS)
def test_never_fails_nothing_and_more_words_never_fail_less(
    verdict: Verdict, expected: Verdict, words: frozenset[str]
) -> None:
    made = result(verdict, expected)
    assert outcome(made, frozenset(), "standard") != "failed"
    if outcome(made, words, "standard") == "failed":
        assert outcome(made, frozenset(FAIL_ON), "standard") == "failed"


@given(VERDICTS)
def test_as_committed_is_green_but_for_what_is_no_evidence(verdict: Verdict) -> None:
    fails = outcome(result(verdict, verdict), DEFAULT, "standard") == "failed"
    assert fails == (verdict in (Verdict.INVALID, Verdict.ERROR))


@given(VERDICTS, VERDICTS)
def test_other_than_committed_fails(verdict: Verdict, expected: Verdict) -> None:
    if verdict is not expected:
        assert outcome(result(verdict, expected), DEFAULT, "standard") == "failed"
    undecided = outcome(result(Verdict.INCONCLUSIVE, expected), DEFAULT, "smoke")
    assert undecided == "skipped"


KINDS = {"positive": Verdict.SUPPORTED, "negative": Verdict.REFUTED, "guard": Verdict.NOT_APPLICABLE}


@pytest.mark.parametrize(("kind", "verdict"), list(itertools.product(KINDS, Verdict)))
def test_a_control_passes_only_by_coming_out_as_it_must(kind: str, verdict: Verdict) -> None:
    ok = control_ok(KINDS[kind], verdict, "standard", "family", None)
    assert ok is (verdict is KINDS[kind])
    control = {"kind": kind, "expected": KINDS[kind].value, "ok": ok}
    made = result(verdict, control=control)
    assert outcome(made, DEFAULT, "standard") == ("passed" if ok else "failed")
    assert (f"as a {kind} must" in word(made)) == ok and letter(made).islower() == ok


def test_of_an_undecided_control_in_smoke_nothing_is_said() -> None:
    assert control_ok(Verdict.REFUTED, Verdict.INCONCLUSIVE, "smoke", "family", None) is None
    assert control_ok(Verdict.REFUTED, Verdict.INCONCLUSIVE, "standard", "family", None) is False
    assert control_ok(Verdict.REFUTED, Verdict.SUPPORTED, "smoke", "family", None) is False


def test_a_step_control_on_a_model_to_which_the_claim_does_not_apply() -> None:
    assert control_ok(Verdict.REFUTED, Verdict.NOT_APPLICABLE, "standard", "model", None) is None
    assert control_ok(Verdict.REFUTED, Verdict.NOT_APPLICABLE, "standard", "model", "stories260K") is False


def test_letters_tell_verdicts_apart() -> None:
    assert len({letter(result(verdict)) for verdict in Verdict}) == len(Verdict)


def test_the_words_of_fail_on_are_those_of_the_verdicts() -> None:
    assert {word for word in FAIL_ON if word not in ("unexpected", "regression", "never")} <= {v.value.lower() for v in Verdict}
    assert checked(fail_on="never").fail_on == frozenset()
    assert checked(fail_on=" refuted , error ").fail_on == {"refuted", "error"}
