"""Ctrl-C and SIGKILL: what is measured stays measured, the report names the rest, and finishing gives the same."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lab import HEADER, STRICT, Lab, claim

SLOW = "import time\ntime.sleep({})\nreturn level + 0.01 * rng.normal()"
EVERY = claim("first", body=SLOW.format(0.012)) + claim(
    "second", finding='"toy/other"', on='causal_lm(organism=["mixed", "absent"])', body=SLOW.format(0.012)
)


def heed_ctrl_c() -> None:
    """In the child: tests that a shell runs in the background inherit that SIGINT is ignored; a terminal's commands do not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_writes_the_report_and_names_what_is_missing(lab: Lab) -> None:
    interrupting = "if lm.facts['seed'] == 3:\n    raise KeyboardInterrupt\nreturn level"
    lab.claims(claim("first") + claim("second", body=interrupting, parameters="lm, level, rng") + claim("third"))
    result = lab.run_apart("claims", "--report", "report")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    document = lab.results()
    assert lab.verdicts() == {"first[strong]": "SUPPORTED"} and not document["complete"]
    assert document["missing"] == ["claims/test_toy.py::second[strong]", "claims/test_toy.py::third[strong]"]
    assert len(lab.entries()) == 7 + 3 + 1  # the first claim with its rerun, three seeds of the second and a rerun
    result.stdout.fnmatch_lines(["*not measured: 2 items*"])


@pytest.mark.parametrize("words", [["-n", "2"], []], ids=["two processes", "one process"])
def test_a_real_ctrl_c_at_the_terminal(lab: Lab, words: list[str]) -> None:
    """SIGINT to the whole group, as a terminal sends it, once the second claim has begun."""
    waiting = "import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(60)\nreturn level"
    lab.claims(claim("first") + claim("second", body=waiting))
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "claims", "--report", "report", *STRICT, *words],
        cwd=lab.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=heed_ctrl_c,
    )
    while not ((lab.path / "begun").exists() and len(lab.stored()) >= 7):
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(0.3)  # a result of another process is on its way
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert "INTERNALERROR" not in output, output
    document = lab.results()
    assert lab.verdicts() == {"first[strong]": "SUPPORTED"}, output
    assert document["missing"] == ["claims/test_toy.py::second[strong]"]


def kill_at_random(command: list[str], lab: Lab, rng: random.Random, times: int, longest: float) -> int:
    """Start a command and SIGKILL it, again and again; how often it was still running."""
    killed = 0
    for _ in range(times):
        process = subprocess.Popen(command, cwd=lab.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before = len(lab.stored())
        while process.poll() is None and len(lab.stored()) == before:  # until it has begun to measure
            time.sleep(0.01)
        time.sleep(rng.uniform(0, longest))
        killed += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    return killed


@pytest.mark.slow
def test_a_kill_at_any_moment_loses_and_changes_nothing(lab: Lab) -> None:
    lab.claims(EVERY, header=HEADER)
    undisturbed = lab.run("claims", "--with-controls", "--report", "whole", "--store", "whole-store")
    assert undisturbed.ret == pytest.ExitCode.TESTS_FAILED  # "mixed" and "absent" do not support
    command = [sys.executable, "-m", "pytest", "claims", "--with-controls", "-q", *STRICT]
    assert kill_at_random(command, lab, random.Random(5), times=6, longest=0.25) >= 4
    torn_or_whole(lab)
    lab.run("claims", "--with-controls", "--report", "resumed")
    assert told(lab, "resumed") == told(lab, "whole")
    assert lab.stored() == lab.stored("whole-store")


@pytest.mark.slow
def test_a_kill_of_the_command_leaves_no_process_behind(lab: Lab) -> None:
    """The measuring processes of `claimbench measure` end with the one that started them."""
    lab.claims(claim(body=SLOW.format(60).replace("import time", "import os, pathlib, time\n"
               "pathlib.Path(f'worker-{os.getpid()}').touch()")))  # fmt: skip
    command = [sys.executable, "-m", "claimbench", "measure", "claims", "--jobs", "2"]
    process = subprocess.Popen(command, cwd=lab.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(list(lab.path.glob("worker-*"))) < 2:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    workers = [int(path.name.partition("-")[2]) for path in lab.path.glob("worker-*")]
    for _ in range(500):
        if not any(running(pid) for pid in workers):
            break
        time.sleep(0.02)
    assert not any(running(pid) for pid in workers)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def torn_or_whole(lab: Lab) -> None:
    """Every entry reads back; unfinished ones lie beside, under names that no key has."""
    from claimbench.running.store import Store

    store = Store(lab.path / ".claimbench" / "store")
    assert lab.stored() and all(store.get(key) is not None for key in lab.stored())


def told(lab: Lab, folder: str) -> dict[str, object]:
    return {r["item"]: (r["verdict"], r["replicates"], r["reason"]) for r in lab.results(folder)["results"]}


@pytest.mark.slow
def test_ctrl_c_while_the_command_measures_judges_what_there_is(lab: Lab) -> None:
    waiting = "import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(60)\nreturn level"
    lab.claims(claim("first") + claim("second", on='causal_lm(organism="mixed")', body=waiting))  # not measured side by side
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "claimbench",
            "run",
            "claims",
            "--jobs",
            "2",
            "--report",
            "report",
            "-p",
            "no:hypothesispytest",
        ],
        cwd=lab.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=heed_ctrl_c,
    )
    while not ((lab.path / "begun").exists() and len(lab.stored()) >= 7):
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and "what is measured stays measured" in output, output
    assert "Traceback" not in output, output
    assert lab.verdicts() == {"first[strong]": "SUPPORTED"}
    assert lab.results()["missing"] == ["claims/test_toy.py::second[mixed]"]


def test_a_ctrl_c_that_comes_while_code_is_made_gives_the_exit_code(tmp_path: Path) -> None:
    """Python ends by the signal after one that passed through `exec`, caught or not: it is raised where it is asked for."""
    (tmp_path / "waiting.py").write_text(
        "import os, signal, sys\n"
        "from claimbench.running.interruption import Interruption\n"
        "try:\n"
        "    with Interruption() as interruption:\n"
        "        exec('os.kill(os.getpid(), signal.SIGINT); told = \"went on\"')\n"
        "        print(told)\n"
        "        interruption.heed()\n"
        "        print('not heeded')\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(130)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "waiting"], cwd=tmp_path, capture_output=True, text=True, preexec_fn=heed_ctrl_c, timeout=60
    )
    assert (done.returncode, done.stdout) == (130, "went on\n"), done.stderr


def test_a_second_ctrl_c_is_raised_at_once() -> None:
    from claimbench.running.interruption import Interruption

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), Interruption() as interruption:
        signal.raise_signal(signal.SIGINT)
        assert interruption.came
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the second was not raised")
    assert signal.getsignal(signal.SIGINT) is before
