"""`--checkpoints DIR`: every step of a training run is judged, gaps are shown, and the report tells the course of each finding."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from claimbench.reporting import load_results
from lab import Lab, claim, one_line

from saved_models import edit_json, llama, save

#: A model's "level" is what its last normalisation multiplies by: a claim about it needs one weight and no training.
HEADER = '''
import numpy as np
from claimbench import *


@step
def level(lm):
    """Level."""
    return float(lm.model.model.norm.weight.mean())


@step
def able(lm):
    """Ability."""
    return float(lm.model.model.norm.weight.mean())


@step
def nothing(lm):
    """No level at all."""
    return 0.0
'''
CLAIM = claim(
    controls='[positive(on="strong-too"), negative(level=nothing)]',
    requires='[at_least(0.1, "nat", able)]',
)
ORGANISM_ONLY = claim(name="of_organisms", on='causal_lm(organism="strong", model="organisms only")', finding='"toy/other"')
LEVELS = {0: 0.0, 200: 0.2, 400: 1.0, 1000: 1.5, 1200: 0.3}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training run: the level rises and falls again."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    for step, level in LEVELS.items():
        model = llama()
        torch.nn.init.constant_(model.model.norm.weight, level + 1e-3)
        save(model, folder / f"checkpoint-{step}")
    return folder


@pytest.fixture
def toy(lab: Lab, trained: Path) -> Lab:
    lab.claims(CLAIM, ORGANISM_ONLY, header=HEADER)
    shutil.copytree(trained, lab.path / "run")
    return lab


def test_each_step_is_judged_in_order_and_the_report_tells_the_course(toy: Lab) -> None:
    result = toy.run("claims", "--checkpoints", "run", "--report", "report", "-v")
    assert "Traceback" not in str(result.outlines)
    steps = [f"effect_is_large[step-{step}]" for step in LEVELS]
    found = toy.verdicts()
    assert [name for name in found if "negative" not in name] == steps, "in order; no claims about organisms alone"
    assert [found[name] for name in steps] == ["NOT_APPLICABLE", "REFUTED", "SUPPORTED", "SUPPORTED", "REFUTED"]
    said = "begins to hold at step 400 (200: REFUTED); ceases to hold at step 1200 (REFUTED; 1000: SUPPORTED)"
    result.stdout.fnmatch_lines(["over training, run: steps 0, 200, 400, 1000, 1200", "N R S S R  toy/large"])
    assert said in (toy.path / "report" / "summary.md").read_text() and any(said in line for line in result.outlines)
    page = (toy.path / "report" / "report.html").read_text()
    assert f"B{said[1:]}." in page and 'class="course-estimate"' in page
    document = load_results(toy.path / "report")  # follows the schema
    assert [r["series"] for r in document["results"] if not r["control"]] == [{"name": "run", "step": step} for step in LEVELS]
    (third,) = [r for r in document["results"] if not r["control"] and r["series"]["step"] == 400]
    toy.run(*shlex.split(third["rerun"])[1:]).assert_outcomes(passed=1)


def test_a_missing_and_a_corrupt_step_are_shown_and_the_rest_is_judged(toy: Lab) -> None:
    (toy.path / "run" / "checkpoint-200" / "model.safetensors").write_bytes(b"cut short")
    shutil.rmtree(toy.path / "run" / "checkpoint-1000")
    (toy.path / "run" / "checkpoint-1000").mkdir()
    broken = llama()
    torch.nn.init.constant_(broken.model.norm.weight, float("nan"))  # its files look sound
    save(broken, toy.path / "run" / "checkpoint-300")
    result = toy.run("claims", "--checkpoints", "run", "--report", "report")
    found = {r["subject"]: r for r in toy.results()["results"] if not r["control"]}
    verdicts = ["NOT_APPLICABLE", "ERROR", "ERROR", "SUPPORTED", "ERROR", "REFUTED"]
    assert [one["verdict"] for one in found.values()] == verdicts
    for step, text in {200: "damaged or cut short", 300: "holds NaN or infinity", 1000: "empty folder"}.items():
        assert text in found[f"step-{step}"]["reason"] and "\n" not in found[f"step-{step}"]["reason"]
        assert found[f"step-{step}"]["sound"] is not False, "a gap says nothing of the controls"
    one_line(result, "not known at 200 (ERROR), 300 (ERROR), 1000 (ERROR)")
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def two_of_one_step(run: Path) -> None:
    shutil.copytree(run / "checkpoint-400", run / "step-400")


def another_architecture(run: Path) -> None:
    edit_json(run / "checkpoint-400" / "config.json", num_attention_heads=8)


def without_a_number(run: Path) -> None:
    (run / "checkpoint-400").rename(run / "best")


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (shutil.rmtree, "no such folder"),
        (lambda run: [shutil.rmtree(path) for path in run.iterdir()], "holds no folders of checkpoints"),
        (two_of_one_step, "checkpoint-400 and step-400 are both step 400"),
        (another_architecture, "mixes architectures: checkpoint-0 has num_attention_heads 4 and checkpoint-400 has 8"),
        (without_a_number, "best has no step in its name"),
    ],
)
def test_bad_series_are_one_line_before_anything_is_spent(toy: Lab, spoil: Callable[[Path], object], text: str) -> None:
    spoil(toy.path / "run")
    result = toy.run("claims", "--checkpoints", "run")
    assert result.ret == pytest.ExitCode.USAGE_ERROR and not toy.stored()
    one_line(result, text)


def test_the_plan_the_ini_key_and_a_model_beside_the_series(toy: Lab) -> None:
    (toy.path / "run" / "checkpoint-200" / "config.json").unlink()
    broken = llama()
    torch.nn.init.constant_(broken.model.norm.weight, float("nan"))
    save(broken, toy.path / "run" / "checkpoint-300")
    toy.write("pytest.ini", "[pytest]\nclaimbench_checkpoints = run\n")
    planned = toy.run("claims", "--plan", "--model", "run/checkpoint-0")
    for name in ("[step-0]", "[step-1200]", "[checkpoint-0]"):
        one_line(planned, f"effect_is_large{name}")
    assert not toy.stored()


def test_results_without_a_series_are_still_read(lab: Lab) -> None:
    lab.claims()
    lab.run("claims", "--report", "report")
    document = lab.results()
    for result in document["results"]:
        assert result.pop("series") is None
    lab.write("report/results.json", json.dumps(document))
    assert load_results(lab.path / "report")["results"]
