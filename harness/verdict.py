"""Verdicts: the six things that can be said of a finding on a subject."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """What a claim says of a finding on one subject; `letter` marks it in a row of results, `meaning` explains it."""

    SUPPORTED = "SUPPORTED"
    REFUTED = "REFUTED"
    INCONCLUSIVE = "INCONCLUSIVE"
    INVALID = "INVALID"
    NOT_APPLICABLE = "NOT_APPLICABLE"
    ERROR = "ERROR"

    @property
    def letter(self) -> str:
        """One capital letter, different for each verdict."""
        return _LETTERS[self]

    @property
    def meaning(self) -> str:
        """One plain sentence for the reader of a report."""
        return _MEANINGS[self]


_LETTERS = {
    Verdict.SUPPORTED: "S",
    Verdict.REFUTED: "R",
    Verdict.INCONCLUSIVE: "I",
    Verdict.INVALID: "V",
    Verdict.NOT_APPLICABLE: "N",
    Verdict.ERROR: "E",
}

_MEANINGS = {
    Verdict.SUPPORTED: "The interval of the typical effect lies inside the region: the finding holds here.",
    Verdict.REFUTED: "The interval of the typical effect lies outside the region: the finding does not hold here.",
    Verdict.INCONCLUSIVE: "The interval lies across an edge of the region, or replicates are too few: undecided.",
    Verdict.INVALID: "The measurement cannot be trusted: an intervention did not happen, or a rerun differs.",
    Verdict.NOT_APPLICABLE: "The finding says nothing here: the subject lacks what is needed or does not do the task.",
    Verdict.ERROR: "The code raised an error: nothing was measured.",
}
