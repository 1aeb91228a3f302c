"""The folder of a report: what of it is ours, and what an earlier report left there."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

PARTS = "observations"
"""Folder, beside the page, of observations that are too large for it."""

#: By name, what the beginning of a file that we wrote has in it.
_OURS = {
    "results.json": "claimbench-results/",
    "report.html": "claimbench",
    "summary.md": "## claimbench",
    "comparison.json": "claimbench-comparison/",
}
_PART = re.compile(r"[0-9a-f]{16}\.html")


def foreign(folder: Path) -> str:
    """The name of a file in the folder that a report would replace and that another program wrote; "" where there is none."""
    for name, sign in _OURS.items():
        try:
            with (folder / name).open("rb") as file:
                beginning = file.read(2000)
        except OSError:
            continue
        if beginning.strip() and sign.encode() not in beginning:
            return name
    return ""


def clear(folder: Path) -> None:
    """Take away what an earlier report left beside the files that are written anew."""
    (folder / "comparison.json").unlink(missing_ok=True)
    for part in (folder / PARTS).glob("*.html"):
        if _PART.fullmatch(part.name):
            part.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # absent, or it holds what is not ours
        (folder / PARTS).rmdir()
