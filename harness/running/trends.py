"""Earlier results of the store beside those of a run, and the command `history`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .history import History

MOST = 12
"""Points of a trend, the latest."""

Add = Callable[..., argparse.ArgumentParser]


def attach_history(results: Sequence[dict[str, Any]], history: History) -> None:
    """Give every result of a claim the latest results that the store holds of it on the same subject, oldest first."""
    by_finding: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        if result["control"] is None:
            by_finding.setdefault(result["finding"], []).append(result)
    for finding, listed in by_finding.items():
        found: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for entry in history.of(finding):
            if entry["control"] is None:
                found.setdefault((entry["claim"], entry["subject"]), []).append(_point(entry))
        for result in listed:
            result["history"] = found.get((result["claim"], result["subject"]), [])[-MOST:]


def _point(entry: dict[str, Any]) -> dict[str, Any]:
    effect = entry["effects"][0] if entry["effects"] else {}
    return {
        **{name: entry[name] for name in ("date", "verdict", "n", "profile", "code_digest")},
        **{name: effect.get(name) for name in ("estimate", "low", "high")},
    }


def add_to(add: Add) -> None:
    """Add the command to the parser."""
    found = add(
        "history",
        "what a finding came to over time, by the results that the store keeps",
        _history,
        examples=(("claimbench history load-bearing/top-heads-beat-random", "every result that said something new"),),
    )
    found.add_argument("finding", metavar="FINDING", help="as `claimbench list` shows it")
    found.add_argument("--subject", metavar="NAME", help="on this subject only")
    found.add_argument("--controls", action="store_true", help="also results of controls")
    found.add_argument("--json", action="store_true", help="as a JSON array")
    found.add_argument("--store", metavar="PATH", help="where results are kept (default: as for a run)")


def _history(asked: argparse.Namespace) -> int:
    from ..reporting.trend import table
    from .options import checked
    from .store import Store

    folder = checked(store=asked.store).store
    if not (folder / "store.json").is_file():
        raise UsageError(f"{folder} is no store: give its folder with --store")
    entries = [
        entry
        for entry in History(Store(folder)).of(asked.finding)
        if (asked.controls or entry["control"] is None) and asked.subject in (None, entry["subject"])
    ]
    if not entries:
        _check(asked.finding)
        raise UsageError(f"{folder} holds no result of {asked.finding}{f' on {asked.subject}' if asked.subject else ''} yet")
    print(json.dumps(entries, indent=1) if asked.json else table(entries))
    return 0


def _check(finding: str) -> None:
    """Raise UsageError, with the nearest, for a finding that no card has."""
    from ..paper import find_finding, read_cards
    from .collecting import claims_root

    here = Path("claims")
    find_finding(read_cards([claims_root(), *([here] if here.is_dir() else [])]), finding)
