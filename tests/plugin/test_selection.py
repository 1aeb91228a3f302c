"""Plain pytest everywhere: choosing, stopping, rerunning, marking, sharing between processes."""

from __future__ import annotations

import json
import shlex
import sys

import pytest
from lab import Lab, claim, one_line

TWO = claim("first") + claim("second", finding='"toy/other"', on='causal_lm(organism=["absent", "strong-too"])')


def chosen(result: pytest.RunResult) -> list[str]:
    """Items that --collect-only -q lists."""
    return [line.rpartition("::")[2] for line in result.outlines if "::" in line]


def test_node_ids_name_file_claim_and_subject(lab: Lab) -> None:
    lab.claims(TWO)
    result = lab.run("claims", "--collect-only", "-q")
    assert [line for line in result.outlines if "::" in line] == [
        "claims/test_toy.py::first[strong]",
        "claims/test_toy.py::second[absent]",
        "claims/test_toy.py::second[strong-too]",
    ]
    lab.run("claims/test_toy.py::second[strong-too]").assert_outcomes(passed=1)


def test_an_imported_claim_is_not_collected_again(lab: Lab) -> None:
    lab.claims(TWO)
    lab.write("claims/test_importing.py", "from test_toy import first\n")
    assert len(chosen(lab.run("claims", "--collect-only", "-q"))) == 3


FIRST, OTHERS = {"first[strong]"}, {"second[absent]", "second[strong-too]"}
NEGATIVES = {"first[negative: strong: level = nothing]"} | {
    f"second[negative: {subject}: level = nothing]" for subject in ("absent", "strong-too")
}
CONTROLS = NEGATIVES | {"first[positive: planted]", "second[positive: planted]"}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("-k first", FIRST | {"first[positive: planted]", "first[negative: strong: level = nothing]"}),
        ("-m night", FIRST | {"first[positive: planted]", "first[negative: strong: level = nothing]"}),
        ("-k absent", {"second[absent]", "second[negative: absent: level = nothing]"}),
        ("-m control", CONTROLS),
        ("-m negative", NEGATIVES),
        ("-m 'not control'", FIRST | OTHERS),
        ("-m 'not control' -k toy/other", OTHERS),
    ],
)
def test_k_and_m_choose(lab: Lab, words: str, found: set[str]) -> None:
    """Marks of the author stand below @claim, beside the function; kinds of items and findings can be asked for."""
    controls = '[positive(on="strong-too", label="planted"), negative(level=nothing)]'
    lab.claims(
        claim("first", between="@pytest.mark.night\n", controls=controls)
        + claim("second", finding='"toy/other"', on='causal_lm(organism=["absent", "strong-too"])', controls=controls)
    )
    lab.write("pytest.ini", "[pytest]\nmarkers = night: only at night\n")
    assert set(chosen(lab.run("claims", "--with-controls", "--co", "-q", *shlex.split(words)))) == found


def test_marks_of_pytest_work_on_claims(lab: Lab) -> None:
    lab.claims(claim("first", between='@pytest.mark.skip(reason="not today")\n') + claim("second"))
    lab.run("claims").assert_outcomes(passed=1, skipped=1)


def test_a_mark_above_the_claim_is_refused_and_not_lost(lab: Lab) -> None:
    lab.claims(claim("first").replace("@claim", "@pytest.mark.skipif(False, reason='')\n@claim"))
    result = lab.run("claims")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "write @pytest.mark.skipif below @claim" in one_line(result, "first")


def test_x_stops_at_the_first_failure_and_the_report_names_what_is_missing(lab: Lab) -> None:
    lab.claims(claim("first", on='causal_lm(organism="absent")') + claim("second"))
    result = lab.run("claims", "-x", "--report", "report")
    result.assert_outcomes(failed=1)
    document = lab.results()
    assert document["missing"] == ["claims/test_toy.py::second[strong]"] and not document["complete"]


def test_lf_reruns_only_what_failed(lab: Lab) -> None:
    lab.claims(claim("first", on='causal_lm(organism=["absent", "strong"])') + claim("second"))
    lab.run("claims").assert_outcomes(failed=1, passed=2)
    assert chosen(lab.run("claims", "--lf", "--collect-only", "-q")) == ["first[absent]"]
    lab.run("claims", "--lf").assert_outcomes(failed=1)


def test_claims_and_plain_tests_share_a_file(lab: Lab) -> None:
    lab.claims(
        claim()
        + "\n\ndef test_plain(tmp_path):\n    assert tmp_path.is_dir()\n\n\ndef test_bad():\n    assert 1 == 2\n"
    )
    result = lab.run("claims", "--report", "report")
    result.assert_outcomes(passed=2, failed=1)
    assert lab.results()["complete"]
    result.stdout.fnmatch_lines(["*assert 1 == 2*"])


@pytest.mark.parametrize("dist", ["load", "loadgroup"])
def test_two_processes_come_to_the_same_as_one(lab: Lab, dist: str) -> None:
    lab.claims(claim("first", on='causal_lm(organism=["strong", "absent"])') + claim("second"))
    lab.run("claims", "--with-controls", "--report", "one", "--store", "store-1")
    result = lab.run_apart(
        "claims",
        "--with-controls",
        "--report",
        "two",
        "--store",
        "store-2",
        "-n",
        "2",
        "--dist",
        dist,
        "--junitxml",
        "j.xml",
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    one, two = (
        {r["item"]: (r["verdict"], r["replicates"], r["controls"], r["sound"]) for r in lab.results(folder)["results"]}
        for folder in ("one", "two")
    )
    assert one == two
    assert lab.results("two")["complete"]
    result.stdout.fnmatch_lines(["*sound*", "*two/results.json*"])


def test_collecting_imports_no_heavy_library(lab: Lab) -> None:
    """Nor does importing the package, or collecting the shipped claims."""
    lab.claims(TWO)
    script = (
        "import sys, json, claimbench, pytest\n"
        "heavy = ['torch', 'transformers', 'scipy']\n"
        "first = [name for name in heavy if name in sys.modules]\n"
        "from claimbench.running.collecting import claims_root\n"
        "code = pytest.main(['claims', str(claims_root()), '--collect-only', '-q', '--assert=plain'])\n"
        "print(json.dumps([int(code), first, [name for name in heavy if name in sys.modules]]))\n"
    )
    lab.write("look.py", script)
    result = lab.pytester.run(sys.executable, lab.path / "look.py")
    assert json.loads(result.outlines[-1]) == [0, [], []], "\n".join(result.outlines)
