"""Trouble with the store: one line, no verdict from what cannot be trusted, nothing lost of what was measured."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time

import pytest
from lab import STRICT, Lab, claim, one_line


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_while_storing_is_one_line_and_what_is_measured_stays(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.claims(claim("first") + claim("second"))
    lab.run("claims", "-k", "first")
    entries = lab.entries()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        result = lab.run("claims", "--report", "report")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "free some space" in one_line(result, "No space left on device")
    assert lab.entries() == entries
    assert lab.verdicts() == {"first[strong]": "SUPPORTED"}
    assert lab.results()["missing"] == ["claims/test_toy.py::second[strong]"]
    lab.run("claims").assert_outcomes(passed=2)


def test_a_full_disk_under_xdist_is_one_line_too(lab: Lab) -> None:
    lab.claims(claim("first") + claim("second"))
    lab.write(
        "conftest.py",
        "import os, errno\ndef full(*_): raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))\n"
        "def pytest_collection_finish(session): os.fsync = full\n",
    )
    result = lab.run_apart("claims", "-n", "2", "--report", "report")
    assert result.ret != pytest.ExitCode.OK
    one_line(result, "No space left on device")
    assert not lab.verdicts() and len(lab.results()["missing"]) == 2


def test_a_full_disk_while_reporting_is_one_line(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from claimbench import reporting

    lab.claims()
    monkeypatch.setattr(reporting, "write_results", full)
    result = lab.run("claims", "--report", "report")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "No space left on device" in one_line(result, "the report could not be written")
    one_line(result, "S SUPPORTED")


DAMAGE = {
    "cut off": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "binary": lambda data: b"\xff\xfe\x00\x01" + os.urandom(64),
    "a changed number": lambda data: data.replace(b'"effect": [', b'"effect": [7.0, 7.0], "x": [', 1),
    "another shape": lambda data: b"[1, 2]",
    "no digest": lambda data: json.dumps({"format": 1, "body": json.loads(data)["body"]}).encode(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_corrupt_entry_is_one_line_with_its_file_and_no_verdict(lab: Lab, damage: str) -> None:
    lab.claims()
    lab.run("claims")
    folder = lab.path / ".claimbench" / "store" / "entries"
    path = next(p for p in sorted(folder.rglob("*.json")) if b'"effect": [' in p.read_bytes())
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    result = lab.run("claims", "-p", "no:cacheprovider")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    line = one_line(result, "is corrupt: delete that file and run again")
    assert path.name in line and "SUPPORTED" not in str(result.stdout)
    path.unlink()
    lab.run("claims").assert_outcomes(passed=1)


def test_a_store_of_a_newer_version_is_left_alone(lab: Lab) -> None:
    lab.claims()
    lab.run("claims")
    stamp = lab.path / ".claimbench" / "store" / "store.json"
    stamp.write_text('{"format": 2}')
    result = lab.run("claims")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "upgrade claimbench" in one_line(result, "has format 2")
    stamp.write_text("nonsense")
    one_line(lab.run("claims"), "store.json is corrupt")


def test_an_entry_of_a_newer_version_is_left_alone(lab: Lab) -> None:
    lab.claims()
    lab.run("claims")
    folder = lab.path / ".claimbench" / "store" / "entries"
    for path in folder.rglob("*.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    assert "upgrade claimbench" in one_line(lab.run("claims"), "written by a newer version")


HOLD = """
import sys, time
from pathlib import Path
from claimbench.running.store import Store
with Store(sys.argv[1]).lock(sys.argv[2]):
    Path("held").touch()
    while not Path("let-go").exists():
        time.sleep(0.01)
"""


def test_a_key_that_another_process_holds_is_waited_for_and_its_holder_named(lab: Lab) -> None:
    """The line appears while waiting, past pytest's capturing: the holder lets go only when it was seen."""
    lab.claims()
    lab.run("claims")
    (path, *_) = sorted((lab.path / ".claimbench" / "store" / "entries").rglob("*.json"))
    path.unlink()
    holder = subprocess.Popen([sys.executable, "-c", HOLD, ".claimbench/store", path.stem], cwd=lab.path)
    waiting = None
    try:
        while not (lab.path / "held").exists():
            assert holder.poll() is None
            time.sleep(0.02)
        waiting = subprocess.Popen(
            [sys.executable, "-m", "pytest", "claims", *STRICT],
            cwd=lab.path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert waiting.stdout is not None
        line = next(text for text in waiting.stdout if "waiting for store key" in text)
        assert path.stem[:12] in line and f"process {holder.pid} on " in line
        (lab.path / "let-go").touch()
        rest = waiting.stdout.read()
        assert waiting.wait() == 0 and "1 passed" in rest
    finally:
        for process in (holder, waiting):
            if process is not None:
                process.kill()
                process.communicate()
    assert path.exists()


def test_locks_of_dead_processes_hold_nobody_up(lab: Lab) -> None:
    lab.claims()
    locks = lab.path / ".claimbench" / "store" / "locks"
    lab.run("claims")
    for path in (lab.path / ".claimbench" / "store" / "entries").rglob("*.json"):
        path.unlink()
        (locks / f"{path.stem[:32]}.lock").touch()
        (locks / f"{path.stem[:32]}.holder").write_text("process 1 on nowhere")
    lab.run("claims").assert_outcomes(passed=1)


def test_two_stores_do_not_mix(lab: Lab) -> None:
    lab.claims()
    for name in ("one", "two"):
        lab.run("claims", "--store", name)
    one, two = ({p.name for p in (lab.path / name / "entries").rglob("*.json")} for name in ("one", "two"))
    assert one == two and len(one) == 7  # six seeds and the rerun
