"""The command `compare`: words, output and exit codes. What it does lies beside this."""

from __future__ import annotations

import argparse
import difflib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from ..errors import UsageError
from .changes import KINDS

Add = Callable[..., argparse.ArgumentParser]

EXIT_CODES = (
    "Exit codes: 0 nothing that --fail-on names, 1 something, 4 a mistake in the command or a file that is no results.json."
)


def add_to(add: Add) -> None:
    """Add the command to the parser."""
    found = add(
        "compare",
        "compare two results.json: regressions, repairs, and how far effects moved",
        _compare,
        examples=(
            ("claimbench compare old/results.json report", "two runs"),
            ("claimbench compare report report --match step-3000=step-3400", "two steps of one run"),
        ),
        ending=EXIT_CODES,
    )
    found.add_argument("before", type=Path, metavar="BEFORE", help="a results.json, or the folder of a report: the baseline")
    found.add_argument("after", type=Path, metavar="AFTER", help="the results that are compared with it")
    found.add_argument(
        "--match", action="append", default=[], metavar="OLD=NEW",
        help="let subject NEW take the place of the baseline's subject OLD; repeatable",
    )  # fmt: skip
    found.add_argument(
        "--fail-on", default="regression", metavar="LIST",
        help=f"changes for which the exit code is 1: a list of {', '.join(KINDS)}, or never (default: regression)",
    )  # fmt: skip
    form = found.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="as JSON")
    form.add_argument("--markdown", action="store_true", help="as Markdown, for a pull request")


def _compare(asked: argparse.Namespace) -> int:
    from ..reporting import load_results
    from .compare import compare, parse_match
    from .text import markdown, table

    fail_on = _fail_on(asked.fail_on)
    match = parse_match(asked.match)
    before, after = load_results(asked.before), load_results(asked.after)
    found = compare(before, after, match)
    if asked.json:
        print(json.dumps(found, indent=1))
    else:
        print(markdown(found) if asked.markdown else table(found, shutil.get_terminal_size().columns))
    return 1 if any(found["counts"].get(kind) for kind in fail_on) else 0


def _fail_on(text: str) -> frozenset[str]:
    names = frozenset(part.strip() for part in text.split(",") if part.strip())
    for name in sorted(names - {"never"}):
        if name not in KINDS:
            near = difflib.get_close_matches(name, KINDS, n=1)
            raise UsageError(
                f"--fail-on {name!r} is unknown: use a list of {', '.join(KINDS)}, or never"
                + (f"; did you mean {near[0]!r}?" if near else "")
            )
    if "never" in names and len(names) > 1:
        raise UsageError("--fail-on never stands alone: leave the other words out")
    return names - {"never"}
