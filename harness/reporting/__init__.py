"""Reporting: the results document as JSON, HTML, Markdown and text. It reads results and never measures or judges."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .document import SCHEMA, Document
from .folder import clear, foreign
from .results import load_results, write_results
from .terminal import counts_line, one_line, terminal_table

__all__ = [
    "SCHEMA",
    "Document",
    "counts_line",
    "foreign",
    "load_results",
    "one_line",
    "terminal_table",
    "write_report",
    "write_results",
]


def write_report(document: Mapping[str, Any], folder: Path | str, comparison: Mapping[str, Any] | None = None) -> dict[str, Path]:
    """Write `results.json`, `report.html` and `summary.md` into `folder`; returns their paths by these names.

    With a `comparison` to a baseline, page and summary tell it and `comparison.json` has it. What an earlier report left
    in the folder is replaced whole.

    `results.json` comes first and is written even where the document departs from the schema, so that nothing that
    was measured is lost; the departure is then raised as ClaimbenchError. A folder that cannot be written: UsageError.
    """
    from . import html, markdown  # jinja2 is needed only where a page is made
    from .results import check, complete, write_text

    folder = Path(folder)
    whole = complete(document)
    paths = {"results.json": write_results(document, folder / "results.json")}
    clear(folder)
    for name, text in html.pages(whole, comparison).items():
        written = write_text(folder / name, text)
        if name == "report.html":
            paths[name] = written
    paths["summary.md"] = write_text(folder / "summary.md", markdown.summary(whole, comparison))
    if comparison is not None:
        paths["comparison.json"] = write_text(
            folder / "comparison.json", json.dumps(comparison, indent=1, ensure_ascii=False) + "\n"
        )
    check(whole)
    return paths
