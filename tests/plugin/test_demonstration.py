"""What `make demo` does, in miniature: in a series a finding forms and is lost, and a gate fails by its exit code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from claimbench import cli
from lab import Lab, cases, claim, one_line
from test_series import HEADER, trained

ROOT = Path(__file__).parents[2]
__all__ = ["trained"]  # the fixture of the series

SHOWN = '''

@step
def head_map(lm, observe):
    """Two heads, one of them marked where there is a level."""
    level = float(lm.model.model.norm.weight.mean())
    observe.heads("Score", [[0.0, 0.1], [level, 0.0]], unit="attention", marked=[(1, 0)] if level > 0.5 else [])
'''
CLAIM = claim(
    controls='[positive(on="strong-too"), negative(level=nothing)]',
    requires='[at_least(0.1, "nat", able)]',
    shows="[head_map]",
)


@pytest.fixture
def gated(lab: Lab, trained: Path) -> Lab:
    """A folder with a claim and a series of which every step is judged, in `report`."""
    lab.claims(CLAIM, header=HEADER + SHOWN)
    (lab.path / "run").symlink_to(trained)
    lab.run("claims", "--checkpoints", "run", "--report", "report", "--fail-on", "never")
    return lab


def test_the_report_of_the_series_names_step_finding_and_heads(gated: Lab) -> None:
    summary = (gated.path / "report" / "summary.md").read_text()
    assert "begins to hold at step 400" in summary and "ceases to hold at step 1200" in summary
    heads = {r["series"]["step"]: r["observations"]["Score"]["marked"] for r in gated.results()["results"] if not r["control"]}
    assert heads == {0: [], 200: [], 400: [[1, 0]], 1000: [[1, 0]], 1200: []}


@pytest.mark.parametrize(("then", "now", "code"), [(1000, 1200, 1), (400, 1000, 0), (1200, 1000, 0), (1000, 0, 1)])
def test_two_steps_of_one_report_are_a_gate(gated: Lab, then: int, now: int, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    report = str(gated.path / "report")
    assert cli.main(["compare", report, report, "--match", f"step-{then}=step-{now}"]) == code
    told = " ".join(capsys.readouterr().out.split())
    assert ("SUPPORTED ->" in told) == bool(code)
    if code:
        assert f"toy/large (effect_is_large) on step-{now} (was step-{then})" in told
        assert "heads ringed before in “Score”: 1.0" in told
    if now == 0:
        assert "able at least 0.1 nat (before 1.5 nat, now 0.001 nat)" in told


def test_a_later_checkpoint_fails_its_pipeline_against_the_good_one(gated: Lab) -> None:
    """The recipe of docs/demonstration.md: the good checkpoint's results are committed, a later one is judged against them."""
    gated.run("claims", "--model", "run/checkpoint-1000", "--report", "good")
    words = ["--baseline", "good", "--match", "checkpoint-1000=checkpoint-1200", "--fail-on", "regression"]
    result = gated.run("claims", "--model", "run/checkpoint-1200", *words, "--report", "new", "--junitxml", "junit.xml")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    one_line(result, "regression (1)")
    assert json.loads((gated.path / "new" / "comparison.json").read_text())["counts"]["regression"] == 1
    assert [kind for kind, _ in cases(gated.path / "junit.xml").values()].count("failure") == 1
    again = gated.run("claims", "--model", "run/checkpoint-1000", "--baseline", "good", "--fail-on", "regression")
    assert again.ret == pytest.ExitCode.OK


@pytest.mark.slow
def test_the_series_that_ships_is_gated_as_its_page_says(tmp_path: Path) -> None:
    """The good and the last checkpoint, the claim on load-bearing heads alone: `make demo` judges all of both."""
    series = ROOT / "fixtures" / "series" / "language-demonstration"
    chosen = "top_induction_heads_are_load_bearing and not negative and (1200 or 1500)"
    words = ["--profile", "smoke", "--store", tmp_path / "store", "--report", tmp_path / "report", "-p", "no:cacheprovider", "-q"]
    base = [sys.executable, "-m"]
    judged = [*base, "pytest", "claims/load_bearing/test_heads.py", "--checkpoints", series, "-k", chosen, "--fail-on", "never"]
    subprocess.run([*judged, *words], cwd=ROOT, check=True, capture_output=True)
    report = tmp_path / "report"
    compared = [*base, "claimbench", "compare", report, report, "--match", "step-1200=step-1500"]
    done = subprocess.run(compared, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    told = " ".join(done.stdout.split())
    assert "SUPPORTED -> NOT APPLICABLE load-bearing/top-heads-beat-random" in told
    assert re.search(r"order gain at least 0.5 nat \(before 1?\d\.\d nat, now 0\.\d+ nat\)", told)
    assert "heads ringed before in “Induction score, minus the broken repeat”: 1." in told
