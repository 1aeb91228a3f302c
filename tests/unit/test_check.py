"""The check for authors: each line fails where it must, and says what to do."""

from __future__ import annotations

import json
import multiprocessing
import time
from pathlib import Path
from typing import Any

import pytest
from claimbench import Claim, cli, negative, positive
from claimbench.running import committed, pure
from claimbench.running.audit import audit
from claimbench.running.check import Line, check, fixed_in_advance, questions, written
from claimbench.running.executor import Order
from claimbench.running.item import Item, items_of
from claimbench.running.options import Options, checked
from claimbench.running.pure import impurity
from claimbench.running.selecting import selected
from claimbench.running.session import Session
from claimbench.running.trust import AUDIT, keep
from claimbench.subjects import family as room

import toy_claims
from running_fakes import declared


@pytest.fixture(autouse=True)
def _forget_toys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("toy-strong", "toy-planted"):
        room._FAMILIES.pop(name, None)
    monkeypatch.chdir(tmp_path)


def toy(root: Path, **parts: str) -> tuple[str, Claim]:
    return next(iter(selected([str(toy_claims.write(root, **parts))], root).items()))


def states(lines: list[Line]) -> dict[str, str]:
    return {line.name: line.state for line in lines}


def test_a_sound_file_has_nothing_to_mend(tmp_path: Path) -> None:
    _, claim = toy(tmp_path)
    assert states(list(written(claim))) == {"card": "ok", "docstring": "ok", "length": "ok", "contents": "ok"}


@pytest.mark.parametrize(
    ("functions", "name", "said"),
    [
        ('def large(level):\n    """Level."""\n    return level\n', "docstring", "how"),
        (
            'def large(level):\n    """Level.\n\n    As it is.\n    """\n' + "    level = level\n" * 60 + "    return level\n",
            "length",
            "at most 60",
        ),
        (
            'def large(level):\n    """Level.\n\n    Of a file.\n    """\n    return len(open("x").read())\n',
            "contents",
            "large calls open (files)",
        ),
        (
            'def large(level):\n    """Level.\n\n    Chance of its own.\n    """\n    return np.random.default_rng(0).normal()\n',
            "contents",
            "randomness",
        ),
    ],
)
def test_what_a_file_must_not_hold(functions: str, name: str, said: str, tmp_path: Path) -> None:
    _, claim = toy(tmp_path, functions=functions)
    lines = [line for line in written(claim) if line.state == "FAIL"]
    assert [line.name for line in lines] == [name] and said in lines[0].text


def test_a_foreign_import_and_a_card_that_calls_the_finding_registered(tmp_path: Path) -> None:
    _, claim = toy(tmp_path, header=toy_claims.HEADER + "\nfrom scipy import stats\n")
    card = tmp_path / "claims" / "toy" / "paper.toml"
    card.write_text(card.read_text() + 'reason = "registered: later"\n')
    found = states(list(written(claim)))
    assert found["contents"] == "FAIL" and found["card"] == "FAIL"
    card.write_text(card.read_text().replace('"large"', '"small"'))
    assert states(list(written(claim)))["card"] == "FAIL"


def test_the_lock_and_every_amendment(tmp_path: Path) -> None:
    _, claim = toy(tmp_path)
    assert states(list(fixed_in_advance(claim))) == {"lock": "FAIL", "expected": "FAIL"}
    committed.lock(claim, measured_before=False)
    entry = {"any": {"verdict": "SUPPORTED", "reason": "it is large"}}
    (tmp_path / "claims" / "toy" / "expected.json").write_text(json.dumps({claim.name: {"toy-strong": entry}}))
    assert states(list(fixed_in_advance(claim))) == {"lock": "ok", "expected": "ok"}
    for number, reason in ((0.6, "a slip"), (0.7, "a second look")):
        declaration = toy_claims.DECLARATION.replace("0.5", str(number))
        _, changed = toy(tmp_path / str(number), declaration=declaration)
        (tmp_path / str(number) / "claims" / "toy" / "lock.json").write_text(
            (tmp_path / "claims" / "toy" / "lock.json").read_text()
        )
        assert states(list(fixed_in_advance(changed)))["lock"] == "FAIL"
        committed.lock(changed, measured_before=True, reason=reason)
        (tmp_path / "claims" / "toy" / "lock.json").write_text(
            (tmp_path / str(number) / "claims" / "toy" / "lock.json").read_text()
        )
    amendments = [line.text for line in fixed_in_advance(changed) if line.name == "amendment"]
    assert len(amendments) == 2 and "a slip" in amendments[0] and "a second look" in amendments[1]
    assert all("(region), after a measurement" in text for text in amendments)


def test_what_a_reviewer_asks_of_a_declaration() -> None:
    made = declared(controls=[positive(on="fake", label="planted"), negative(on="fake-absent")])
    found = states(list(questions(made)))
    assert found == {"positive control": "FAIL", "negative control": "ask", "guard": "ask", "region": "ask"}


IMPURE = '''
def large(level):
    """Level.

    With a hidden state.
    """
    return level + 0.001 * next(STATE)
'''


def test_a_hidden_state_shows_in_fresh_processes(tmp_path: Path) -> None:
    identity, claim = toy(tmp_path, functions=IMPURE)
    said = impurity(next(items_of(claim, identity)), checked(store=tmp_path / "store", profile="smoke"), tmp_path)
    assert said is not None and "another value of 'effect'" in said


def test_a_pure_claim_is_the_same_in_every_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def here(item: Item, options: Options, root: Path, seconds: float | None) -> list[Any]:
        return [pure._measured(Order.of(item), options, root, order) for order in pure.ORDERS]

    monkeypatch.setattr(pure, "_apart", here)
    identity, claim = toy(tmp_path)
    assert impurity(next(items_of(claim, identity)), checked(store=tmp_path / "store", profile="smoke"), tmp_path) is None


def test_measured_checks_of_a_sound_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from claimbench.running import check as room

    monkeypatch.setattr(room, "impurity", lambda *_: None)
    identity, claim = toy(tmp_path)
    session = Session(checked(store=tmp_path / "store"))
    found = [
        line for line in check(claim, identity, session, tmp_path) if line.name in ("purity", "control", "verdict", "data", "audit")
    ]
    assert [(line.name, line.state) for line in found] == [
        ("purity", "ok"),
        ("control", "ok"),
        ("control", "ok"),
        ("verdict", "ok"),
        ("data", "ok"),
        ("audit", "ok"),
    ]


def measured(claim: Claim, identity: str, root: Path, minutes: float, said: list[str]) -> list[tuple[str, str]]:
    session = Session(checked(store=root / "store"))
    lines = check(claim, identity, session, root, minutes=minutes, say=lambda gone, limit, what: said.append(what))
    return [(line.name, line.state) for line in lines if line.name in ("purity", "control", "verdict", "data", "audit")]


def test_when_the_time_is_up_what_is_stored_is_judged_and_the_rest_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from claimbench.running import check as room

    monkeypatch.setattr(room, "impurity", lambda *_: None)
    identity, claim = toy(tmp_path)
    skipped = [("purity", "skip"), ("control", "skip"), ("control", "skip"), ("verdict", "skip"), ("data", "skip")]
    said: list[str] = []
    assert measured(claim, identity, tmp_path, 0.0, said) == [*skipped, ("audit", "skip")] and not said
    for _ in range(4):  # each call goes on where the last one ended
        monkeypatch.setattr(room._Clock, "left", property(lambda self: 20 - len(said) % 21))
        found = measured(claim, identity, tmp_path, 1.0, said)
        said.append("")
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert len(said) > 40 and "toy-strong, seed 0, effect" in said
    assert found == [("purity", "ok"), ("control", "ok"), ("control", "ok"), ("verdict", "ok"), ("data", "ok"), ("audit", "ok")]
    done = [("purity", "skip"), ("control", "ok"), ("control", "ok"), ("verdict", "ok"), ("data", "ok"), ("audit", "ok")]
    assert measured(claim, identity, tmp_path, 0.0, said) == done


def test_a_committed_audit_of_this_code_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from claimbench.running import check as room

    identity, claim = toy(tmp_path)
    session = Session(checked(store=tmp_path / "store"))
    keep(claim, AUDIT, audit(claim, identity, session, {}))
    monkeypatch.setattr(room, "audit", lambda *_: pytest.fail("audited again"))
    (line,) = room._audit(claim, identity, session, tmp_path, room._Clock(0.0, lambda *_: None))
    assert line.state == "ok" and line.text.endswith("(as committed)")


SLOW = '''
def large(level):
    """Level.

    After a while.
    """
    time.sleep(600)
    return level
'''


def test_fresh_processes_that_take_too_long_are_ended(tmp_path: Path) -> None:
    identity, claim = toy(tmp_path, functions=SLOW, header=toy_claims.HEADER + "\nimport time\n")
    before = multiprocessing.active_children()
    with pytest.raises(TimeoutError):
        impurity(next(items_of(claim, identity)), checked(store=tmp_path / "store", profile="smoke"), tmp_path, 0.1)
    for _ in range(100):
        if multiprocessing.active_children() == before:
            break
        time.sleep(0.1)
    assert multiprocessing.active_children() == before


def test_the_command_says_what_it_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = toy_claims.write(tmp_path)
    committed.lock(toy(tmp_path)[1], measured_before=False)
    entry = {"large": {"toy-strong": {"any": {"verdict": "SUPPORTED", "reason": "it is large"}}}}
    (tmp_path / "claims" / "toy" / "expected.json").write_text(json.dumps(entry).replace("large", "level_is_large", 1))
    assert cli.main(["check", str(file), "--minutes", "0", "--store", str(tmp_path / "store")]) == 1
    said = capsys.readouterr().out
    assert "nothing to mend" in said and "6 checks not made for lack of time" in said
    assert "the time was up after 0 of the 6 replicates that it wants next" in said


def test_the_command_fails_where_something_is_to_be_mended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = toy_claims.write(tmp_path)
    assert cli.main(["check", str(file), "--no-measure", "--store", str(tmp_path / "store")]) == 1
    assert "claimbench lock" in capsys.readouterr().out
    assert cli.main(["check", "no-such-claim", "--no-measure", "--store", str(tmp_path / "store")]) == 4
    assert "no claim is called 'no-such-claim'" in capsys.readouterr().err
