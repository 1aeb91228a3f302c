"""The course of a finding over a series of checkpoints: at which step it begins to hold, and at which it ceases to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from . import view, words

HOLDS = "SUPPORTED"
ABSENT = ("REFUTED", "NOT_APPLICABLE")
"""Verdicts by which a finding does not hold at a step; by the others nothing is known of it there."""


@dataclass(frozen=True)
class Turn:
    """A finding begins (`holds`) or ceases to hold at a step; `before` is the last step at which it was otherwise."""

    holds: bool
    at: view.Result
    before: view.Result


@dataclass(frozen=True)
class Course:
    """Results of one claim in order of step; `steps` are all of the series, at some of which it may not have been judged."""

    claim: view.ClaimView
    results: Sequence[view.Result]
    steps: Sequence[int]
    name: str  # the finding, and the claim where several test it

    @property
    def letters(self) -> str:
        """The verdicts as letters, one a step; a dot where there is none."""
        found = {step_of(result): words.LETTERS[str(result["verdict"])] for result in self.results}
        return " ".join(found.get(step, "·") for step in self.steps)

    @property
    def known(self) -> list[view.Result]:
        """Results that say whether the finding holds."""
        return [result for result in self.results if result["verdict"] == HOLDS or result["verdict"] in ABSENT]

    @property
    def turns(self) -> list[Turn]:
        """Where it begins and ceases to hold, between steps of which it is known."""
        pairs = zip(self.known, self.known[1:], strict=False)
        return [Turn(b["verdict"] == HOLDS, b, a) for a, b in pairs if (a["verdict"] == HOLDS) != (b["verdict"] == HOLDS)]

    @property
    def said(self) -> str:
        """The course in one line."""
        known, unknown = self.known, [result for result in self.results if result not in self.known]
        told = []
        if known and known[0]["verdict"] == HOLDS:
            told.append(f"holds at the first step judged, {step_of(known[0])}")
        for turn in self.turns:
            verb = "begins to hold" if turn.holds else "ceases to hold"
            told.append(f"{verb} at step {step_of(turn.at)} ({_why(turn)})")
        if not any(result["verdict"] == HOLDS for result in known):
            told.append(f"holds at no step{_counts(known)}")
        elif known[-1]["verdict"] == HOLDS:
            told.append(f"still holds at step {step_of(known[-1])}")
        if unknown:
            told.append("not known at " + ", ".join(f"{step_of(one)} ({words.label(one)})" for one in unknown))
        return "; ".join(told)


def _why(turn: Turn) -> str:
    before = f"{step_of(turn.before)}: {words.label(turn.before)}"
    return before if turn.holds else f"{words.label(turn.at)}; {before}"


def _counts(known: Sequence[view.Result]) -> str:
    counts = [(verdict, sum(result["verdict"] == verdict for result in known)) for verdict in ABSENT]
    said = ", ".join(f"{verdict.replace('_', ' ')} at {n}" for verdict, n in counts if n)
    return f" ({said})" if said else ""


def step_of(result: view.Result) -> int:
    """The step of a result of a series."""
    return int(result["series"]["step"])


def courses(report: view.Report) -> dict[str, list[Course]]:
    """The courses of all claims by the name of their series; claims that apply at no step come last."""
    names = dict.fromkeys(str(result["series"]["name"]) for result in report.results if result["series"])
    return {name: _of_series(report, name) for name in names}


def _name(claim: view.ClaimView, shared: bool) -> str:
    return f"{claim.finding} ({claim.claim.rpartition('::')[2]})" if shared else claim.finding


def _of_series(report: view.Report, name: str) -> list[Course]:
    found = {claim.claim: [r for r in claim.results if r["series"] and r["series"]["name"] == name] for claim in report.claims}
    steps = sorted({step_of(result) for results in found.values() for result in results})
    times = Counter(claim.finding for claim in report.claims)
    listed = [
        Course(claim, sorted(found[claim.claim], key=step_of), steps, _name(claim, times[claim.finding] > 1))
        for claim in report.claims
        if found[claim.claim]
    ]
    return sorted(listed, key=lambda course: all(result["verdict"] == "NOT_APPLICABLE" for result in course.results))
