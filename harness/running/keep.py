"""Keeping, beside the claims: costs per replicate, verdicts of controls, and the measured error rates of each claim."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..claim import Claim
from ..errors import ClaimbenchError
from . import committed
from .code_digest import code_digest
from .store import key_of
from .trust import digests

#: Where the rates of a claim stand in `calibration.json`, beside the verdicts of its controls.
RATES = "rates"


def record(results: Sequence[Mapping[str, Any]], claims: Mapping[str, Claim]) -> list[Path]:
    """Write `costs.json` and `calibration.json` of every claim in the results; the paths written."""
    written: list[Path] = []
    for folder in sorted({committed.folder_of(claim) for claim in claims.values()}):
        mine = {identity: claim for identity, claim in claims.items() if committed.folder_of(claim) == folder}
        here = [result for result in results if result["claim"] in mine]
        written.append(committed.write(folder, committed.COSTS, _costs(folder, here, mine)))
        written.append(committed.write(folder, committed.CALIBRATION, _controls(folder, here, mine)))
    return written


def _costs(folder: Path, results: Iterable[Mapping[str, Any]], claims: Mapping[str, Claim]) -> dict[str, Any]:
    content = {name: dict(entry) for name, entry in committed.read(folder, committed.COSTS).items()}
    for result in results:
        count = len(result["replicates"])
        if not count:
            continue
        label = str(result["item"]).partition("[")[2][:-1]
        content.setdefault(claims[result["claim"]].name, {})[label] = {
            "seconds": round(result["seconds"] / count, 3),
            "forward_passes": round(result["forward_passes"] / count, 1),
            "peak_memory_mb": result["peak_memory_mb"],
        }
    return content


def _controls(folder: Path, results: Iterable[Mapping[str, Any]], claims: Mapping[str, Claim]) -> dict[str, Any]:
    content = {name: dict(entry) for name, entry in committed.read(folder, committed.CALIBRATION).items()}
    for result in results:
        control = result["control"]
        if control is None or (result["subject_kind"] == "model" and control["ok"] is None):
            continue
        content.setdefault(claims[result["claim"]].name, {})[control["name"]] = {
            "verdict": result["verdict"],
            "n": result["n"],
            "profile": result["profile"],
            "code_digest": result["code_digest"],
        }
    return content


def belongs_to(claim: Claim, code: str | None = None) -> dict[str, str]:
    """The digests that a calibration belongs to: code, protocol, what controls put in its place, and their subjects."""
    from ..subjects.family import families

    known = families()
    replaced = [value for c in claim.controls for value in c.overrides.values() if hasattr(value, "function")]
    names = sorted({name for name in (*claim.on.names, *(c.on for c in claim.controls if c.on)) if name in known})
    return {
        **digests(claim, code),
        "controls": code_digest(replaced),
        "subjects": key_of({name: _content(known[name]) for name in names}),
    }


def _content(family: Any) -> str:
    try:
        return str(family.digest(0))
    except ClaimbenchError:
        return "unknown"


def calibration_of(claim: Claim, code: str | None = None) -> dict[str, Any] | None:
    """The committed calibration of a claim as the report shows it, with what changed since; None where there is none."""
    entry = committed.read(committed.folder_of(claim), committed.CALIBRATION).get(claim.name, {}).get(RATES)
    if entry is None:
        return None
    now = belongs_to(claim, code)
    changed = [name for name, digest in now.items() if entry["digests"].get(name) != digest]
    return {"date": entry["date"], "rows": entry["rows"], "stale": changed}


def keep_rates(claim: Claim, rows: Sequence[Mapping[str, Any]], date: str) -> None:
    """Commit the rates of a claim beside the verdicts of its controls, with the digests that they belong to."""
    folder = committed.folder_of(claim)
    content = {name: dict(entry) for name, entry in committed.read(folder, committed.CALIBRATION).items()}
    entry = {"date": date, "digests": belongs_to(claim), "rows": list(rows)}
    content.setdefault(claim.name, {})[RATES] = entry
    committed.write(folder, committed.CALIBRATION, content)
