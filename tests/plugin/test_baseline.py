"""A run held against a baseline, the history of a finding, and what a report's folder may hold."""

from __future__ import annotations

import json

import pytest
from claimbench import cli
from lab import Lab, cases, claim, one_line

FINDING = "toy/large"


def weaker(lab: Lab, levels: str = "[0.0]") -> None:
    """The family `strong` is another one from now on."""
    path = lab.path / "organisms/numbers.py"
    path.write_text(path.read_text().replace('number("strong", [1.0])', f'number("strong", {levels})'))


@pytest.fixture
def judged(lab: Lab) -> Lab:
    """A folder whose claim was judged, with the results in `old`."""
    lab.claims()
    lab.run("claims", "--report", "old", "--with-controls")
    return lab


def test_a_regression_fails_the_run_and_says_so_everywhere(judged: Lab) -> None:
    weaker(judged)
    words = ["--baseline", "old/results.json", "--report", "new", "--junitxml", "junit.xml"]
    result = judged.run_apart("claims", *words, "--fail-on", "regression")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    one_line(result, "regression (1)")
    one_line(result, "effect fell: −1")
    found = judged.results("new")["results"][0]
    assert found["verdict"] == "REFUTED" and [point["verdict"] for point in found["history"]] == ["SUPPORTED", "REFUTED"]
    ((kind, message),) = cases(judged.path / "junit.xml").values()
    assert kind == "failure" and "a regression: SUPPORTED in the baseline" in message
    comparison = json.loads((judged.path / "new" / "comparison.json").read_text())
    assert comparison["counts"] == {"regression": 1}
    assert "**regression**" in (judged.path / "new" / "summary.md").read_text()
    page = (judged.path / "new" / "report.html").read_text()
    assert "Compared with the baseline" in page and "Earlier results, oldest first" in page


def test_what_was_refuted_before_is_no_regression(judged: Lab) -> None:
    weaker(judged)
    judged.run_apart("claims", "--report", "old", "--fail-on", "never")
    result = judged.run_apart("claims", "--baseline", "old", "--fail-on", "regression")
    assert result.ret == pytest.ExitCode.OK
    one_line(result, "1 the same")


def test_a_control_that_breaks_is_a_regression(judged: Lab) -> None:
    path = judged.path / "organisms/numbers.py"
    path.write_text(path.read_text().replace('number("strong-too", [1.5])', 'number("strong-too", [0.0])'))
    result = judged.run_apart("claims", "--with-controls", "--baseline", "old", "--fail-on", "regression")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    one_line(result, "1 regression, 2 the same")


def test_regressions_are_noticed_by_workers_too(judged: Lab) -> None:
    weaker(judged)
    result = judged.run_apart("claims", "-n", "1", "--baseline", "old", "--fail-on", "regression")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    one_line(result, "regression (1)")


MISTAKES = [
    (["--fail-on", "regression"], "--fail-on regression needs something to compare with: --baseline FILE"),
    (["--match", "a=b"], "--match needs something to compare with"),
    (["--baseline", "nowhere"], "no results at nowhere"),
    (["--baseline", "claims/test_toy.py"], "not whole JSON"),
    (["--baseline", "old", "--match", "stronk=strong"], "the baseline has no subject 'stronk': nearest are strong"),
    (["--baseline", "old", "--match", "strong=weak"], "this run has no subject 'weak'"),
    (["--baseline", "old", "--match", "strong"], "no OLD=NEW"),
]


@pytest.mark.parametrize(("words", "said"), MISTAKES, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_a_mistake_is_one_line_before_anything_is_measured(judged: Lab, words: list[str], said: str) -> None:
    before = judged.stored()
    result = judged.run("claims", *words)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    one_line(result, said)
    assert judged.stored() == before


def test_a_baseline_of_other_subjects_is_refused_before_anything_is_measured(judged: Lab) -> None:
    judged.claims(claim(on='causal_lm(organism="mixed")', controls='[positive(on="strong"), negative(level=nothing)]'))
    before = judged.stored()
    result = judged.run_apart("claims", "--baseline", "old")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    one_line(result, "the baseline has no subject in common with this run: it is of strong")
    assert judged.stored() == before
    assert judged.run_apart("claims", "--baseline", "old", "--match", "strong=mixed", "--fail-on", "never").ret == 0


@pytest.mark.parametrize("name", ["report.html", "results.json", "summary.md"])
def test_a_folder_with_anothers_report_is_refused(lab: Lab, name: str) -> None:
    lab.claims()
    theirs = lab.write(f"out/{name}", "made by something else")
    result = lab.run("claims", "--report", "out")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    one_line(result, f"--report out holds a {name} that claimbench did not write")
    assert theirs.read_text() == "made by something else"


def test_a_folder_with_an_earlier_report_is_replaced_whole(judged: Lab) -> None:
    judged.run("claims", "--report", "old", "--baseline", "old")
    assert (judged.path / "old/comparison.json").is_file()
    judged.write("old/observations/0123456789abcdef.html", "a figure of then")
    kept = judged.write("old/observations/mine.html", "mine")
    judged.run("claims", "--report", "old")
    assert not (judged.path / "old/comparison.json").exists()
    assert [path.name for path in (judged.path / "old/observations").iterdir()] == [kept.name]


def history(lab: Lab, *words: str) -> int:
    return cli.main(["history", *words, "--store", str(lab.path / ".claimbench/store")])


def test_history_tells_each_result_that_said_something_new(judged: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    judged.run("claims")
    weaker(judged)
    judged.run_apart("claims", "--fail-on", "never")
    capsys.readouterr()
    assert history(judged, FINDING) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if " strong " in line]
    assert ["SUPPORTED" in row for row in rows] == [True, False] and "REFUTED" in rows[1]
    assert history(judged, FINDING, "--json", "--controls") == 0
    assert len(json.loads(capsys.readouterr().out)) == 4


def test_history_of_nothing_is_one_line(judged: Lab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(judged.path)
    capsys.readouterr()
    for words, said in (
        (["toy/lagre"], "nearest are toy/large"),
        (["toy/other"], "holds no result of toy/other yet"),
        ([FINDING, "--subject", "weak"], "on weak yet"),
    ):
        assert history(judged, *words) == 4
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1
    assert cli.main(["history", FINDING, "--store", "nowhere"]) == 4
    assert "is no store" in capsys.readouterr().err
