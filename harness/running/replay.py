"""Replay: one replicate of a result measured again, and what differs from the stored one."""

from __future__ import annotations

import math
import shlex
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .collecting import claims_in_results, load_all_organisms
from .item import Item, Subject, items_of, model_subject
from .measure import PURITY, Replicate
from .options import checked
from .session import Session

#: What a receipt must repeat exactly, and what it must repeat within the tolerance of a rerun.
_EXACT, _NEAR = ("fired", "wired", "neutral", "count"), ("moved_activation", "moved_logits")


@dataclass(frozen=True)
class Replay:
    """A replicate, stored and measured again. rows: (what, stored, now, same)."""

    item: str
    index: int
    rows: tuple[tuple[str, str, str, bool | None], ...]

    @property
    def same(self) -> bool:
        """Whether effects and receipts agree; versions and digests only explain a difference."""
        return all(row[3] is not False for row in self.rows)


def find(document: Mapping[str, Any], name: str) -> tuple[Mapping[str, Any], int]:
    """The result and the index that `RESULT#REPLICATE` names: a result by item id, or by finding where it has but one.

    Raises:
        UsageError: no such result or replicate, with those there are.
    """
    called, mark, number = name.rpartition("#")
    if not mark or not number.isdigit():
        raise UsageError(f"{name!r} names no replicate: write RESULT#REPLICATE, e.g. 'load-bearing/top-heads-beat-random#0'")
    results = document["results"]
    found = [r for r in results if called == r["item"]] or [
        r for r in results if r["control"] is None and called in (r["finding"], r["claim"], r["claim"].rpartition("::")[2])
    ]
    if len(found) != 1:
        near = [r["item"] for r in found or results]
        said = "names several results" if found else "names no result"
        raise UsageError(f"{called!r} {said}: choose one of {'; '.join(near[:8])}{' ...' if len(near) > 8 else ''}")
    indices = [r["index"] for r in found[0]["replicates"]]
    if int(number) not in indices:
        raise UsageError(f"{called!r} has no replicate {number}: it has {', '.join(map(str, indices)) or 'none'}")
    return found[0], int(number)


def replay(document: Mapping[str, Any], name: str, store: str | None, root: Path) -> Replay:
    """Measure a replicate again, into a store of its own, and compare.

    Args:
        document: a results document.
        name: `RESULT#REPLICATE`.
        store: where the run's measurements are, for receipts; those of the result itself are sums over replicates.
        root: the folder that ids are relative to.
    """
    result, index = find(document, name)
    asked = _asked(result)
    options: dict[str, Any] = {"profile": result["profile"], "seed": document["seed"], **asked}
    item = _item(result, root, asked.pop("model", None))
    options.pop("model", None)
    before = Session(checked(store=store, **options)).measurer.replicate(item, index, measure=False)
    with tempfile.TemporaryDirectory() as folder:
        session = Session(checked(store=folder, **options))
        now = session.measurer.replicate(item, index)
        code, subject = session.measurer.keys.code([item.claim.function]), session.digest_of(item, [now] if now else [])
    assert now is not None
    stored = next(r["effects"] for r in result["replicates"] if r["index"] == index)
    rows = [*_effects(stored, now), *_receipts(before, now)]
    rows.append(("code digest", str(result["code_digest"])[:12], code[:12], None))
    if not item.subject.seeded:
        rows.append(("subject digest", str(result["subject_digest"])[:12], str(subject)[:12], None))
    for library, told in document["versions"].items():
        rows.append((library, str(told), _version(library), None))
    return Replay(result["item"], index, tuple(rows))


def _asked(result: Mapping[str, Any]) -> dict[str, str]:
    """Options that the result's own line to run it again states."""
    words = shlex.split(result["rerun"])
    known = {"--dtype": "dtype", "--device": "device", "--model": "model"}
    return {known[word]: words[place + 1] for place, word in enumerate(words[:-1]) if word in known}


def _item(result: Mapping[str, Any], root: Path, model: str | None) -> Item:
    load_all_organisms([], root)
    claims = claims_in_results([result], root)
    claim = claims.get(result["claim"])
    if claim is None:
        raise UsageError(f"{result['claim']} is not here: run from the folder that the result was made in")
    models = [Subject(result["subject"], "model", model_subject(model).path)] if model else []
    for item in items_of(claim, result["claim"], models=models, with_controls=True):
        if item.id == result["item"]:
            return item
    raise UsageError(f"{result['item']} is no item of its claim any more: the subjects or controls changed since")


def _effects(stored: Mapping[str, Any], now: Replicate) -> Iterable[tuple[str, str, str, bool | None]]:
    body = now.parts.get("effect:", {})
    found: Mapping[str, Any] = body.get("effects", {})
    for name in [*stored, *(name for name in found if name not in stored)]:
        one, other = stored.get(name), found.get(name)
        yield name, _ends(one), _ends(other), one is not None and other is not None and all(map(_near, one, other))
    if problem := (now.fatal or {}).get("problem"):
        yield "problem", "none" if stored else "not stored", f"{problem['verdict']}: {problem['reason']}", not stored


def _receipts(before: Replicate | None, now: Replicate) -> Iterable[tuple[str, str, str, bool | None]]:
    if before is None:
        yield "receipts", "not in the store (other code, versions or store)", "", None
        return
    for part, body in now.parts.items():
        old = {r["intervention"]: r for r in before.parts.get(part, {}).get("receipts", [])}
        new = {r["intervention"]: r for r in body.get("receipts", [])}
        same = old.keys() == new.keys() and all(_same_receipt(old[name], new[name]) for name in old)
        if old or new:
            yield f"receipts of {part.rstrip(':')}", f"{len(old)} interventions", f"{len(new)} interventions", same


def _same_receipt(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one[name] == other[name] for name in _EXACT) and all(_near(one[name], other[name]) for name in _NEAR)


def _near(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=PURITY, abs_tol=PURITY)


def _ends(ends: Any) -> str:
    if ends is None:
        return "none"
    low, high = ("open" if end is None else f"{end:.9g}" for end in ends)
    return low if low == high else f"{low} to {high}"


def _version(name: str) -> str:
    import platform

    try:
        return platform.python_version() if name == "python" else version(name)
    except PackageNotFoundError:
        return "unknown"
