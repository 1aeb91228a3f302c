"""The command `store`: list, verify and clean what is measured."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from ..errors import UsageError

Add = Callable[..., argparse.ArgumentParser]


def add_to(add: Add) -> None:
    """Add the command to the parser."""
    found = add("store", "list, verify or clean the store of measurements", _store)
    found.add_argument("what", choices=("ls", "verify", "clean"), help="ls: entries by finding; verify: checksums; clean: remove")
    found.add_argument("--store", metavar="PATH", help="where measurements are kept (default: as for a run)")
    found.add_argument("--older", type=float, metavar="DAYS", help="clean: also remove measurements older than this")


def _store(asked: argparse.Namespace) -> int:
    from tabulate import tabulate

    from . import tidy
    from .options import checked
    from .store import Store

    if asked.older is not None and (asked.what != "clean" or not asked.older >= 0):
        raise UsageError("--older DAYS goes with `claimbench store clean` and is 0 or more")
    folder = checked(store=asked.store).store
    if not (folder / "store.json").is_file():
        raise UsageError(f"{folder} is no store: give its folder with --store")
    store = Store(folder)
    if asked.what == "ls":
        rows: list[dict[str, Any]] = tidy.listing(store)
        print(tabulate([list(row.values()) for row in rows], headers=["finding", "entries", "bytes"], tablefmt="simple"))
        return 0
    if asked.what == "verify":
        lines = tidy.damaged(store)
        print("\n".join([*lines, f"{len(lines)} damaged of {sum(1 for _ in tidy.entries(store))} entries"]))
        return 1 if lines else 0
    print("removed: " + ", ".join(f"{count} {name}" for name, count in tidy.clean(store, asked.older).items()))
    return 0
