"""Outcomes: which verdicts fail a run, and what a verdict is called in a row of test results."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..verdict import Verdict


def outcome(result: Mapping[str, Any], fail_on: Collection[str], profile: str) -> str:
    """ "passed", "failed" or "skipped" for a result, under the words of `--fail-on`.

    A control passes by coming out as it must. A REFUTED that is committed as expected does not count.
    """
    verdict = Verdict(result["verdict"])
    control = result["control"]
    if control is not None:
        if control["ok"] is False:
            return "failed" if "unexpected" in fail_on else "skipped"
        return "passed" if control["ok"] else "skipped"
    expected = result["expected"]
    # A smoke run has fewer replicates: an INCONCLUSIVE there contradicts nothing that was committed.
    undecided = verdict is Verdict.INCONCLUSIVE and profile == "smoke"
    if result["unexpected"] and "unexpected" in fail_on and not undecided:
        return "failed"
    as_expected = expected is not None and expected["verdict"] == verdict.value
    word = {
        Verdict.REFUTED: "refuted",
        Verdict.INCONCLUSIVE: "inconclusive",
        Verdict.INVALID: "invalid",
        Verdict.ERROR: "error",
    }.get(verdict)
    if word in fail_on and not (verdict is Verdict.REFUTED and as_expected):
        return "failed"
    if verdict in (Verdict.INCONCLUSIVE, Verdict.NOT_APPLICABLE):
        return "skipped"
    return "passed"


def word(result: Mapping[str, Any]) -> str:
    """The verdict's own word, with what is to be said of it as a control or beside a committed expectation."""
    verdict = str(result["verdict"])
    control = result["control"]
    if control is not None:
        if control["ok"]:
            return f"{verdict} as a {control['kind']} must"
        if control["ok"] is None and verdict == Verdict.NOT_APPLICABLE:
            return f"{verdict}, as the claim itself"
        return f"{verdict} ({control['kind']} should be {control['expected']})"
    if result["unexpected"]:
        return f"{verdict} (expected {result['expected']['verdict']})"
    if result["expected"] is not None and verdict != Verdict.SUPPORTED:
        return f"{verdict} (expected)"
    return verdict


def letter(result: Mapping[str, Any]) -> str:
    """One letter: the verdict's, in lower case for a control that came out as it must."""
    found = Verdict(result["verdict"]).letter
    return found.lower() if result["control"] and result["control"]["ok"] else found
