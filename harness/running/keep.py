"""Keeping: costs per replicate and verdicts of controls, taken from a finished run and committed beside the claims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..claim import Claim
from . import committed


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
