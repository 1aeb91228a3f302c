"""Keeping, beside the claims: costs per replicate, verdicts of controls, and the measured error rates of each claim."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..claim import Claim
from ..errors import ClaimbenchError, DeclarationError
from ..paper import card_beside
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
    places = {*claim.on.names, *(c.on or "" for c in claim.controls), *(c.base for c in claim.controls)}
    names = sorted(places & known.keys())
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
    """The committed calibration of a claim as the report shows it, with what changed since; None where there is none.

    Kinds of rate without a direct row of its own are followed by those that the paper's card borrows.
    """
    entry = rates_kept(claim)
    if entry is None:
        return None
    now = belongs_to(claim, code)
    changed = [name for name, digest in now.items() if entry["digests"].get(name) != digest]
    return {"date": entry["date"], "rows": [*entry["rows"], *_borrowed(claim, entry["rows"])], "stale": changed}


def rates_kept(claim: Claim) -> dict[str, Any] | None:
    """Date, digests and rows as committed; None where a claim was never calibrated."""
    found: dict[str, Any] | None = committed.read(committed.folder_of(claim), committed.CALIBRATION).get(claim.name, {}).get(RATES)
    return found


def rates_of_all(folder: Path) -> dict[str, dict[str, Any]]:
    """What is committed of every calibrated claim in or below a folder, by file's folder and name; imports no claim."""
    return {
        f"{path.parent.name}/{name}": entry[RATES]
        for path in sorted(folder.rglob(committed.CALIBRATION))
        for name, entry in committed.read(path.parent, committed.CALIBRATION).items()
        if RATES in entry
    }


def _borrowed(claim: Claim, own: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Direct rates of other claims, as the card names them with a reason; they are shown and meet no bound.

    Only where the verdicts come about alike: as many judged effects, in regions of the same kinds.
    """
    card = card_beside(Path(claim.file))
    finding = next((one for one in card.findings if one.id == claim.finding), None) if card else None
    if finding is None or not finding.borrows:
        return []
    from .collecting import claims_in, load_module

    others = {one.name: one for file in committed.folder_of(claim).glob("test_*.py") for one in claims_in(load_module(file))}
    direct = {row["what"] for row in own if row["tier"] in ("direct", "exact")}
    rows: list[dict[str, Any]] = []
    for name, why in finding.borrows.items():
        if name not in others or _kinds(others[name]) != _kinds(claim):
            raise DeclarationError(
                f"the card of {claim.finding} borrows the calibration of {name!r}, which is no claim beside it with as many "
                f"effects in regions of the same kinds; it has {', '.join(n for n in others if _kinds(others[n]) == _kinds(claim))}"
            )
        lent = rates_kept(others[name])
        old = [key for key, digest in belongs_to(others[name]).items() if lent and lent["digests"].get(key) != digest]
        note = f"from {name}: {why}" + (f" (STALE: {', '.join(old)})" if old else "")
        rows += [
            {**row, "tier": "borrowed", "meets": False, "note": note}
            for row in (lent["rows"] if lent else ())
            if row["tier"] == "direct" and row["what"] not in direct
        ]
    return rows


def _kinds(claim: Claim) -> list[tuple[str, str, int]]:
    """What decides how a verdict comes about: of each region what is judged, its scale and its number of edges."""
    return sorted((region.of, region.scale, len(region.edges)) for region in claim.holds.values())


def keep_rates(claim: Claim, rows: Sequence[Mapping[str, Any]], date: str) -> None:
    """Commit the rates of a claim beside the verdicts of its controls, with the digests that they belong to."""
    folder = committed.folder_of(claim)
    content = {name: dict(entry) for name, entry in committed.read(folder, committed.CALIBRATION).items()}
    entry = {"date": date, "digests": belongs_to(claim), "rows": list(rows)}
    content.setdefault(claim.name, {})[RATES] = entry
    committed.write(folder, committed.CALIBRATION, content)
