"""What is published: a badge, tables, claim cards and model cards, from a results document."""

from __future__ import annotations

import csv as reader
import io
import itertools
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
import yaml
from claimbench import cli, publishing
from claimbench.errors import UsageError
from claimbench.publishing.tables import escape
from claimbench.reporting import write_results
from claimbench.reporting.results import complete
from huggingface_hub import ModelCard, parse_eval_result_entries
from sample import HOSTILE, LONG, hostile, sample
from test_report_page import Page

FINDING = "load-bearing/top-heads-beat-random"
MODEL = "gpt2-small"


def document() -> dict[str, Any]:
    return complete(sample())  # type: ignore[return-value]


def words_of(svg: str) -> list[str]:
    return [str(text.text) for text in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_a_badge_counts_every_verdict_and_what_is_unsound() -> None:
    said = ["7 supported", "1 refuted", "2 inconclusive", "1 invalid", "2 not applicable", "1 error", "1 unsound"]
    assert words_of(publishing.badge(document())) == ["claims", *said]


def test_a_badge_of_one_verdict_is_that_verdict() -> None:
    svg = publishing.badge(publishing.select(document(), [FINDING], ["copying"]))
    assert words_of(svg) == [FINDING, "supported"]
    assert words_of(publishing.badge(document(), "mine"))[0] == "mine"


def test_a_badge_asks_nothing_of_any_network_and_escapes() -> None:
    made = hostile()
    svg = publishing.badge(complete(made), HOSTILE)
    assert words_of(svg)[0] == HOSTILE
    assert not re.search(r"(href|src|url\((?!#)|@import|<script|<image)", svg)


def test_white_letters_of_a_badge_have_contrast() -> None:
    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    for colour in publishing.badge.__globals__["COLOURS"].values():
        assert 1.05 / (light(colour) + 0.05) >= 4.5, colour


def test_latex_has_a_row_for_each_effect_and_no_bare_special() -> None:
    text = publishing.latex(document())
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 1 and r"\hline" not in text
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    rows = [line for line in body.splitlines() if line.rstrip().endswith(r"\\")]
    expected = sum(max(1, len(r["effects"])) for r in document()["results"] if not r["control"])
    assert len(rows) == expected
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {6}
    assert "0.952" in body and r"supported$^\dagger$" in body


def test_latex_of_hostile_names() -> None:
    text = publishing.latex(complete(hostile()))
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in body.splitlines() if line.rstrip().endswith(r"\\")} == {6}
    assert LONG in body
    assert escape("50 % of a_b & {c} #1 ~ ^ \\ $") == (
        r"50 \% of a\_b \& \{c\} \#1 \textasciitilde{} \textasciicircum{} \textbackslash{} \$"
    )


def test_csv_has_numbers_in_full_and_is_read_back() -> None:
    rows = list(reader.DictReader(io.StringIO(publishing.csv(document()))))
    first = document()["results"][0]
    assert rows[0]["finding"] == FINDING and float(rows[0]["estimate"]) == first["effects"][0]["estimate"]
    assert rows[0]["region_high"] == "" and rows[0]["verdict"] == "SUPPORTED"
    assert any(row["effect"] == "" and row["verdict"] == "ERROR" for row in rows)


def test_csv_holds_no_formula() -> None:
    made = document()
    made["results"][0]["title"] = "=HYPERLINK(1)"
    assert "'=HYPERLINK(1)" in publishing.csv(made)


def test_a_card_is_a_whole_page_that_can_be_cited() -> None:
    pages = publishing.cards(publishing.select(document(), [FINDING]))
    ((name, text),) = pages.items()
    page = Page(text)
    assert re.fullmatch(r"load-bearing-top-heads-beat-random-[0-9a-f]{8}\.html", name) and page.open == []
    levels = [level for level, _ in page.headings]
    assert levels[0] == 1 and all(after <= before + 1 for before, after in itertools.pairwise(levels))
    for said in (
        "@misc{load-bearing,",
        "year = {2025}",
        "code 51aa90c2f3b7d8e6",
        "protocol 6b1f0c3ad2e4",
        "Run it again",
        "permuted scores",
    ):
        assert said in page.text, said
    ids = {a.get("id") for _, a in page.elements}
    inside = [str(a["href"])[1:] for tag, a in page.elements if tag == "a" and str(a.get("href")).startswith("#")]
    assert set(inside) <= ids


def test_cards_of_hostile_names_are_escaped() -> None:
    for text in publishing.cards(complete(hostile())).values():
        assert Page(text).open == [] and "<script>alert" not in text and len(re.findall(r"<script\b", text)) == 1


def test_a_model_card_is_read_by_the_hub_and_by_people() -> None:
    text = publishing.model_card(publishing.select(document(), subjects=[MODEL]))
    card = ModelCard(text, ignore_metadata_errors=False)
    results = card.data.eval_results
    judged = [r for r in document()["results"] if r["subject"] == MODEL and not r["control"] and r["effects"]]
    assert results and [one.metric_value for one in results] == [r["effects"][0]["estimate"] for r in judged]
    assert results[0].dataset_config == "long-short-prefix-heads" and "holds above" in str(results[0].metric_name)
    assert "## Findings about this model" in card.text and "1 SUPPORTED, 1 ERROR on 2 claims" in card.text


def test_a_model_card_is_of_one_model() -> None:
    with pytest.raises(UsageError, match="choose one with --subject"):
        publishing.model_card(document())
    with pytest.raises(UsageError, match="the results have none"):
        publishing.model_card(publishing.select(document(), subjects=["copying"]))


def test_eval_results_follow_the_format_of_the_hub() -> None:
    text = publishing.eval_results(publishing.select(document(), subjects=[MODEL]), "someone/findings")
    entries = parse_eval_result_entries(yaml.safe_load(text))
    assert entries[0].dataset_id == "someone/findings" and entries[0].task_id == "attn-sae/long-short-prefix-heads"
    assert isinstance(entries[0].value, float) and "n = 46" in str(entries[0].notes)
    with pytest.raises(UsageError, match="USER/NAME"):
        publishing.eval_results(publishing.select(document(), subjects=[MODEL]), "findings")


@pytest.mark.parametrize("kind", ["badge", "latex", "csv", "markdown", "report"])
def test_the_command_prints_or_writes(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(write_results(document(), tmp_path / "results.json"))
    assert cli.main(["publish", path, "--to", kind]) == 0
    printed = capsys.readouterr().out
    assert cli.main(["publish", path, "--to", kind, "--out", str(tmp_path / "out" / "file")]) == 0
    assert (tmp_path / "out" / "file").read_text(encoding="utf-8") == printed and len(printed) > 100


def test_several_cards_need_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(write_results(document(), tmp_path / "results.json"))
    assert cli.main(["publish", path, "--to", "card"]) == 4
    assert "give a folder with --out" in capsys.readouterr().err
    assert cli.main(["publish", path, "--to", "card", "--out", str(tmp_path / "cards")]) == 0
    assert len(list((tmp_path / "cards").glob("*.html"))) == 8


SLIPS = [
    (["--to", "card", "--finding", "load-bearing/top-heads-beat-randon"], "nearest are load-bearing/top-heads-beat-random"),
    (["--to", "badge", "--subject", "copyin"], "nearest are copying"),
    (["--to", "eval-results"], "--dataset USER/NAME"),
    (["--to", "poster"], "invalid choice"),
]


@pytest.mark.parametrize(("words", "said"), SLIPS, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_a_slip_is_one_line(tmp_path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(write_results(document(), tmp_path / "results.json"))
    assert cli.main(["publish", path, *words]) == 4
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_nothing_judged_is_nothing_published(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps({**document(), "results": []}))
    assert cli.main(["publish", str(path), "--to", "badge"]) == 4
    assert "no verdict to publish" in capsys.readouterr().err
