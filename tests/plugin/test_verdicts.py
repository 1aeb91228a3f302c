"""What pytest says of a claim: words, letters, categories, exit codes, and what fails a run."""

from __future__ import annotations

import json
import re

import pytest
from lab import Lab, cases, claim, one_line

#: One claim for each verdict, on families that decide it.
EVERY = (
    claim("holds_here")
    + claim("does_not_hold", on='causal_lm(organism="absent")')
    + claim("undecided", on='causal_lm(organism="mixed")')
    + claim("says_nothing", body='raise NotApplicable("needs two layers, found one")')
    + claim("untrusted", body='raise InvalidMeasurement("the intervention did not happen")')
    + claim("broken", body='raise ValueError("no such thing")')
)
ALL = {
    "holds_here": "SUPPORTED",
    "does_not_hold": "REFUTED",
    "undecided": "INCONCLUSIVE",
    "says_nothing": "NOT_APPLICABLE",
    "untrusted": "INVALID",
    "broken": "ERROR",
}


def test_verdicts_appear_with_their_own_words_and_letters(lab: Lab) -> None:
    lab.claims(EVERY)
    result = lab.run("claims", "-v")
    for name, verdict in ALL.items():
        assert verdict in one_line(result, f"::{name}[")
    short = lab.run("claims", "-p", "no:cacheprovider")
    short.stdout.fnmatch_lines(["claims/test_toy.py SRINVE*"])
    assert short.ret == pytest.ExitCode.TESTS_FAILED
    short.assert_outcomes(passed=1, failed=3, skipped=2)


def test_junit_files_verdicts_under_the_category_they_belong_to(lab: Lab) -> None:
    lab.claims(EVERY)
    lab.run("claims", "--junitxml", "junit.xml")
    found = {name.partition("[")[0]: case for name, case in cases(lab.path / "junit.xml").items()}
    assert {name: kind for name, (kind, _) in found.items()} == {
        "holds_here": "passed",
        "does_not_hold": "failure",
        "undecided": "skipped",
        "says_nothing": "skipped",
        "untrusted": "failure",
        "broken": "failure",
    }
    for name in ("does_not_hold", "undecided", "says_nothing", "untrusted", "broken"):
        assert ALL[name] in found[name][1]


def test_the_summary_lines_say_why(lab: Lab) -> None:
    lab.claims(EVERY)
    result = lab.run("claims", "-ra")
    assert one_line(result, "claims/test_toy.py::does_not_hold").startswith("REFUTED ")
    assert any(
        line.startswith("SKIPPED [1] claims/test_toy.py:") and "NOT_APPLICABLE: needs two layers, found one" in line
        for line in result.outlines
    )
    assert "test_toy.py:" in one_line(result, "ValueError: no such thing")


FAILING = {
    "": {"does_not_hold", "untrusted", "broken"},
    "refuted": {"does_not_hold"},
    "inconclusive": {"undecided"},
    "invalid": {"untrusted"},
    "error,refuted": {"broken", "does_not_hold"},
    "unexpected": set(),
    "never": set(),
}


@pytest.mark.parametrize("words", FAILING)
def test_fail_on_chooses_what_fails_the_run(lab: Lab, words: str) -> None:
    lab.claims(EVERY)
    result = lab.run("claims", "-rf", *(["--fail-on", words] if words else []))
    lines = [re.match(r"[A-Z_]+ claims/test_toy\.py::(\w+)\[", line) for line in result.outlines]
    failed = {line[1] for line in lines if line}
    assert failed == FAILING[words]
    assert result.ret == (pytest.ExitCode.TESTS_FAILED if failed else pytest.ExitCode.OK)


def test_a_refuted_that_is_committed_as_expected_is_green(lab: Lab) -> None:
    lab.claims(claim(on='causal_lm(organism="absent")'))
    assert lab.run("claims").ret == pytest.ExitCode.TESTS_FAILED
    lab.expect("REFUTED", subject="absent", reason="the family lacks it")
    result = lab.run("claims", "-v")
    assert result.ret == pytest.ExitCode.OK
    assert "REFUTED (expected)" in one_line(result, "::effect_is_large[absent]")


def test_an_unexpected_supported_is_not_green(lab: Lab) -> None:
    lab.claims()
    lab.expect("REFUTED")
    result = lab.run("claims", "-v", "--report", "report")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "SUPPORTED (expected REFUTED)" in one_line(result, "::effect_is_large[strong]")
    (found,) = lab.results()["results"]
    assert found["unexpected"] and found["expected"] == {"verdict": "REFUTED", "reason": "seen"}
    assert lab.run("claims", "--fail-on", "refuted,invalid,error").ret == pytest.ExitCode.OK


def test_smoke_may_leave_undecided_what_standard_decides(lab: Lab) -> None:
    """Seeds 0, 2, 4 have the effect: six seeds cannot decide, and that contradicts no committed verdict."""
    lab.claims(claim(on='causal_lm(organism="mixed")'))
    content = {"effect_is_large": {"mixed": {"any": {"verdict": "SUPPORTED", "reason": "once seen"}}}}
    lab.write("claims/expected.json", json.dumps(content))
    assert lab.run("claims", "--profile", "smoke").ret == pytest.ExitCode.OK
    assert lab.run("claims", "--profile", "standard").ret == pytest.ExitCode.TESTS_FAILED


MALFORMED = {
    "no object": '{"effect_is_large": {"strong": {"standard": "SUPPORTED"}}}',
    "no verdict": '{"effect_is_large": {"strong": {"standard": {"verdict": "SUPORTED", "reason": "a slip"}}}}',
    "no reason": '{"effect_is_large": {"strong": {"standard": {"verdict": "SUPPORTED"}}}}',
    "a list": '["SUPPORTED"]',
    "no JSON": "{",
}


@pytest.mark.parametrize("content", list(MALFORMED.values()), ids=list(MALFORMED))
def test_a_malformed_expectation_is_one_line(lab: Lab, content: str) -> None:
    lab.claims()
    lab.write("claims/expected.json", content)
    result = lab.run("claims")
    assert result.ret != pytest.ExitCode.OK
    one_line(result, "expected.json")


def test_a_negative_control_that_supports_makes_the_claim_unsound_and_fails(lab: Lab) -> None:
    lab.claims(claim(controls='[positive(on="strong-too"), negative(on="strong-too", label="no negative at all")]'))
    result = lab.run("claims", "--with-controls", "-v", "--report", "report")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "SUPPORTED (negative should be REFUTED)" in one_line(result, "[negative: no negative at all]")
    (plain,) = [r for r in lab.results()["results"] if r["control"] is None]
    assert plain["sound"] is False and plain["verdict"] == "SUPPORTED"
    one_line(result, "UNSOUND  toy/large: control no negative at all expected REFUTED, found SUPPORTED")


def test_controls_that_do_their_work_make_the_claim_sound(lab: Lab) -> None:
    lab.claims(
        claim(
            controls='[positive(on="strong-too"), negative(level=nothing), guard(on="absent")]',
            requires='[at_least(0.5, "nat", level)]',
        )
    )
    result = lab.run("claims", "--with-controls", "--report", "report")
    assert result.ret == pytest.ExitCode.TESTS_FAILED  # the negative control fails the precondition: it is no negative
    lab.claims(
        claim(
            body="return chosen",
            parameters="chosen",
            controls='[positive(on="strong-too"), negative(chosen=nothing), guard(on="absent")]',
            requires='[at_least(0.5, "nat", level)]',
        ).replace("@claim", "@step\ndef chosen(level):\n    return level\n\n\n@claim", 1)
    )
    result = lab.run("claims", "--with-controls", "--report", "report", "-v")
    assert result.ret == pytest.ExitCode.OK
    assert set(lab.verdicts().values()) == {"SUPPORTED", "REFUTED", "NOT_APPLICABLE"}
    plain = next(r for r in lab.results()["results"] if r["control"] is None)
    assert plain["sound"] is True and [c["ok"] for c in plain["controls"]] == [True, True, True]
    assert "NOT_APPLICABLE as a guard must" in one_line(result, "[guard: absent]")


def test_a_seed_that_fails_its_precondition_is_replaced_and_shown(lab: Lab) -> None:
    lab.claims(claim(on='causal_lm(organism="one-fails")', requires='[at_least(0.5, "nat", level)]'))
    lab.run("claims", "--report", "report")
    (found,) = lab.results()["results"]
    assert (found["verdict"], found["n"], len(found["replicates"])) == ("SUPPORTED", 6, 7)
    assert [r["passed"] for r in found["replicates"]] == [False, *[True] * 6]
    lab.claims(claim(on='causal_lm(organism="mixed")', requires='[at_least(0.5, "nat", level)]'))
    lab.run("claims", "--report", "report")
    (found,) = lab.results()["results"]
    assert found["verdict"] == "NOT_APPLICABLE"
    assert "level at least 0.5 nat, found 0" in found["reason"]
