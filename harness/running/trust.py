"""What is committed about a claim's trustworthiness: its audit, its specification curve, and the amendments of its lock."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..claim import Claim
from . import committed
from .code_digest import code_digest
from .item import items_of
from .options import checked

AUDIT, ROBUST = "audit.json", "robust.json"


def digests(claim: Claim, code: str | None = None) -> dict[str, str]:
    """What committed numbers of a claim belong to: its code and its protocol."""
    return {"code": code or code_digest([claim.function]), "protocol": committed.protocol_hash(claim)}


def kept(claim: Claim, name: str, code: str | None = None) -> dict[str, Any] | None:
    """The committed entry of a claim in `audit.json` or `robust.json`, with `stale`: whether the claim changed since."""
    entry = committed.read(committed.folder_of(claim), name).get(claim.name)
    return None if entry is None else {**entry, "stale": entry.get("digests") != digests(claim, code)}


def keep(claim: Claim, name: str, entry: Mapping[str, Any]) -> None:
    """Commit an entry beside the claim; its digests are those of the code that measured it."""
    folder = committed.folder_of(claim)
    committed.write(folder, name, {**committed.read(folder, name), claim.name: dict(entry)})


def in_store(claim: Claim, claim_id: str, store: Path) -> bool:
    """Whether a store holds the effect of a first replicate of the claim, as its code is now, on a subject of its own."""
    if not (store / "store.json").is_file():
        return False
    from .measure import Part
    from .session import Session

    measurer = Session(checked(store=store)).measurer
    own = [item for item in items_of(claim, claim_id) if item.control is None and item.subject.kind != "model"]
    return any(measurer.store.path(measurer.keys.of(item, Part("effect"), 0)).is_file() for item in own)


def trust_of(claim: Claim, code: str) -> dict[str, Any]:
    """What the report shows beside a result of the claim."""
    return {
        "audit": kept(claim, AUDIT, code),
        "robust": kept(claim, ROBUST, code),
        "amendments": committed.amendments_of(claim),
    }
