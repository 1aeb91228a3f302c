"""Reporting: the results document as JSON, HTML, Markdown and text. It reads results and never measures or judges."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .document import SCHEMA, Document
from .results import load_results, write_results
from .terminal import counts_line, one_line, terminal_table

__all__ = [
    "SCHEMA",
    "Document",
    "counts_line",
    "load_results",
    "one_line",
    "terminal_table",
    "write_report",
    "write_results",
]


def write_report(document: Mapping[str, Any], folder: Path | str) -> dict[str, Path]:
    """Write `results.json`, `report.html` and `summary.md` into `folder`; returns their paths by these names.

    `results.json` comes first and is written even where the document departs from the schema, so that nothing that
    was measured is lost; the departure is then raised as ClaimbenchError. A folder that cannot be written: UsageError.
    """
    from . import html, markdown  # jinja2 is needed only where a page is made
    from .results import check, complete, write_text

    folder = Path(folder)
    whole = complete(document)
    paths = {"results.json": write_results(document, folder / "results.json")}
    paths["report.html"] = write_text(folder / "report.html", html.page(whole))
    paths["summary.md"] = write_text(folder / "summary.md", markdown.summary(whole))
    check(whole)
    return paths
