"""Options: a mistake is one line and nothing is run; ini keys say the same; plans and replays measure nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from claimbench.subjects.shipped import shipped_models
from lab import Lab, claim, one_line

MISTAKES = {
    ("--profile", "standart"): "did you mean 'standard'",
    ("--profile", ""): None,
    ("--seed", "-1"): "out of range",
    ("--seed", "99999999999999999999"): "out of range",
    ("--seed", "1.5"): "no whole number",
    ("--seed", "one"): "no whole number",
    ("--device", "gpu"): "unknown device 'gpu'",
    ("--device", "cuda:x"): "unknown device 'cuda:x'",
    ("--dtype", "float8"): "unknown dtype 'float8'",
    ("--fail-on", "refutd"): "did you mean 'refuted'",
    ("--fail-on", "never,error"): "never stands alone",
    ("--model", ""): "--model '' is empty",
    ("--model", "./no-such-folder"): "no such folder",
    ("--model", "no-such-model"): "the local hub cache has no model of that name",
    ("--model", "claims/test_toy.py"): "is a file",
    ("--model", "empty"): "empty folder",
    ("--base-model", "./no-such-folder"): "no such folder",
    ("--task", "./no-such-file"): "no such file",
    ("--task", "claims/test_toy.py"): "test_toy.py:1 is empty",
    ("--report", "claims/test_toy.py/report"): "cannot be written",
    ("--store", "claims/test_toy.py/store"): "cannot be used",
}


@pytest.mark.parametrize("words", MISTAKES, ids=" ".join)
def test_a_mistake_is_one_line_and_nothing_is_run(lab: Lab, words: tuple[str, str]) -> None:
    lab.claims()
    (lab.path / "empty").mkdir()
    told = MISTAKES[words]
    result = lab.run("claims", f"{words[0]}={words[1]}")
    if told is None:  # an empty value is no value
        assert result.ret == pytest.ExitCode.OK
        return
    assert result.ret in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERRUPTED)
    one_line(result, told)
    assert not any((lab.path / ".claimbench").rglob("entries/*/*"))
    assert "SUPPORTED" not in str(result.stdout)


@pytest.mark.parametrize("device", ["cuda", "cuda:7", "mps"])
def test_a_device_that_is_absent_is_one_line(lab: Lab, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: device == "cuda:7")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    lab.claims()
    result = lab.run("claims", "--device", device)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "use --device cpu" in one_line(result, repr(device))


def test_ini_keys_mean_what_the_options_mean(lab: Lab) -> None:
    lab.claims()
    lab.write("more/numbers.py", (lab.path / "organisms/numbers.py").read_text().replace('number("', 'number("more-'))
    lab.claims(
        claim(
            on='causal_lm(organism="more-strong")', controls='[positive(on="more-strong-too"), negative(level=nothing)]'
        )
    )
    lab.write(
        "pytest.ini",
        "[pytest]\nclaimbench_profile = smoke\nclaimbench_seed = 7\nclaimbench_report = out\nclaimbench_store = kept\n"
        "claimbench_with_controls = true\nclaimbench_fail_on = never\nclaimbench_organisms = more\n",
    )
    assert lab.run("claims").ret == pytest.ExitCode.OK
    document = lab.results("out")
    assert (document["profile"], document["seed"], len(document["results"])) == ("smoke", 7, 3)
    assert any((lab.path / "kept" / "entries").iterdir()) and not (lab.path / ".claimbench").exists()
    lab.run("claims", "--profile", "standard", "--seed", "8")
    document = lab.results("out")
    assert (document["profile"], document["seed"]) == ("standard", 8)


def test_paths_of_the_ini_file_are_relative_to_it(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.claims()
    lab.write("pytest.ini", "[pytest]\nclaimbench_report = out\nclaimbench_store = kept\n")
    monkeypatch.chdir(lab.path / "claims")
    lab.run(".")
    assert (lab.path / "out" / "results.json").is_file() and (lab.path / "kept" / "entries").is_dir()


def test_an_unknown_value_in_the_ini_file_is_one_line(lab: Lab) -> None:
    lab.claims()
    lab.write("pytest.ini", "[pytest]\nclaimbench_profile = quick\n")
    one_line(lab.run("claims"), "unknown profile 'quick'")


def test_a_plan_measures_nothing(lab: Lab) -> None:
    lab.claims(claim("first", body="import pathlib\npathlib.Path('measured').touch()\nreturn level") + claim("second"))
    result = lab.run("claims", "--plan", "--with-controls", "--report", "report")
    assert result.ret == pytest.ExitCode.OK
    assert "6 seeds" in one_line(result, "test_toy.py::first[strong]")
    assert "unknown" in one_line(result, "in all")
    assert not (lab.path / "measured").exists() and not (lab.path / "report" / "results.json").exists()
    assert not any((lab.path / ".claimbench").rglob("entries/*/*"))
    lab.run("claims", "-k", "second")
    after = lab.run("claims", "--plan")
    reused = {line.split()[0]: line.split()[3] for line in after.outlines if "test_toy.py::" in line}
    assert reused == {"test_toy.py::first[strong]": "0", "test_toy.py::second[strong]": "6"}


def test_a_plan_counts_committed_costs(lab: Lab) -> None:
    lab.claims()
    lab.write(
        "claims/costs.json",
        '{"effect_is_large": {"strong": {"seconds": 2.5, "forward_passes": 100, "peak_memory_mb": 640}}}',
    )
    result = lab.run("claims", "--plan")
    assert "600 forward passes, 15 s of one core, 640 MB" in one_line(result, "in all")


def test_a_budget_is_refused_before_anything_is_measured(lab: Lab) -> None:
    lab.claims()
    result = lab.run("claims", "--budget", "1h")
    assert result.ret == pytest.ExitCode.USAGE_ERROR == 4
    one_line(result, "the cost of 1 of 1 items is unknown")
    lab.write("claims/costs.json", '{"effect_is_large": {"strong": {"seconds": 10, "forward_passes": 3, "peak_memory_mb": 300}}}')
    for budget, told in (("59s", "the plan needs 60 s of 59 s"), ("299MB", "the plan needs 300 MB of 299 MB")):
        result = lab.run("claims", "--budget", budget)
        assert result.ret == 4
        one_line(result, told)
    assert not any((lab.path / ".claimbench").rglob("entries/*/*"))
    assert lab.run("claims", "--budget", "60s,300MB").ret == pytest.ExitCode.OK
    assert any((lab.path / ".claimbench").rglob("entries/*/*"))
    assert lab.run("claims", "--budget", "1s").ret == pytest.ExitCode.OK, "what is measured costs nothing"
    one_line(lab.run("claims", "--budget", "ten minutes"), "is no time")


def test_a_plan_on_a_given_model(lab: Lab) -> None:
    lab.claims()
    lab.write("claims/costs.json", '{"effect_is_large": {"strong": {"seconds": 10, "forward_passes": 3, "peak_memory_mb": 300}}}')
    shutil.copytree(shipped_models()["stories260K"], lab.path / "mine")
    result = lab.run("claims", "--plan", "--model", "mine")
    assert result.ret == pytest.ExitCode.OK
    told = one_line(result, "test_toy.py::effect_is_large[mine]").split()
    assert told[1:4] == ["2", "prompt", "batches"] and told[5] == "6" and told[-1] == "probe"
    assert not any((lab.path / ".claimbench").rglob("entries/*/*"))


def test_a_plan_says_what_cannot_be_collected(lab: Lab) -> None:
    lab.claims(claim("first") + claim("second", controls="[]"))
    result = lab.run("claims", "--plan")
    assert result.ret != pytest.ExitCode.OK
    one_line(result, "no negative and no positive control")


def test_a_plan_is_one_table_under_xdist(lab: Lab) -> None:
    lab.claims()
    result = lab.run_apart("claims", "--plan", "-n", "2")
    assert result.ret == pytest.ExitCode.OK
    one_line(result, "in all")


def test_judge_only_measures_nothing_and_names_what_is_missing(lab: Lab) -> None:
    lab.claims(claim("first") + claim("second", on='causal_lm(organism="mixed")'))
    lab.run("claims", "-k", "first")
    lab.run("claims", "-k", "second", "--profile", "smoke")
    entries = lab.entries()
    result = lab.run("claims", "--judge-only", "--report", "report", "-rs")
    result.assert_outcomes(passed=1, skipped=1)
    one_line(result, "not measured yet: 6 of 11 replicates are in the store")
    assert lab.entries() == entries
    assert lab.results()["missing"] == ["claims/test_toy.py::second[mixed]"]


def test_a_repeat_and_a_better_report_measure_nothing(lab: Lab) -> None:
    lab.claims(claim("first") + claim("second", finding='"toy/other"', on='causal_lm(organism=["absent", "mixed"])'))
    lab.run("claims", "--with-controls", "--report", "report")
    entries = lab.entries()
    before = {r["item"]: (r["verdict"], r["replicates"]) for r in lab.results()["results"]}
    for words in ([], ["--profile", "smoke"], ["--fail-on", "never"], ["-n", "0"]):
        lab.run("claims", "--with-controls", "--report", "report", *words)
        assert lab.entries() == entries
    assert {r["item"]: (r["verdict"], r["replicates"]) for r in lab.results()["results"]} == before


def test_profiles_differ_only_in_how_many_replicates(lab: Lab) -> None:
    """Those of smoke are a prefix of those of standard."""
    lab.claims(claim(on='causal_lm(organism="mixed")'))
    lab.run("claims", "--profile", "smoke", "--report", "smoke")
    lab.run("claims", "--profile", "standard", "--report", "standard")
    (smoke,), (standard,) = lab.results("smoke")["results"], lab.results("standard")["results"]
    assert (len(smoke["replicates"]), len(standard["replicates"])) == (6, 11)
    assert standard["replicates"][:6] == smoke["replicates"]


def test_another_seed_draws_other_numbers(lab: Lab) -> None:
    lab.claims()
    drawn = []
    for seed in (0, 1, 0):
        lab.run("claims", "--seed", str(seed), "--report", "report")
        drawn.append([r["effects"]["effect"][0] for r in lab.results()["results"][0]["replicates"]])
    assert drawn[0] == drawn[2] and not set(drawn[0]) & set(drawn[1])
    assert len(set(drawn[0])) == len(drawn[0])


def test_the_line_that_reruns_a_result_reruns_it(lab: Lab) -> None:
    lab.claims(claim(controls='[positive(on="strong-too", label="planted \\"well\\""), negative(level=nothing)]'))
    lab.run("claims", "--with-controls", "--seed", "3", "--report", "report")
    import shlex

    for found in lab.results()["results"]:
        words = shlex.split(found["rerun"])[1:]
        lab.run(*words, "--report", "again").assert_outcomes(passed=1)
        (again,) = lab.results("again")["results"]
        assert (again["item"], again["replicates"]) == (found["item"], found["replicates"])


def test_report_and_store_may_lie_anywhere(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> None:
    lab.claims()
    folder: Path = tmp_path_factory.mktemp("elsewhere") / "a b" / "ü"
    lab.run("claims", "--report", os.fspath(folder / "report"), "--store", os.fspath(folder / "store"))
    names = sorted(path.name for path in (folder / "report").iterdir())
    assert names == ["report.html", "results.json", "summary.md"]
