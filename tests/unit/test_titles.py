"""Titles in reports: claims of one finding can be told apart."""

from __future__ import annotations

from typing import Any

from claimbench.running.document import tell_apart


def result(finding: str, claim: str) -> dict[str, Any]:
    return {"finding": finding, "claim": f"claims/toy/test_toy.py::{claim}", "title": "Heads matter"}


def test_claims_of_one_finding_are_called_by_their_names_too() -> None:
    results = [result("toy/heads", "top_heads_matter"), result("toy/heads", "they_carry_a_task"), result("toy/one", "alone")]
    for _ in range(2):  # the same if it is done again
        tell_apart(results)
        told = [one["title"] for one in results]
        assert told == ["Heads matter: top heads matter", "Heads matter: they carry a task", "Heads matter"]


def test_a_claim_on_several_subjects_is_one() -> None:
    results = [result("toy/heads", "top_heads_matter")] * 2
    tell_apart(results)
    assert results[0]["title"] == "Heads matter"
