"""Markdown and terminal: the same verdicts in less space."""

from __future__ import annotations

import re

import pytest
from claimbench.reporting import counts_line, one_line, terminal_table
from claimbench.reporting.markdown import escape, summary
from claimbench.reporting.results import complete
from sample import HOSTILE, hostile, sample


def test_the_terminal_table_has_every_verdict() -> None:
    document = sample()
    text = terminal_table(document)
    for result in document["results"]:
        if result["control"] is None:
            assert f"on {result['subject']}" in text
    for said in (
        "S SUPPORTED", "V INVALID", "N NOT APPLICABLE", "E ERROR", "R not reproduced on an analogue", "4/4 held",
        "UNSOUND  ih-clamp/no-single-head-necessary: control one-head family expected REFUTED, found INCONCLUSIVE",
        "expected: a net of this size does not learn", "5 more seeds may decide it",
        "7 SUPPORTED, 1 REFUTED, 2 INCONCLUSIVE, 1 INVALID, 2 NOT_APPLICABLE, 1 ERROR · claims: 5 sound, 1 unsound",
        "not measured: 1 item",
    ):  # fmt: skip
        assert said in text, said
    assert "another seed's heads" not in text.split("\n\n")[0]  # controls are counted, not listed


@pytest.mark.parametrize("width", [80, 120])
def test_in_a_narrow_terminal_each_row_is_lines_of_its_own_and_nothing_is_cut(width: int) -> None:
    wide, narrow = terminal_table(sample()), terminal_table(sample(), width)
    tables = [text.split("\n\n", 1) for text in (wide, narrow)]
    longest = [max(map(len, table.splitlines())) for table, _ in tables]
    assert longest[1] <= width < longest[0]
    assert tables[0][1] == tables[1][1], "remarks stay lines that can be searched for"
    flat = " ".join(narrow.split())
    assert (
        "S SUPPORTED load-bearing/top-heads-beat-random on copying 0.952 [0.901, 0.967] share of gain holds above 0.1 share "
        "of gain n 6; controls 4/4 held; adjusted S at 3.13 %, p = 0.016"
    ) in flat
    assert "controls 0/1 held, UNSOUND" in flat
    words = {word.strip(",;:") for word in wide.split() if set(word) - {"-"}} - {"verdict", "finding", "measured"}
    assert words <= {word.strip(",;:") for word in flat.split()}


def test_where_the_table_fits_it_is_a_table() -> None:
    assert terminal_table(sample(), 160) == terminal_table(sample())


def test_one_line_is_one_line() -> None:
    lines = [one_line(result) for result in complete(sample())["results"]]
    assert all("\n" not in line for line in lines)
    assert lines[0] == (
        "SUPPORTED  load-bearing/top-heads-beat-random on copying"
        " · 0.952 [0.901, 0.967] share of gain, holds above 0.1 share of gain · 6 seeds"
    )
    assert any("[UNEXPECTED]" in line for line in lines)
    assert any(line.startswith("REFUTED") and "negative control “permuted scores”" in line for line in lines)
    assert any(line.startswith("INVALID") and "a rerun of prompt batch 3" in line for line in lines)


def test_nothing_to_tell_is_told() -> None:
    empty = {**sample(), "results": [], "missing": []}
    assert terminal_table(empty) == counts_line(empty) == "no verdicts · no claims"
    assert "No claim was judged" in summary(complete(empty))


def test_the_summary_says_what_a_reviewer_needs() -> None:
    text = summary(complete(sample()))
    for said in (
        "**7 SUPPORTED**, **1 REFUTED**", "**1 unsound**", "> **Not complete:** 1 item not measured.",
        "### Look at these first",
        "- **unsound** ih-clamp/no-single-head-necessary: a control did not come out as it must (one-head family)",
        "not reproduced on an analogue (expected)", "INCONCLUSIVE (**unexpected**)", "**UNSOUND** (0 of 1)",
        "0.952 \\[0.901, 0.967\\] share of gain (holds above 0.1 share of gain)",
    ):  # fmt: skip
        assert said in text, said
    rows = [line for line in text.splitlines() if line.startswith("|")]
    widths = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
    assert widths == {5, 8}  # no cell breaks its table


def test_hostile_names_stay_text_in_markdown() -> None:
    text = summary(complete(hostile()))
    assert "<script" not in text
    assert escape(HOSTILE) in text
    assert escape("a\n| b `c`") == "a \\| b \\`c\\`"
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {5, 8}
