"""What is committed beside a paper's claims: expected verdicts, the lock, costs and the calibration of controls."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DeclarationError
from ..verdict import Verdict
from .code_digest import author_digest
from .store import write_whole

if TYPE_CHECKING:
    from ..claim import Claim
    from .item import Item

EXPECTED, LOCK, COSTS, CALIBRATION = "expected.json", "lock.json", "costs.json", "calibration.json"


def folder_of(claim: Claim) -> Path:
    """The folder of a claim's file, where what is committed lies."""
    return _folder(claim.file)


@cache
def _folder(file: str) -> Path:
    return Path(file).parent


@cache
def _read(path: str, stamp: int) -> dict[str, Any]:
    try:
        found = json.loads(Path(path).read_text())
    except ValueError as error:
        raise DeclarationError(f"{path} is no valid JSON: {error}") from None
    if not isinstance(found, dict):
        raise DeclarationError(f"{path} must hold a JSON object by claim name")
    return found


def read(folder: Path, name: str) -> Mapping[str, Any]:
    """A committed file of a folder; empty when there is none."""
    path = f"{folder}{os.sep}{name}"
    try:
        stamp = os.stat(path).st_mtime_ns
    except OSError:
        return {}
    return _read(path, stamp)


def write(folder: Path, name: str, content: Mapping[str, Any]) -> Path:
    """Write a committed file, sorted, so that its diffs are readable; a kill leaves the old one or the new one."""
    path = folder / name
    write_whole(path, json.dumps(content, indent=1, sort_keys=True) + "\n", mode=0o644)
    return path


def expected(item: Item, profile: str) -> dict[str, str] | None:
    """The committed verdict of a claim itself on a subject under a profile, with its reason; None where there is none."""
    folder = folder_of(item.claim)
    try:
        entry = read(folder, EXPECTED).get(item.claim.name, {}).get(item.subject.name, {})
        found = entry.get(profile) or entry.get("any")
        return {"verdict": Verdict(found["verdict"]).value, "reason": str(found["reason"])} if found else None
    except (AttributeError, KeyError, TypeError, ValueError):
        raise DeclarationError(
            f"{folder / EXPECTED}: the entry of {item.claim.name} on {item.subject.name} must read "
            f'{{"{profile}": {{"verdict": one of {", ".join(Verdict)}, "reason": "..."}}}}'
        ) from None


def protocol_hash(claim: Claim) -> str:
    """Hash of what is fixed in advance: finding, estimand and protocol in words, regions, bounds, preconditions, controls."""
    return _hash({name: value for part in fixed(claim).values() for name, value in part.items()})


def fixed(claim: Claim) -> dict[str, dict[str, Any]]:
    """What the lock covers, as its three parts: region, protocol, schedule of looks."""
    return {
        "region": {
            "holds": {name: region.to_json() for name, region in claim.holds.items()},
            "bounds": dict(claim.bounds),
        },
        "protocol": {
            "finding": claim.finding,
            "statement": claim.statement,
            "protocol": claim.protocol,
            "requires": [requirement.fixed for requirement in claim.requires],
            "controls": [[control.kind, control.name] for control in claim.controls],
            "variants": [[variant.name, variant.binding] for variant in claim.variants],
            "subjects": list(claim.on.names),
        },
        "schedule": {"looks": [6, 11], "most": claim.most},
    }


#: What is put on record beside the three: by name, how the report says that it changed.
ON_RECORD = {"steps": "the code of its steps is another", "arms": "the recipes of its arms are others"}


def on_record(claim: Claim) -> dict[str, str]:
    """Hashes of what is put on record beside region, protocol and schedule: the code of steps, and of arms their recipes."""
    return {"steps": steps_hash(claim), **({"arms": _arms_hash(claim)} if claim.arms else {})}


def _arms_hash(claim: Claim) -> str:
    """Hash of the values of the recipes that the claim and its controls train by."""
    controls = [(c.name, {name: c.overrides[name] for name in claim.arms if name in c.overrides}) for c in claim.controls]
    return _hash([_digests(claim.arms), *([name, _digests(replaced)] for name, replaced in controls if replaced)])


def _digests(recipes: Mapping[str, Any]) -> dict[str, str]:
    return {name: recipe.digest() for name, recipe in recipes.items()}


def steps_hash(claim: Claim) -> str:
    """Hash of the code that the claim's author wrote for it: its function, steps, preconditions, and those of controls."""
    replaced = [value for control in claim.controls for value in control.overrides.values() if hasattr(value, "function")]
    return _author_digest(claim.function, *(requirement.step for requirement in claim.requires), *replaced)


@cache
def _author_digest(*functions: Any) -> str:
    return author_digest(functions)[:16]


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def amendments_of(claim: Claim) -> list[dict[str, Any]]:
    """Every change of a locked claim, oldest first: date, reason, whether it had been measured, what changed where known."""
    return [dict(amendment) for amendment in read(folder_of(claim), LOCK).get(claim.name, {}).get("amendments", [])]


def was_measured(claim: Claim) -> bool:
    """Whether costs or verdicts of its controls are committed, which come from measuring it."""
    return any(claim.name in read(folder_of(claim), name) for name in (COSTS, CALIBRATION))


def lock_of(claim: Claim) -> dict[str, Any] | None:
    """The lock of a claim as the report shows it; None when it was never locked."""
    entry = read(folder_of(claim), LOCK).get(claim.name)
    if entry is None:
        return None
    current = protocol_hash(claim)
    amendments = entry.get("amendments", [])
    amended: str | bool | None = amendments[-1]["reason"] if amendments else False
    if current != entry["hash"]:
        amended = "changed since it was locked; run `claimbench lock` with a reason"
    elif changed := others_than_recorded(claim):
        since = entry.get("steps_date", entry["date"])
        amended = f"{ON_RECORD[changed[0]]} than on {since}; run `claimbench lock` with a reason"
    return {
        "hash": entry["hash"],
        "date": entry["date"],
        "amended": amended,
        "measured_before": bool(entry["measured_before"]),
    }


def others_than_recorded(claim: Claim) -> list[str]:
    """What of `on_record` changed since it was put there; locks from before that was done have none."""
    before = read(folder_of(claim), LOCK).get(claim.name, {}).get("parts", {})
    return [name for name, now in on_record(claim).items() if before.get(name, now) != now]


def lock(claim: Claim, *, measured_before: bool, reason: str = "") -> bool:
    """Lock a claim as it stands today; True when something changed. A change of a locked claim needs a reason.

    Besides region, protocol and schedule the code of its steps and the recipes of its arms are put on record, of older locks
    when they are next met.

    Args:
        measured_before: whether a measurement existed; committed costs or control verdicts say so by themselves.
    """
    content = dict(read(folder_of(claim), LOCK))
    current, today = protocol_hash(claim), date.today().isoformat()
    parts = {**{name: _hash(part) for name, part in fixed(claim).items()}, **on_record(claim)}
    measured = measured_before or was_measured(claim)
    entry = content.get(claim.name)
    if entry is not None and entry["hash"] == current and not others_than_recorded(claim):
        if parts.keys() - entry.get("parts", {}).keys():
            write(folder_of(claim), LOCK, {**content, claim.name: {**entry, "parts": parts, "steps_date": today}})
        return False
    if entry is None:
        content[claim.name] = {"hash": current, "parts": parts, "date": today, "measured_before": measured, "amendments": []}
    else:
        if not reason:
            raise DeclarationError(f"{claim.name} changed since it was locked on {entry['date']}: say why with --reason")
        amendment = {"date": today, "from": entry["hash"], "reason": reason, "measured_before": measured}
        if before := entry.get("parts"):
            amendment["changed"] = [name for name in parts if parts[name] != before.get(name, parts[name])]
        amendments = [*entry.get("amendments", []), amendment]
        content[claim.name] = {**entry, "hash": current, "parts": parts, "steps_date": today, "amendments": amendments}
    write(folder_of(claim), LOCK, content)
    return True
