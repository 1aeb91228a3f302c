"""What is committed about a claim's trustworthiness: its audit, its specification curve, and the amendments of its lock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..claim import Claim
from . import committed
from .code_digest import code_digest

AUDIT, ROBUST = "audit.json", "robust.json"


def digests(claim: Claim, code: str | None = None) -> dict[str, str]:
    """What committed numbers of a claim belong to: its code and its protocol."""
    return {"code": code or code_digest([claim.function]), "protocol": committed.protocol_hash(claim)}


def kept(claim: Claim, name: str, code: str | None = None) -> dict[str, Any] | None:
    """The committed entry of a claim in `audit.json` or `robust.json`, with `stale`: whether the claim changed since."""
    entry = committed.read(committed.folder_of(claim), name).get(claim.name)
    return None if entry is None else {**entry, "stale": entry.get("digests") != digests(claim, code)}


def keep(claim: Claim, name: str, entry: Mapping[str, Any]) -> None:
    """Commit an entry beside the claim, with the digests that it belongs to."""
    folder = committed.folder_of(claim)
    committed.write(folder, name, {**committed.read(folder, name), claim.name: {**entry, "digests": digests(claim)}})


def trust_of(claim: Claim, code: str) -> dict[str, Any]:
    """What the report shows beside a result of the claim."""
    return {
        "audit": kept(claim, AUDIT, code),
        "robust": kept(claim, ROBUST, code),
        "amendments": committed.amendments_of(claim),
    }
