"""Looking through a store and cleaning it: what it holds by finding, damaged entries, what dead processes left behind."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock

from ..errors import StoreError
from .store import Store

#: A file written aside that is older than this, in seconds, belongs to a process that died.
DEAD = 600.0


def entries(store: Store) -> Iterator[tuple[str, Path]]:
    """(key, path) of every entry, in the order of keys."""
    for path in sorted((store.folder / "entries").glob("*/[!.]*.json")):
        yield path.stem, path


def listing(store: Store) -> list[dict[str, Any]]:
    """Entries, replicates' parts and bytes by finding; entries of earlier versions do not tell theirs."""
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for _, path in entries(store):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            finding = str(json.loads(path.read_bytes()).get("about", {}).get("finding", "(not told)"))
            counts[finding] += 1
            sizes[finding] += path.stat().st_size
    return [{"finding": name, "entries": counts[name], "bytes": sizes[name]} for name in sorted(counts)]


def damaged(store: Store) -> list[str]:
    """One line for each entry that cannot be read or whose checksum is wrong."""
    found = []
    for key, _ in entries(store):
        try:
            store.get(key)
        except StoreError as error:
            found.append(str(error))
    return found


def clean(store: Store, older_than: float | None = None) -> dict[str, int]:
    """Remove what dead processes left, and measurements older than so many days; how many of each.

    Locks that a living process holds stay. A removed measurement is taken again when it is next asked for.
    """
    now = time.time()
    removed = {"files written aside": 0, "locks": 0, "measurements": 0}
    for path in store.folder.glob("**/.*"):
        if path.is_file() and now - path.stat().st_mtime > DEAD:
            path.unlink(missing_ok=True)
            removed["files written aside"] += 1
    for path in (store.folder / "locks").glob("*.lock"):
        lock = filelock.FileLock(path)
        with contextlib.suppress(filelock.Timeout), lock.acquire(timeout=0):
            path.with_suffix(".holder").unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            removed["locks"] += 1
    if older_than is not None:
        for _, path in entries(store):
            if now - path.stat().st_mtime > older_than * 86400:
                path.unlink(missing_ok=True)
                removed["measurements"] += 1
    return removed
