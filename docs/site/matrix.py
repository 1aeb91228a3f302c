"""The matrix of docs/real-run.md, claims by models: `python docs/site/matrix.py step-3000/results.json models/results.json ...`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tables import ROOT, put
from tabulate import tabulate

LETTERS = {"SUPPORTED": "**S**", "REFUTED": "R", "INCONCLUSIVE": "I", "NOT_APPLICABLE": "N", "INVALID": "invalid", "ERROR": "error"}


def matrix(results: list[dict[str, Any]]) -> str:
    """A row for each claim that some series was asked, a column for each subject in the order of the results."""
    own = [result for result in results if result["control"] is None]
    asked = {result["claim"] for result in own if result["series"]}
    subjects = list(dict.fromkeys(map(column, own)))
    rows: dict[str, dict[str, str]] = {}
    for result in sorted(own, key=lambda result: (result["finding"], result["claim"])):
        if result["claim"] in asked:
            name = result["claim"].rpartition("::")[2].replace("_", " ")
            cells = rows.setdefault(f"{result['finding']}: {name}", {})
            cells[column(result)] = LETTERS[result["verdict"]] + (" unsound" if result["sound"] is False else "")
    table = [[name, *(cells.get(subject, "–") for subject in subjects)] for name, cells in rows.items()]
    return tabulate(table, headers=["claim", *subjects], tablefmt="pipe")


def column(result: dict[str, Any]) -> str:
    """Series and step, or the model's name."""
    series = result["series"]
    return f"{series['name'].removeprefix('language-')} {series['step']}" if series else str(result["subject"])


def main(arguments: list[str]) -> int:
    """Write the matrix into the page."""
    results = [result for name in arguments for result in json.loads(Path(name).read_text())["results"]]
    put(ROOT / "docs" / "real-run.md", "matrix", matrix(results))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
