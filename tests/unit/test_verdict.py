"""Verdicts: six words, each with a letter and a meaning of its own."""

from __future__ import annotations

import json

from claimbench.verdict import Verdict


def test_letters_and_meanings_are_unique():
    assert len({verdict.letter for verdict in Verdict}) == len(Verdict) == 6
    assert len({verdict.meaning for verdict in Verdict}) == 6
    assert all(len(verdict.letter) == 1 and verdict.letter.isupper() for verdict in Verdict)


def test_a_verdict_is_its_word():
    assert json.dumps(Verdict.SUPPORTED) == '"SUPPORTED"'
    assert Verdict("REFUTED") is Verdict.REFUTED
    assert f"{Verdict.NOT_APPLICABLE}" == "NOT_APPLICABLE"
