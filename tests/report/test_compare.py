"""Comparison of two documents: what a change of verdict is called, how effects are paired, and what is refused."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from claimbench import cli
from claimbench.comparing import Baseline, compare, markdown, parse_match, rows, table
from claimbench.comparing.changes import kind
from claimbench.errors import UsageError
from claimbench.reporting import write_results
from claimbench.reporting.results import complete
from sample import sample

FINDING = "load-bearing/top-heads-beat-random"


def document() -> dict[str, Any]:
    return complete(sample())  # type: ignore[return-value]


def changed(**fields: Any) -> dict[str, Any]:
    """The document with other fields in its first result."""
    made = document()
    made["results"][0] |= fields
    return made


def shifted(by: Any, number: int = 0) -> dict[str, Any]:
    """The document with the effects of one result moved, by a number or by one for each replicate."""
    made = document()
    replicates = made["results"][number]["replicates"]
    for replicate, amount in zip(replicates, np.broadcast_to(by, len(replicates)), strict=True):
        replicate["effects"] = {
            name: [None if end is None else end + float(amount) for end in pair] for name, pair in replicate["effects"].items()
        }
    return made


def only(comparison: dict[str, Any]) -> dict[str, Any]:
    (found,) = [change for change in comparison["changes"] if change["kind"] != "same"]
    return found


@pytest.mark.parametrize(
    ("before", "after", "called"),
    [
        ("SUPPORTED", "SUPPORTED", "same"), ("SUPPORTED", "REFUTED", "regression"), ("SUPPORTED", "INCONCLUSIVE", "regression"),
        ("SUPPORTED", "NOT_APPLICABLE", "regression"), ("SUPPORTED", "ERROR", "regression"), ("REFUTED", "INVALID", "regression"),
        ("REFUTED", "SUPPORTED", "repair"), ("INCONCLUSIVE", "SUPPORTED", "repair"), ("ERROR", "REFUTED", "repair"),
        ("REFUTED", "INCONCLUSIVE", "other"), ("NOT_APPLICABLE", "REFUTED", "other"), ("INVALID", "ERROR", "other"),
    ],
)  # fmt: skip
def test_changes_of_verdicts_have_names(before: str, after: str, called: str) -> None:
    one, other = ({"verdict": verdict, "control": None, "n": 6} for verdict in (before, after))
    assert kind(one, other) == called


def test_undecided_by_fewer_replicates_is_no_regression() -> None:
    before = {"verdict": "SUPPORTED", "control": None, "n": 11}
    assert kind(before, {"verdict": "INCONCLUSIVE", "control": None, "n": 6}) == "undecided"
    assert kind(before, {"verdict": "REFUTED", "control": None, "n": 6}) == "regression"


@pytest.mark.parametrize(
    ("then", "now", "called"), [(True, False, "regression"), (False, True, "repair"), (True, None, "regression")]
)
def test_a_control_changes_by_coming_out_as_it_must_or_not(then: Any, now: Any, called: str) -> None:
    one, other = ({"verdict": "REFUTED", "control": {"ok": ok}, "n": 6} for ok in (then, now))
    assert kind(one, other) == called


def test_a_document_is_the_same_as_itself() -> None:
    found = compare(document(), document())
    assert found["counts"] == {"same": len(document()["results"])}
    assert rows(found) == []
    assert all(effect["direction"] is None for change in found["changes"] for effect in change["effects"])
    json.dumps(found, allow_nan=False)


def test_a_regression_tells_the_paired_difference() -> None:
    after = shifted([-0.5, -0.6, -0.55, -0.7, -0.52, -0.61])
    after["results"][0]["verdict"] = "REFUTED"
    found = only(compare(document(), after))
    (effect,) = found["effects"]
    assert found["kind"] == "regression" and (found["before"], found["after"]) == ("SUPPORTED", "REFUTED")
    assert effect["n"] == 6 and effect["direction"] == "fell"
    assert (round(effect["low"], 9), round(effect["high"], 9)) == (-0.7, -0.5)  # six of six: the range


def test_a_regression_names_the_precondition_and_the_heads() -> None:
    """What a reader of a failed gate asks first: which value fell below which bound, and what became of the heads."""
    before, after = document(), document()
    then, now = before["results"][0], after["results"][0]
    then["preconditions"] = [{"name": "order gain", "need": "at least 0.5 nat", "value": 13.4, "unit": "nat", "passed": True}]
    now["preconditions"] = [{**then["preconditions"][0], "value": 0.12, "passed": False}]
    now |= {"verdict": "NOT_APPLICABLE", "reason": "needs order gain at least 0.5 nat, found 0.12"}
    scores = {"kind": "heads", "title": "Induction score", "values": [[0.0, 0.1], [0.93, 0.5]], "marked": [[1, 1], [1, 0]]}
    then["observations"] = {"Induction score": scores}
    now["observations"] = {"Induction score": {**scores, "values": [[0.0, 0.1], [0.04, None]], "marked": []}}
    told = " ".join(table(compare(before, after)).split())
    for said in (
        "needs order gain at least 0.5 nat, found 0.12",
        "order gain: at least 0.5 nat (before 13.4 nat, now 0.12 nat)",
        "heads ringed before in “Induction score”: 1.0 0.93 -> 0.04, 1.1 0.5 -> –",
    ):
        assert said in told
    assert "0.93 -&gt; 0.04" in markdown(compare(before, after)) or "0.93 -\\> 0.04" in markdown(compare(before, after))


def test_an_effect_that_moved_within_its_verdict_is_listed() -> None:
    found = compare(document(), shifted(np.linspace(-0.3, -0.2, 6)))
    assert found["counts"] == {"same": len(document()["results"])}
    assert [row["what"] for row in rows(found)] == ["effect moved"]
    assert "effect fell: −0.25" in table(found)


def test_pairing_is_by_index_and_sharper_than_the_effects() -> None:
    """Seeds differ by more than the change; within pairs every seed fell."""
    before = document()
    for replicate, value in zip(before["results"][0]["replicates"], (0.2, 0.9, 0.4, 0.7, 0.3, 0.8), strict=True):
        replicate["effects"]["effect"] = [value, value]
    after = copy.deepcopy(before)
    for number, replicate in enumerate(after["results"][0]["replicates"]):
        replicate["effects"]["effect"] = [end - 0.05 - 0.001 * number for end in replicate["effects"]["effect"]]
    after["results"][0]["replicates"].reverse()
    (effect,) = compare(before, after)["changes"][0]["effects"]
    assert effect["direction"] == "fell" and effect["high"] == pytest.approx(-0.05)


def test_fewer_than_six_seeds_never_decide() -> None:
    before, after = document(), shifted([-0.5, -0.4, -0.6, -0.5, -0.4, -0.6])
    for made in (before, after):
        made["results"][0]["replicates"] = made["results"][0]["replicates"][:5]
    (effect,) = compare(before, after)["changes"][0]["effects"]
    assert effect["direction"] is None and effect["n"] == 5 and "too few" in effect["method"]


def test_replicates_that_failed_a_precondition_do_not_pair() -> None:
    after = shifted(-0.5)
    after["results"][0]["replicates"][2]["passed"] = False
    (effect,) = compare(document(), after)["changes"][0]["effects"]
    assert effect["n"] == 5


def test_open_intervals_stay_open() -> None:
    number = next(i for i, r in enumerate(document()["results"]) if r["finding"] == "ih-clamp/heads-add-up")
    (effect,) = next(c for c in compare(document(), shifted(0.5, number))["changes"] if c["finding"] == "ih-clamp/heads-add-up")[
        "effects"
    ]
    assert (effect["low"], effect["high"]) == (None, None) and effect["direction"] is None


def prompts(*values: float) -> dict[str, Any]:
    """A document of one result on a given model, with these effects of its prompt batches."""
    made = document()
    result = next(r for r in made["results"] if r["replicate_unit"] == "prompt batch" and r["n"] and not r["control"])
    result["replicates"] = [{"index": i, "seed": None, "passed": True, "effects": {"effect": [v, v]}} for i, v in enumerate(values)]
    return made | {"results": [result]}


def test_prompt_batches_are_compared_by_a_confidence_sequence() -> None:
    draw = np.random.default_rng(0)
    then = draw.normal(0.5, 0.2, 40)
    (effect,) = compare(prompts(*then), prompts(*(then - 0.3 + draw.normal(0, 0.02, 40))))["changes"][0]["effects"]
    assert effect["direction"] == "fell" and effect["low"] < -0.3 < effect["high"] < 0
    assert "betting confidence sequence" in effect["method"]
    (effect,) = compare(prompts(*then), prompts(*draw.permutation(then)))["changes"][0]["effects"]
    assert effect["direction"] is None


def test_prompt_batches_without_a_known_bound_have_no_interval() -> None:
    before, after = prompts(0.5, 0.6, 0.7), prompts(0.1, 0.2, 0.3)
    before["results"][0]["design"] = {"most": 60}
    (effect,) = compare(before, after)["changes"][0]["effects"]
    assert (effect["low"], effect["high"], effect["direction"]) == (None, None, None) and effect["estimate"] == pytest.approx(-0.4)


def test_false_alarms_of_paired_seeds_are_rare() -> None:
    """Two runs of one thing: the difference of six pairs is called a change as rarely as its level says (3 %)."""
    draw, alarms = np.random.default_rng(1), 0
    before = document() | {"results": document()["results"][:1]}
    for _ in range(300):
        after = copy.deepcopy(before)
        for replicate in after["results"][0]["replicates"]:
            replicate["effects"]["effect"] = [
                end + float(move) for move in [draw.normal(0, 0.1)] for end in replicate["effects"]["effect"]
            ]
        alarms += compare(before, after)["changes"][0]["effects"][0]["direction"] is not None
    assert alarms <= 22  # 3.1 % of 300 is 9.4; 22 is four standard deviations above


def test_events_are_compared_by_the_exact_test_of_discordant_pairs() -> None:
    number = next(i for i, r in enumerate(document()["results"]) if any(e["region"]["of"] == "rate" for e in r["effects"]))
    after = document()
    for replicate in after["results"][number]["replicates"][:8]:
        replicate["effects"]["three or more heads"] = [0.0, 0.0]
    change = next(
        c for c in compare(document(), after)["changes"] if c["finding"] == "ih-clamp/many-graded-heads" and not c["control"]
    )
    effect = next(e for e in change["effects"] if e["name"] == "three or more heads")
    assert effect["direction"] == "fell" and "lost in 8, gained in 0 of 11 pairs; exact p = 0.0078" in effect["method"]


def test_on_a_log_scale_the_difference_is_a_ratio() -> None:
    before = document() | {"results": document()["results"][:1]}
    result = before["results"][0]
    result["effects"][0]["region"] |= {"scale": "log"}
    result["effects"][0]["unit"] = "ratio"
    after = copy.deepcopy(before)
    for number, replicate in enumerate(after["results"][0]["replicates"]):
        replicate["effects"]["effect"] = [end * (0.5 - 0.01 * number) for end in replicate["effects"]["effect"]]
    (effect,) = compare(before, after)["changes"][0]["effects"]
    assert effect["direction"] == "fell" and effect["high"] == pytest.approx(0.5) and effect["low"] == pytest.approx(0.45)
    assert "times" in table(compare(before, after))


def test_another_root_seed_does_not_pair_and_says_so() -> None:
    found = compare(document(), shifted(-0.5) | {"seed": 1})
    assert not any(change["effects"] for change in found["changes"])
    assert any("do not pair" in note for note in found["notes"])


def test_what_may_explain_a_change_is_said() -> None:
    after = changed(verdict="REFUTED", code_digest="other", subject_digest="other", n=11, sound=False)
    after["results"][0]["effects"][0]["region"] |= {"low": 0.5, "text": "above 0.5 share of gain"}
    after["results"][0]["lock"] = {**after["results"][0]["lock"], "hash": "other"}
    said = "; ".join(only(compare(document(), after))["remarks"])
    for part in (
        "the region changed: above 0.1 share of gain, now above 0.5",
        "amended",
        "code changed",
        "UNSOUND",
        "n = 11, was 6",
    ):
        assert part in said


def test_new_and_gone() -> None:
    fewer = document()
    gone = fewer["results"].pop(0)
    assert compare(document(), fewer)["counts"]["gone"] == 1
    assert compare(fewer, document())["counts"]["new"] == 1
    assert "gone" not in Baseline(document()).against(fewer)["counts"]
    assert gone["finding"] in table(compare(document(), fewer))


def test_a_baseline_of_another_model_is_refused_with_what_to_do() -> None:
    before, after = prompts(0.5, 0.6), prompts(0.1, 0.2)
    after["results"][0]["subject"] = "other-model"
    with pytest.raises(UsageError, match="--match gpt2-small=other-model"):
        compare(before, after)
    found = compare(before, after, {"other-model": "gpt2-small"})
    assert found["counts"] == {"same": 1} and found["changes"][0]["was"] == "gpt2-small"


def test_names_in_a_match_are_checked() -> None:
    with pytest.raises(UsageError, match="nearest are gpt2-small"):
        compare(prompts(0.5), prompts(0.4), {"gpt2-small": "gpt2-smal"})
    for words in (["gpt2"], ["=gpt2"], ["a=b", "a=c"], ["a=b", "c=b"]):
        with pytest.raises(UsageError, match="--match"):
            parse_match(words)


def test_one_subject_takes_the_place_of_another_of_the_same_run() -> None:
    step, later = prompts(0.5, 0.6, 0.7)["results"][0], prompts(0.1, 0.2, 0.3)["results"][0]
    both = document() | {"results": [{**step, "subject": "step-1"}, {**later, "subject": "step-2", "verdict": "SUPPORTED"}]}
    found = compare(both, both, {"step-2": "step-1"})
    assert len(found["changes"]) == 1 and found["changes"][0]["effects"][0]["estimate"] == pytest.approx(-0.4)


def test_a_baseline_knows_what_regressed() -> None:
    baseline = Baseline(document())
    after = changed(verdict="REFUTED")
    assert baseline.regressed(after["results"][0]) and not baseline.regressed(after["results"][1])
    assert baseline.regressed({**after["results"][0], "subject": "never seen"}) is None


def test_markdown_is_one_table_and_escaped() -> None:
    after = changed(verdict="REFUTED", subject="copying")
    text = markdown(compare(document(), after))
    assert "| **regression** | load-bearing/top-heads-beat-random | copying | SUPPORTED | REFUTED |" in text
    hostile = document()
    for made in (hostile, after):
        made["results"][0]["finding"] = "a|b<script>"
    text = markdown(compare(hostile, after))
    assert "<script" not in text and "a\\|b&lt;script&gt;" in text


def written(folder: Path, name: str, made: dict[str, Any]) -> str:
    return str(write_results(made, folder / name))


@pytest.mark.parametrize(("fail_on", "code"), [("regression", 1), ("never", 0), ("repair,gone", 0), ("same", 1)])
def test_the_command_has_exit_codes(tmp_path: Path, fail_on: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = written(tmp_path, "a.json", document()), written(tmp_path, "b.json", changed(verdict="REFUTED"))
    assert cli.main(["compare", before, after, "--fail-on", fail_on]) == code
    assert "regression (1)" in capsys.readouterr().out
    assert cli.main(["compare", after, before, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"]["repair"] == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ('{"schema": "claimbench-results/1", "results": [', "not whole JSON"),
        ('{"schema": "claimbench-results/9"}', "update claimbench"),
        ('{"schema": "claimbench-results/0"}', "write the report again"),
        ('{"schema": "claimbench-comparison/1"}', "give the results.json"),
        ('{"schema": 3}', "give the results.json"),
    ],
)
def test_what_is_no_baseline_is_one_line(tmp_path: Path, content: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.json").write_text(content)
    assert cli.main(["compare", str(tmp_path / "a.json"), written(tmp_path, "b.json", document())]) == 4
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_two_results_for_one_key_are_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    doubled = document()
    doubled["results"].append(doubled["results"][0])
    path = written(tmp_path, "a.json", doubled)
    assert cli.main(["compare", path, path]) == 4
    assert f"two results for {FINDING} (test_heads.py::top_induction_heads_are_load_bearing) on copying" in capsys.readouterr().err


def test_an_older_document_is_filled_in(tmp_path: Path) -> None:
    """Fields that were added within the version are absent from what an older claimbench wrote."""
    older = document()
    for result in older["results"]:
        for name in ("series", "p_value", "e_value", "adjusted", "history"):
            del result[name]
    path = tmp_path / "results.json"
    path.write_text(json.dumps(older))
    assert cli.main(["compare", str(path), written(tmp_path, "b.json", document())]) == 0


@pytest.mark.parametrize(("word", "said"), [("regresion", "did you mean 'regression'"), ("never,gone", "never stands alone")])
def test_a_slip_in_fail_on(word: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", "a", "b", "--fail-on", word]) == 4
    assert said in capsys.readouterr().err
