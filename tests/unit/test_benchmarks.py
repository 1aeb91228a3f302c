"""The committed benchmark rows: each says what was measured, against what, and where; the page shows the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOUND = json.loads((ROOT / "benchmarks" / "results.json").read_text())


@pytest.mark.parametrize("row", FOUND["rows"], ids=lambda row: f"{row['name']}, {row['against']}")
def test_a_row_is_whole(row: dict[str, object]) -> None:
    assert {"name", "ratio", "low", "high", "against", "unit", "machine", "reach", "group"} <= set(row)
    low, ratio, high = (row[name] for name in ("low", "ratio", "high"))
    assert isinstance(low, float | int) and isinstance(ratio, float | int) and isinstance(high, float | int)
    assert 0 <= low <= ratio <= high


def test_the_page_shows_the_rows() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    table = page.partition("<!-- begin results -->")[2].partition("<!-- end results -->")[0]
    shown = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| ")][2:]
    assert shown == [row["name"] for row in FOUND["rows"]]


def test_sweeps_give_the_numbers_of_plain_hooks() -> None:
    differences = [row["largest_difference"] for row in FOUND["rows"] if "largest_difference" in row]
    assert differences and max(differences) <= 1e-5
