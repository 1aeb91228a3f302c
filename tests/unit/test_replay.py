"""Replaying one replicate: the same numbers, or a line that says what differs."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from claimbench import cli
from claimbench.errors import UsageError
from claimbench.running.document import document
from claimbench.running.item import items_of
from claimbench.running.options import checked
from claimbench.running.replay import find, replay
from claimbench.running.selecting import selected
from claimbench.running.session import Session
from claimbench.subjects import family as room

import toy_claims


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The document of a run of the toy claim with its controls."""
    for name in ("toy-strong", "toy-planted"):
        room._FAMILIES.pop(name, None)
    monkeypatch.chdir(tmp_path)
    claims = selected([str(toy_claims.write(tmp_path))], tmp_path)
    options = checked(store=tmp_path / "store", seed=3, profile="smoke")
    session = Session(options)
    results = [session.run(item) for i, c in claims.items() for item in items_of(c, i, with_controls=True)]
    made = document(results, claims=claims, papers=[], options=options, command="pytest")
    return json.loads(json.dumps(made))


def test_the_same(run: dict[str, Any], tmp_path: Path) -> None:
    found = replay(run, "toy/large#4", str(tmp_path / "store"), tmp_path)
    assert found.same and found.index == 4
    assert {row[0]: row[3] for row in found.rows}["effect"] is True
    control = next(r["item"] for r in run["results"] if r["control"] and r["control"]["kind"] == "negative")
    assert replay(run, f"{control}#0", str(tmp_path / "store"), tmp_path).same


def test_another_number_or_another_claim_differs(run: dict[str, Any], tmp_path: Path) -> None:
    changed = copy.deepcopy(run)
    changed["results"][0]["replicates"][2]["effects"]["effect"] = [1.0, 1.0]
    assert not replay(changed, "toy/large#2", str(tmp_path / "store"), tmp_path).same
    changed["results"][0]["replicates"][2]["effects"] = {"another": [1.0, 1.0]}
    rows = {row[0]: row for row in replay(changed, "toy/large#2", None, tmp_path).rows}
    assert rows["another"][1:] == ("1", "none", False) and rows["effect"][1] == "none" and rows["effect"][3] is False


def test_what_is_no_replicate(run: dict[str, Any]) -> None:
    for name, said in (
        ("toy/large", "write RESULT#REPLICATE"),
        ("toy/small#0", "names no result"),
        ("toy/large#77", "has no replicate 77"),
    ):
        with pytest.raises(UsageError, match=said):
            find(run, name)
    twice = {**run, "results": [*run["results"], {**run["results"][0], "item": "other"}]}
    with pytest.raises(UsageError, match="names several"):
        find(twice, "toy/large#0")


def test_the_command(run: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(run))
    words = ["replay", "toy/large#1", "--results", str(path), "--store", str(tmp_path / "store")]
    assert cli.main(words) == 0 and "the same within" in capsys.readouterr().out
    run["results"][0]["replicates"][1]["effects"]["effect"] = [9.0, 9.0]
    path.write_text(json.dumps(run))
    assert cli.main(words) == 1 and "DIFFERS" in capsys.readouterr().out
