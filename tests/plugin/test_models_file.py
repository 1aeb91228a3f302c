"""`--models FILE`: every model of a list is judged, one in memory at a time; those that are missing are named."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

import pytest
import torch
from claimbench.errors import UsageError
from claimbench.running.models_file import read_models
from lab import Lab, claim, one_line
from test_series import CLAIM, HEADER, ORGANISM_ONLY

from saved_models import llama, save


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, one of which has a level, and a folder without weights."""
    folder = tmp_path_factory.mktemp("zoo")
    for name, level in (("high", 1.0), ("low", 0.2)):
        model = llama()
        torch.nn.init.constant_(model.model.norm.weight, level + 1e-3)
        save(model, folder / name)
    (folder / "hollow").mkdir()
    return folder


def listed(lab: Lab, *lines: str) -> str:
    return str(lab.write("models.txt", "\n".join(lines) + "\n"))


def test_a_missing_model_in_the_middle_is_named_and_the_others_are_judged(lab: Lab, zoo: Path) -> None:
    lab.claims(CLAIM + ORGANISM_ONLY, header=HEADER)
    file = listed(lab, "# of today", "", f"{zoo}/high  # the large one", f"{zoo}/gone", f"{zoo}/low", f"{zoo}/hollow")
    result = lab.run("claims", "--models", file, "--profile", "smoke", "--report", "report", "--fail-on", "never")
    assert result.ret == pytest.ExitCode.OK
    found = {r["subject"]: r for r in lab.results()["results"] if not r["control"]}
    assert {name: r["verdict"] for name, r in found.items()} == {
        "high": "SUPPORTED", "gone": "ERROR", "low": "REFUTED", "hollow": "ERROR",
    }  # fmt: skip
    assert "no such folder" in found["gone"]["reason"] and "empty folder" in found["hollow"]["reason"]
    assert f"--model {zoo}/high" in found["high"]["rerun"] and all(r["series"] is None for r in found.values())
    assert lab.run("claims", "--models", file, "--profile", "smoke").ret == pytest.ExitCode.TESTS_FAILED  # an ERROR is no pass


def test_one_model_is_judged_on_all_claims_before_the_next(lab: Lab, zoo: Path) -> None:
    lab.claims(CLAIM + CLAIM.replace("effect_is_large", "effect_is_large_too"), header=HEADER)
    result = lab.run("claims", "--models", listed(lab, f"{zoo}/high", f"{zoo}/low"), "--collect-only", "-q")
    order = [line.partition("[")[2] for line in result.outlines if "::" in line and "negative" not in line]
    assert order == ["high]", "high]", "low]", "low]"]


def test_names_are_told_apart(lab: Lab, zoo: Path) -> None:
    (lab.path / "other").mkdir()
    (lab.path / "other" / "high").symlink_to(zoo / "high")
    file = listed(lab, f"{zoo}/high", "other/high")
    assert [subject.name for subject in read_models(Path(file)).subjects] == ["high", "high-2"]
    lab.claims(CLAIM, header=HEADER)
    lab.run("claims", "--models", file, "--profile", "smoke", "--report", "report")
    (second,) = [r for r in lab.results()["results"] if r["subject"] == "high-2" and not r["control"]]
    lab.run(*shlex.split(second["rerun"])[1:]).assert_outcomes(passed=1)
    result = lab.run("claims", "--models", file, "--model", f"{zoo}/high", "--collect-only", "-q")
    assert {line.partition("[")[2] for line in result.outlines if "::" in line and "negative" not in line} == {
        "high]", "high-2]", "high-3]",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "lists no model"),
        (["# nothing"], "lists no model"),
        (["{zoo}/high", "{zoo}/low", "{zoo}/high"], "twice, on lines 1 and 3"),
        (["{zoo}/gone", "{zoo}/hollow"], "none of 2 models can be judged"),
    ],
)
def test_a_list_of_no_use_is_one_line(lab: Lab, zoo: Path, lines: list[str], said: str) -> None:
    lab.claims(CLAIM, header=HEADER)
    result = lab.run("claims", "--models", listed(lab, *(line.format(zoo=zoo) for line in lines)))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    one_line(result, said)


def test_a_file_that_cannot_be_read_is_one_line(lab: Lab) -> None:
    lab.claims(claim())
    (lab.path / "bytes").write_bytes(b"\xff\xfe\x00")
    for name in ("nowhere.txt", "claims", "bytes"):
        result = lab.run("claims", "--models", name)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        one_line(result, f"--models {name} cannot be read")


def test_a_thousand_models_are_listed_at_once(lab: Lab, zoo: Path) -> None:
    lines = [f"{zoo}/high", *(f"./gone-{number}" for number in range(998)), f"{zoo}/low"]
    started = time.process_time()
    found = read_models(Path(listed(lab, *lines)))
    assert len(found.subjects) == 1000 and found.paths == [f"{zoo}/high", f"{zoo}/low"]
    assert time.process_time() - started < 5
    with pytest.raises(UsageError, match="twice"):
        read_models(Path(listed(lab, *lines, "./gone-7")))
