"""The results document: its schema, what is written, and what is refused when read."""

from __future__ import annotations

import copy
import json
import re
import time
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from claimbench.errors import ClaimbenchError, UsageError
from claimbench.reporting import document as doc
from claimbench.reporting import load_results, results, write_report, write_results
from hypothesis import given
from hypothesis import strategies as st
from sample import sample

TYPED = {
    "result": doc.ResultDoc, "effect": doc.EffectDoc, "replicate": doc.ReplicateDoc, "variant": doc.VariantDoc,
    "receipt": doc.ReceiptDoc, "precondition": doc.PreconditionDoc, "control": doc.ControlDoc,
    "control_of": doc.ControlOf, "expected": doc.ExpectedDoc, "documented": doc.DocumentedDoc,
    "recorded": doc.RecordedDoc, "lock": doc.LockDoc, "region": doc.RegionDoc, "finding": doc.FindingDoc,
    "paper": doc.PaperDoc, "rate": doc.RateDoc, "calibration": doc.CalibrationDoc, "adjusted": doc.AdjustedDoc,
    "trust": doc.TrustDoc, "series_of": doc.SeriesDoc,
}  # fmt: skip


def written(tmp_path: Path, **changes: Any) -> Path:
    return write_results({**sample(), **changes}, tmp_path / "results.json")


def test_the_schema_is_a_schema_and_the_sample_follows_it() -> None:
    jsonschema.Draft202012Validator.check_schema(results.schema())
    jsonschema.validate(results.complete(sample()), results.schema(), cls=jsonschema.Draft202012Validator)


def test_schema_and_types_name_the_same_fields() -> None:
    schema = results.schema()
    assert set(schema["properties"]) == set(doc.Document.__annotations__)
    assert set(schema["required"]) == set(schema["properties"])
    for name, typed in TYPED.items():
        assert set(schema["$defs"][name]["properties"]) == set(typed.__annotations__), name
        assert schema["$defs"][name]["additionalProperties"] is False, name
    assert schema["properties"]["schema"]["const"] == doc.SCHEMA
    assert set(doc.RESULT_DEFAULTS) <= set(doc.ResultDoc.__annotations__)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("results", 0, "verdict"), "MAYBE"),
        (("results", 0, "invented"), 1),
        (("results", 0, "effects", 0, "low"), "much"),
        (("results", 0, "effects", 0, "level"), 95),
        (("results", 0, "replicates", 0, "effects", "effect"), [1]),
        (("results", 0, "observations", "scores", "kind"), "film"),
        (("results", 0, "evidence"), "rumour"),
        (("results", 0, "n"), -1),
        (("papers", 0, "findings", 0, "status"), "done"),
        (("seed",), 1.5),
    ],
)
def test_the_schema_refuses_what_is_no_result(path: tuple[Any, ...], value: Any) -> None:
    document = results.complete(sample())
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (said,) = results.problems(document)
    (other,) = jsonschema.Draft202012Validator(results.schema()).iter_errors(document)
    assert said.partition(": ")[0] == ("/".join(map(str, other.absolute_path)) or "the document")


def test_every_result_is_held_against_the_schema_and_at_once() -> None:
    """6,000 results take seconds by a validator that interprets its schema, a fifth of one by one that compiles it."""
    document = results.complete(sample())
    document["results"] = [copy.deepcopy(result) for result in document["results"] for _ in range(600)]
    started = time.process_time()
    results.check(document)
    assert time.process_time() - started < 2
    document["results"][4321]["effects"] = None  # type: ignore[typeddict-item]
    with pytest.raises(ClaimbenchError, match=r"results/4321/effects"):
        results.check(document)


def test_infinities_and_nan_are_never_written(tmp_path: Path) -> None:
    document = sample()
    document["results"][0]["seconds"] = float("nan")
    document["results"][0]["forward_passes"] = np.int64(7)
    path = write_results(document, tmp_path / "results.json")
    read = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda name: pytest.fail(f"{name} was written"))
    assert read["results"][0]["seconds"] is None
    assert read["results"][0]["forward_passes"] == 7
    assert read["results"][0]["effects"][0]["region"]["high"] is None
    assert [None, -0.6] in [r["effects"].get("effect") for e in read["results"] for r in e["replicates"]]


@given(st.recursive(st.floats() | st.integers() | st.text() | st.none() | st.booleans(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_plain_values_survive_json(value: Any) -> None:
    once = results.plain(value)
    assert json.loads(json.dumps(once, allow_nan=False)) == once
    assert results.plain(once) == once


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = written(tmp_path)
    read = load_results(path)
    assert read == results.complete(sample())
    assert load_results(tmp_path) == read
    assert write_results(read, tmp_path / "again.json").read_bytes() == path.read_bytes()
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []


def test_a_report_is_three_files(tmp_path: Path) -> None:
    paths = write_report(sample(), tmp_path / "new" / "folder")
    assert {name: path.name for name, path in paths.items()} == {
        name: name for name in ("results.json", "report.html", "summary.md")
    }
    assert all(path.stat().st_size > 1000 for path in paths.values())
    assert load_results(paths["results.json"])["profile"] == "standard"


def test_a_departure_from_the_schema_is_raised_after_writing(tmp_path: Path) -> None:
    document = sample()
    document["results"][0]["invented"] = 1
    with pytest.raises(ClaimbenchError, match=r"results/0.*invented"):
        write_report(document, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"results.json", "report.html", "summary.md"}


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match=re.escape(str(tmp_path / "file"))):
        write_report(sample(), tmp_path / "file")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "empty"),
        ('{"schema": "claimbench-results/1", "results": [', "not whole JSON"),
        ('{"schema": "claimbench-results/7"}', "claimbench-results/7"),
        ("[1, 2]", "no results document"),
        ('{"other": 1}', "no results document"),
        ('{"schema": "claimbench-results/1"}', "does not follow its schema"),
        ("\udcff", "cannot read"),
    ],
)
def test_a_file_that_is_no_results_is_refused_with_its_name(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "results.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match=said) as caught:
        load_results(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_absent_results_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no results at"):
        load_results(tmp_path / "none.json")


def test_an_edited_file_is_refused_with_the_place(tmp_path: Path) -> None:
    path = written(tmp_path)
    document = json.loads(path.read_text(encoding="utf-8"))
    document["results"][2]["verdict"] = "PASSED"
    path.write_text(json.dumps(document))
    with pytest.raises(UsageError, match="results/2/verdict"):
        load_results(path)
