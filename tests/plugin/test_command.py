"""The command: run, measure, list, show; a slip is one line and exit code 4."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from claimbench import cli
from lab import Lab, claim

TWO = claim("first") + claim("second", finding='"toy/other"', on='causal_lm(organism=["absent", "mixed"])')


def command(lab: Lab, *words: str) -> pytest.RunResult:
    """`python -m claimbench` in a process of its own, in the lab's folder."""
    return lab.pytester.run(sys.executable, "-m", "claimbench", *words, timeout=120)


def told(lab: Lab, folder: str) -> dict[str, object]:
    return {r["item"]: (r["verdict"], r["replicates"]) for r in lab.results(folder)["results"]}


def test_run_measures_in_processes_and_comes_to_what_pytest_comes_to(lab: Lab) -> None:
    """Options whose value is an existing folder (--report, --store) do not stand for claims."""
    lab.claims(TWO)
    for name in ("report", "kept"):
        (lab.path / name).mkdir()
    words = ["--with-controls", "--report", "report", "--store", "kept"]
    result = command(lab, "run", "--jobs", "2", *words, "--junitxml", "report/junit.xml", "-p", "no:hypothesispytest")
    assert result.ret == pytest.ExitCode.TESTS_FAILED  # "absent" is refuted
    lab.run("claims", "--with-controls", "--report", "other", "--store", "alone")
    assert told(lab, "report") == told(lab, "other") and len(told(lab, "report")) == 8
    kept, alone = ({p.name for p in (lab.path / n / "entries").rglob("*.json")} for n in ("kept", "alone"))
    assert alone <= kept  # looked at six by six, a store may hold a surplus that judging ignores
    assert (lab.path / "report" / "junit.xml").is_file()
    assert "default-claims" not in lab.results("report")["command"]


def test_measure_judges_nothing_and_leaves_nothing_to_measure(lab: Lab) -> None:
    lab.claims(TWO)
    result = command(lab, "measure", "claims", "--jobs", "2", "--report", "report")
    assert result.ret == 0 and "SUPPORTED" not in str(result.stdout) + str(result.stderr)
    assert not (lab.path / "report" / "results.json").exists()
    entries = lab.entries()
    lab.run("claims", "--judge-only").assert_outcomes(passed=1, failed=1, skipped=1)
    lab.run("claims")
    assert lab.entries() == entries


def test_run_stops_before_measuring_where_collecting_fails(lab: Lab) -> None:
    lab.claims(claim("first") + claim("second", controls="[]"))
    result = command(lab, "run", "claims")
    assert result.ret not in (0, 5)
    assert "no negative and no positive control" in str(result.stderr) and "Traceback" not in str(result.stderr)
    assert not lab.entries()


def test_run_only_looks_where_it_is_asked_to_look(lab: Lab) -> None:
    lab.claims(TWO)
    result = command(lab, "run", "--collect-only", "-q", "-k", "first")
    assert [line for line in result.outlines if "::" in line] == ["claims/test_toy.py::first[strong]"]
    assert not lab.entries()


SLIPS = [
    (["run", "--jobs", "0"], "--jobs '0' is no number of processes"),
    (["measure", "--jobs"], "--jobs '' is no number of processes"),
    (["run", "claims", "--profile", "quick"], "unknown profile 'quick'"),
    (["run", "claims", "--store", "claims/test_toy.py"], "cannot be used"),
    (["run", "claims", "--model", "./nowhere"], "no such folder"),
    (["show", "load-bearing/top-heads-beat-randon"], "nearest are load-bearing/top-heads-beat-random"),
    (["show", "nothing at all like it"], "unknown finding"),
    (["lock", "claims/nowhere"], "nowhere"),
]


@pytest.mark.parametrize(("words", "text"), SLIPS, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_a_slip_is_one_line_and_exit_code_4(
    lab: Lab, words: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.claims()
    code = cli.main(words)
    _, errors = capsys.readouterr()
    assert code == 4 and text in errors and "Traceback" not in errors
    assert len([line for line in errors.splitlines() if line]) == 1, errors
    assert not any((lab.path / ".claimbench").rglob("entries/*/*"))


def test_show_tells_a_finding_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", "load-bearing/top-heads-beat-random"]) == 0
    text = capsys.readouterr().out
    for part in ("arXiv:2509.22947", "claims/load_bearing/test_heads.py::top_induction_heads_are_load_bearing",
                 "above 0.1 share of gain", "on one given model: effect clipped at ±1\n",
                 "needs: order gain", "negative control: heads = permuted -> REFUTED",
                 "guard control: stories260K -> NOT_APPLICABLE", "(binding)"):  # fmt: skip
        assert part in text
    assert cli.main(["show", "load-bearing/natural-best-at-largest"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "registered for the full profile: needs the paper's checkpoints" in text and "cost: forward passes" in text


def test_list_gives_every_finding_of_every_card(capsys: pytest.CaptureFixture[str]) -> None:
    from claimbench.paper import read_cards
    from claimbench.running.collecting import claims_root

    assert cli.main(["list", "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)
    cards = read_cards([claims_root()])
    assert [e["finding"] for e in entries] == [f.id for paper in cards.values() for f in paper.findings]
    keys = {"finding", "paper", "title", "status", "reason", "claims", "subjects", "evidence"}
    assert all(set(entry) == keys for entry in entries)
    for entry in entries:
        assert entry["status"] in ("executable", "registered")
        assert bool(entry["claims"]) == (entry["status"] == "executable") == bool(entry["evidence"])
        assert bool(entry["reason"]) == (entry["status"] == "registered")
    assert cli.main(["list"]) == 0
    text = capsys.readouterr().out
    assert all(entry["finding"] in text for entry in entries)


def test_listing_imports_no_claim_and_no_heavy_library(lab: Lab) -> None:
    script = (
        "import sys\nfrom claimbench import cli\ncode = cli.main(['list', '--json'])\n"
        "heavy = ('torch', 'transformers', 'scipy', 'pytest')\n"
        "print([code, [name for name in heavy if name in sys.modules]], file=sys.stderr)\n"
    )
    result = lab.pytester.run(sys.executable, "-c", script)
    assert result.errlines[-1] == "[0, []]"


def test_without_words_it_helps(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("list", "show", "run", "measure", "lock"))


def test_record_commits_costs_and_the_verdicts_of_controls(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    lab.claims()
    lab.run("claims", "--with-controls", "--report", "report")
    assert cli.main(["record", "report/results.json"]) == 0
    costs = json.loads((lab.path / "claims/costs.json").read_text())
    assert set(costs["effect_is_large"]) == {"strong", "positive: strong-too", "negative: strong: level = nothing"}
    stored = json.loads((lab.path / "claims/calibration.json").read_text())
    assert {n: e["verdict"] for n, e in stored["effect_is_large"].items()} == {
        "strong-too": "SUPPORTED", "level = nothing": "REFUTED",
    }  # fmt: skip
    lab.run("claims", "--report", "report")
    (found,) = lab.results()["results"]
    assert found["sound"] is True and {c["source"] for c in found["controls"]} == {"calibration"}


def test_lock_then_change_is_told(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    lab.claims()
    assert cli.main(["lock", "claims"]) == 0
    lab.run("claims", "--report", "report")
    lock = lab.results()["results"][0]["lock"]
    assert lock["amended"] is False and lock["measured_before"] is False
    lab.claims(claim(holds='above(0.4, unit="nat")'), file="claims/test_toy.py")
    lab.run("claims", "--report", "report")
    assert "changed since it was locked" in lab.results()["results"][0]["lock"]["amended"]


def test_a_store_that_fails_in_a_measuring_process_is_one_line(lab: Lab) -> None:
    lab.claims(claim("first"))
    lab.run("claims")
    (path, *_) = sorted((lab.path / ".claimbench" / "store" / "entries").rglob("*.json"))
    path.write_text("torn")
    result = command(lab, "run", "claims", "--jobs", "2")
    assert result.ret == 4
    lines = [line for line in [*result.outlines, *result.errlines] if "is corrupt: delete that file" in line]
    assert len(lines) == 1 and "Traceback" not in str(result.stderr) and "SUPPORTED" not in str(result.stdout)


def test_a_claim_that_fails_in_a_measuring_process_is_its_verdict(lab: Lab) -> None:
    """And not the end of the others."""
    lab.claims(claim("first", body="raise ValueError('no such thing')") + claim("second"))
    result = command(lab, "run", "claims", "--jobs", "2", "--report", "report")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert lab.verdicts() == {"first[strong]": "ERROR", "second[strong]": "SUPPORTED"}


def test_parts_measured_side_by_side_on_one_store_are_judged_together(lab: Lab) -> None:
    """As a cluster does it (docs/cluster.md): a list of parts, a process for each, some of them twice; then judging alone."""
    lab.claims(TWO)
    listed = command(lab, "run", "claims", "--with-controls", "--collect-only", "-q")
    parts = [line for line in listed.outlines if "::" in line]
    assert len(parts) == 8
    base = [sys.executable, "-m", "claimbench", "measure", "--with-controls", "--store", "shared", "--jobs", "1"]
    started = [
        subprocess.Popen([*base, *half], cwd=lab.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for half in (parts[:5], parts[3:])
    ]
    for process in started:
        told_by, _ = process.communicate(timeout=120)
        assert process.returncode == 0, told_by
    judged = command(lab, "run", "claims", "--with-controls", "--judge-only", "--store", "shared", "--report", "report")
    assert judged.ret == pytest.ExitCode.TESTS_FAILED and lab.results("report")["complete"]  # "absent" is refuted
    lab.run("claims", "--with-controls", "--store", "alone", "--report", "other")
    assert told(lab, "report") == told(lab, "other")
    kept, alone = ({p.name for p in (lab.path / n / "entries").rglob("*.json")} for n in ("shared", "alone"))
    assert alone <= kept


def test_judging_alone_names_the_parts_that_are_missing(lab: Lab) -> None:
    lab.claims(TWO)
    assert command(lab, "measure", "claims", "-k", "first", "--store", "shared").ret == 0
    judged = command(lab, "run", "claims", "--judge-only", "--store", "shared", "--report", "report")
    assert "not measured: 2 items" in str(judged.stdout)
    assert len(lab.results("report")["missing"]) == 2 and not lab.results("report")["complete"]
