"""What is kept about a claim, when it is stale, and two marks of replicates that are not independent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from claimbench import above, cli, negative, positive
from claimbench.running import committed, trust
from claimbench.running.audit_run import excuses_of
from claimbench.running.judging import stand
from claimbench.running.trust import AUDIT, ROBUST, keep, kept, trust_of
from claimbench.running.trust_commands import audit_text, speaks_against
from claimbench.statistics import Seeds
from claimbench.verdict import Verdict

from running_fakes import declared, fake_family, item, level, nothing, replicate


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(committed, "folder_of", lambda claim: tmp_path)
    return tmp_path


def found(outcome: str, **more: Any) -> dict[str, Any]:
    return {"title": "a fault", "outcome": outcome, "by": "verdict", "reason": "seen", "verdict": "REFUTED", **more}


ENTRY: dict[str, Any] = {
    "subject": "fake",
    "as": "the claim itself",
    "verdict": "SUPPORTED",
    "n": 6,
    "reason": "",
    "faults": {"sign": found("noticed"), "outlier": found("kept"), "leak": found("absent")},
}


def test_an_entry_is_kept_beside_the_claim_and_goes_stale_with_code_and_protocol(folder: Path) -> None:
    made = declared()
    assert kept(made, AUDIT) is None
    keep(made, AUDIT, {**ENTRY, "digests": trust.digests(made)})
    fresh = kept(made, AUDIT)
    assert fresh is not None and fresh["stale"] is False and fresh["faults"] == ENTRY["faults"]
    other = kept(declared(holds=above(0.4, unit="nat")), AUDIT)
    assert other is not None and other["stale"] is True
    changed = kept(made, AUDIT, code="another digest")
    assert changed is not None and changed["stale"] is True
    shown = trust_of(made, trust.digests(made)["code"])
    assert shown["audit"]["stale"] is False and shown["robust"] is None and shown["amendments"] == []
    keep(made, ROBUST, {"specifications": []})
    assert kept(made, ROBUST) is not None and kept(made, AUDIT) is not None


@pytest.mark.parametrize(
    ("faults", "against"),
    [
        (ENTRY["faults"], False),
        ({**ENTRY["faults"], "seeds": found("unnoticed")}, True),
        ({**ENTRY["faults"], "seeds": found("exempt")}, False),
        ({}, True),
    ],
)
def test_what_speaks_against_a_claim(faults: dict[str, Any], against: bool) -> None:
    assert speaks_against({**ENTRY, "faults": faults}) is against
    text = audit_text({"toy": {**ENTRY, "faults": faults, "reason": "SUPPORTED nowhere"}})
    assert ("UNNOTICED" in text) == ("unnoticed" in str(faults)) and "toy: SUPPORTED" in text


def test_excuses_are_of_known_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from claimbench.running.selecting import selected
    from claimbench.subjects import family as room

    import toy_claims

    for name in ("toy-strong", "toy-planted"):
        room._FAMILIES.pop(name, None)
    monkeypatch.chdir(tmp_path)
    file = toy_claims.write(tmp_path)
    card = tmp_path / "claims" / "toy" / "paper.toml"
    card.write_text(card.read_text() + '[finding.unnoticed]\nsign = "a level has none"\n')
    (claim,) = selected([str(file)], tmp_path).values()
    assert excuses_of(claim) == {"sign": "a level has none"}
    card.write_text(card.read_text().replace("sign =", "signs ="))
    assert cli.main(["audit", str(file), "--store", str(tmp_path / "store")]) == 4
    assert "unknown fault 'signs'" in capsys.readouterr().err


def test_the_command_records_and_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from claimbench.subjects import family as room

    import toy_claims

    for name in ("toy-strong", "toy-planted"):
        room._FAMILIES.pop(name, None)
    monkeypatch.chdir(tmp_path)
    toy_claims.write(tmp_path)
    words = ["audit", "toy/large", "--store", str(tmp_path / "store"), "--record"]
    assert cli.main(words) == 0
    assert "3 of 3 planted faults noticed" in capsys.readouterr().out
    entry = json.loads((tmp_path / "claims" / "toy" / "audit.json").read_text())["level_is_large"]
    assert entry["verdict"] == "SUPPORTED" and set(entry["digests"]) == {"code", "protocol"}


# ---- replicates that are not independent


def judged(*replicates: Any) -> Any:
    fake_family("fake", [1.0])
    made = declared(controls=[positive(on="fake", label="planted"), negative(level=nothing)])
    return stand(item(made, control=made.controls[0]), replicates, Seeds(looks=(6, 11)), 11)


def with_marks(index: int, **marks: str) -> Any:
    made = replicate(index, 1.0 + 0.01 * index)
    made.parts["effect:"].update(marks)
    return made


@pytest.mark.parametrize(("mark", "said"), [("network", "are the same network"), ("drawn", "drew the same random numbers")])
def test_two_replicates_that_are_one_are_invalid(mark: str, said: str) -> None:
    assert judged(*(with_marks(i, **{mark: str(i)}) for i in range(6))).verdict is Verdict.SUPPORTED
    standing = judged(*(with_marks(i, **{mark: str(i % 4)}) for i in range(6)))
    assert standing.verdict is Verdict.INVALID and f"replicates 0 and 4 {said}" in standing.reason


def test_a_series_with_gaps_is_invalid() -> None:
    standing = judged(*(with_marks(2 * i) for i in range(6)))
    assert standing.verdict is Verdict.INVALID and "1, 3, 5, 7, 9 of 11" in standing.reason


def test_locks_know_their_parts_and_whether_the_claim_was_measured(folder: Path) -> None:
    made = declared()
    committed.lock(made, measured_before=False)
    entry = committed.read(folder, committed.LOCK)["effect_is_large"]
    assert set(entry["parts"]) == {"region", "protocol", "schedule", "steps"} and entry["measured_before"] is False
    committed.write(folder, committed.COSTS, {"effect_is_large": {}})
    committed.lock(declared(most=30, controls=[positive(on="fake"), negative(level=level)]), measured_before=False, reason="x")
    (amendment,) = committed.amendments_of(made)
    assert amendment["measured_before"] is True and amendment["changed"] == ["protocol", "schedule"]


def test_a_lock_finds_measurements_in_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from claimbench.subjects import family as room

    import toy_claims

    for name in ("toy-strong", "toy-planted"):
        room._FAMILIES.pop(name, None)
    monkeypatch.chdir(tmp_path)
    toy_claims.write(tmp_path)
    lock = tmp_path / "claims" / "toy" / "lock.json"
    for measured in (False, True):
        lock.unlink(missing_ok=True)
        if measured:
            cli.main(["audit", "toy/large", "--store", str(tmp_path / "store")])
        assert cli.main(["lock", "--store", str(tmp_path / "store")]) == 0
        assert json.loads(lock.read_text())["level_is_large"]["measured_before"] is measured
