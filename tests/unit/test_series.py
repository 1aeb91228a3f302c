"""A series of checkpoints: which folders are its steps, in which order, and what is refused; the course of a finding."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from claimbench.errors import UsageError
from claimbench.reporting import view
from claimbench.reporting.course import courses
from claimbench.reporting.results import complete
from claimbench.running.series import read_series, step_of

from saved_models import STORIES, llama, refused, save


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(llama(), tmp_path_factory.mktemp("model") / "model")


@pytest.fixture
def runs(tmp_path: Path, model: Path) -> Path:
    for name in ("step-1000", "step-200", "step-0"):
        shutil.copytree(model, tmp_path / "run" / name)
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("step-00200", 200), ("checkpoint-500", 500), ("step200", 200), ("1400", 1400), ("global_step1000", 1000),
        ("iter_0000100", 100), ("step-10k", 10_000), ("ckpt-2M", 2_000_000), ("pythia-160m-step512", 512),
        ("epoch-3-step-1200", 1200), ("Step_7_hf", 7), ("final", None), ("logs", None), ("v1.5", None),
    ],
)  # fmt: skip
def test_the_step_of_a_name(name: str, step: int | None) -> None:
    assert step_of(name) == step


def test_a_name_with_two_numbers_is_not_guessed() -> None:
    assert "step 16 or 2000" in refused(UsageError, "call it step-2000", lambda: step_of("2000-fp16-16"))


def test_steps_are_in_order_of_their_number_and_know_their_place(runs: Path) -> None:
    subjects = read_series(runs).subjects
    assert [subject.name for subject in subjects] == ["step-0", "step-200", "step-1000"]
    assert {subject.series for subject in subjects} == {"run"} and not any(subject.gap for subject in subjects)
    assert [Path(subject.path or "").name for subject in subjects] == ["step-0", "step-200", "step-1000"]


def test_models_further_below_and_other_folders_beside_them(runs: Path) -> None:
    (runs / "step-1000").rename(runs / "inner")
    (runs / "seed-3" / "step-1000").mkdir(parents=True)
    (runs / "inner").rename(runs / "seed-3" / "step-1000" / "hf")
    for name in ("logs", ".cache", "tensorboard-2024"):
        (runs / name).mkdir()
    (runs / "curve.json").write_text("[]")
    assert [point.step for point in read_series(runs).checkpoints] == [0, 200, 1000]


def test_what_is_no_series_is_refused(tmp_path: Path, runs: Path, model: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    refused(UsageError, "no such folder", lambda: read_series(tmp_path / "nowhere"))
    refused(UsageError, "holds no folders of checkpoints", lambda: read_series(empty))
    refused(UsageError, "itself a model: use --model", lambda: read_series(model))
    shutil.copytree(model, runs / "final")
    refused(UsageError, "final has no step in its name", lambda: read_series(runs))
    (runs / "final").rename(runs / "checkpoint-0200")
    refused(UsageError, "checkpoint-0200 and step-200 are both step 200", lambda: read_series(runs))


def test_two_architectures_are_refused_by_name(runs: Path) -> None:
    save(llama(num_hidden_layers=3), runs / "step-300")
    refused(
        UsageError, "step-0 has num_hidden_layers 2 and step-300 has 3", lambda: read_series(runs)
    )
    shutil.rmtree(runs / "step-300")
    shutil.copytree(STORIES, runs / "step-300")
    refused(UsageError, "mixes architectures: step-0 has .* and step-300 has", lambda: read_series(runs))


def test_missing_and_damaged_steps_are_gaps(runs: Path) -> None:
    (runs / "step-200" / "model.safetensors").write_bytes(b"cut")
    (runs / "step-300").mkdir()
    (runs / "step-400").mkdir()
    (runs / "step-400" / "config.json").write_text("{")
    series = read_series(runs)
    gaps = {point.step: point.gap for point in series.checkpoints if point.gap}
    assert sorted(gaps) == [200, 300, 400] and [Path(path).name for path in series.paths] == ["step-0", "step-1000"]
    assert "damaged" in gaps[200] and "empty folder" in gaps[300] and "no valid JSON" in gaps[400]
    for name in ("step-0", "step-1000"):
        (runs / name / "model.safetensors").unlink()
    refused(UsageError, "none of 5 steps can be judged: .* has a config and no weights", lambda: read_series(runs))


def course(verdicts: Sequence[str], steps: Sequence[int] = (0, 10, 20, 30, 40, 50)) -> Any:
    """The course of a claim with these verdicts; results come in another order than that of the steps."""
    results = [
        {"finding": "p/f", "claim": "c", "paper": "p", "evidence": "model", "reason": "", "verdict": verdict,
         "subject": f"step-{step}", "subject_kind": "model", "series": {"name": "run", "step": step}}
        for step, verdict in zip(steps, verdicts, strict=False)
    ]  # fmt: skip
    (found,) = courses(view.arrange(complete(json.loads(json.dumps({"results": results[::-1]})))))["run"]
    return found


S, R, N, I, E = "SUPPORTED", "REFUTED", "NOT_APPLICABLE", "INCONCLUSIVE", "ERROR"  # noqa: E741


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ([N, N, S, S, R], "begins to hold at step 20 (10: NOT APPLICABLE); ceases to hold at step 40 (REFUTED; 30: SUPPORTED)"),
        ([S, S], "holds at the first step judged, 0; still holds at step 10"),
        ([N, R, R], "holds at no step (REFUTED at 2, NOT APPLICABLE at 1)"),
        ([R, I, S], "begins to hold at step 20 (0: REFUTED); still holds at step 20; not known at 10 (INCONCLUSIVE)"),
        ([S, E, S], "holds at the first step judged, 0; still holds at step 20; not known at 10 (ERROR)"),
        ([I, I], "holds at no step; not known at 0 (INCONCLUSIVE), 10 (INCONCLUSIVE)"),
        ([N, S, N, S], "begins to hold at step 10 (0: NOT APPLICABLE); ceases to hold at step 20 (NOT APPLICABLE; 10: SUPPORTED); "
         "begins to hold at step 30 (20: NOT APPLICABLE); still holds at step 30"),
    ],
)  # fmt: skip
def test_a_course_says_where_a_finding_begins_and_ceases(verdicts: list[str], said: str) -> None:
    assert course(verdicts).said == said


def test_two_claims_of_one_finding_are_told_apart() -> None:
    place = {"name": "run", "step": 5}
    told = {"finding": "p/f", "paper": "p", "verdict": S, "subject": "step-5", "subject_kind": "model", "series": place}
    found = courses(view.arrange(complete({"results": [{**told, "claim": f"test_x.py::{name}"} for name in ("one", "other")]})))
    assert [one.name for one in found["run"]] == ["p/f (one)", "p/f (other)"]


def test_letters_are_in_order_of_step() -> None:
    assert course([N, E, S, R]).letters == "N E S R"


def test_subjects_of_a_report_are_families_then_steps_then_models() -> None:
    def result(subject: str, kind: str, step: int | None) -> dict[str, Any]:
        series = None if step is None else {"name": "run", "step": step}
        told = {"finding": "p/f", "claim": "c", "paper": "p", "verdict": S}
        return {**told, "subject": subject, "subject_kind": kind, "series": series}

    given = [("other", "model", None), ("step-100", "model", 100), ("step-9", "model", 9), ("copying", "family", None)]
    report = view.arrange(complete({"results": [result(*one) for one in given]}))
    assert [name for name, _ in report.subjects] == ["copying", "step-9", "step-100", "other"]
