"""History: every judged result, small, once, with the day it was first seen; one folder a finding, so no index is needed.

A result can be judged again at any time, so unlike a measurement it is not waited for on the disk. A loss of power may
leave an empty file of it, which counts as none.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import StoreError
from .store import Store, key_of, write_whole

#: What is kept of a result. Two results that agree in all of these but the date are one.
KEPT = (
    *("item", "finding", "claim", "subject", "subject_kind", "subject_digest", "verdict", "reason", "n"),
    *("effects", "sound", "profile", "code_digest"),
)


class History:
    """Judged results in a store, by finding."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.folder = store.folder / "judged"

    def keep(self, result: Mapping[str, Any]) -> None:
        """Keep a result, unless one that says the same is there already.

        Raises:
            StoreError: when it cannot be written.
        """
        told = {name: result[name] for name in KEPT} | {"control": result["control"] and result["control"]["name"]}
        folder, name = _folder(result["finding"]), f"{key_of(told)[:32]}.json"
        if _holds_something(os.path.join(self.folder, folder, name)):  # joining Paths would take as long as all the rest
            return
        path = self.folder / folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps({**told, "date": result["measured_at"]}, allow_nan=False), wait=False)
        except OSError as error:
            raise self.store.unwritable(error) from None

    def of(self, finding: str) -> Iterator[dict[str, Any]]:
        """Results of a finding, oldest first.

        Raises:
            StoreError: a file that is damaged.
        """
        found = []
        for path in (self.folder / _folder(finding)).glob("[!.]*.json"):
            if not _holds_something(path):
                continue
            try:
                found.append(dict(json.loads(path.read_text(encoding="utf-8"))))
            except (OSError, ValueError, TypeError):
                raise StoreError(f"{path} is damaged: delete that file") from None
        yield from sorted(found, key=lambda one: (one["date"], one["item"]))


def _holds_something(path: str | Path) -> bool:
    try:
        return os.stat(path).st_size > 0
    except OSError:
        return False


def _folder(finding: str) -> str:
    return hashlib.sha256(finding.encode()).hexdigest()[:24]
