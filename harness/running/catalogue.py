"""The catalogue: every finding of every shipped paper and what executes it, generated so that listing imports no claim."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..claim import Claim
from ..errors import UsageError
from ..paper import Paper

NAME = "catalogue.json"


def build(papers: Mapping[str, Paper], claims: Mapping[str, Claim]) -> list[dict[str, Any]]:
    """One entry for each finding: status, why it is only registered, the claims that execute it, subjects, evidence."""
    entries = []
    for paper in papers.values():
        for finding in paper.findings:
            found = {identity: claim for identity, claim in claims.items() if claim.finding == finding.id}
            subjects = sorted({name for claim in found.values() for name in claim.on.names})
            levels = {level for claim in found.values() for level in _levels(claim)}
            entries.append(
                {
                    "finding": finding.id,
                    "paper": paper.slug,
                    "title": finding.title,
                    "status": "executable" if found else "registered",
                    "reason": "" if found else finding.reason,
                    "claims": sorted(found),
                    "subjects": subjects + (["any causal language model"] if any(c.on.model for c in found.values()) else []),
                    "evidence": ", ".join(sorted(levels)) if levels else None,
                }
            )
    return entries


def _levels(claim: Claim) -> set[str]:
    """Evidence levels of the verdicts on a claim's own subjects."""
    from ..subjects.family import family
    from .subjects import WITHOUT_NETWORK

    if claim.evidence:
        return {claim.evidence}
    if claim.on.organisms:
        return {family(name).evidence for name in claim.on.organisms}
    return {WITHOUT_NETWORK["simulation" if claim.on.simulation else "recipe"]}


def read(folder: Path) -> list[dict[str, Any]]:
    """The generated catalogue of a claims folder."""
    path = folder / NAME
    try:
        entries: list[dict[str, Any]] = json.loads(path.read_text())
    except FileNotFoundError:
        raise UsageError(f"{path} is missing: run `claimbench catalogue` to generate it") from None
    except ValueError:
        raise UsageError(f"{path} is corrupt: run `claimbench catalogue` to generate it again") from None
    return entries


def write(folder: Path, entries: Sequence[Mapping[str, Any]]) -> Path:
    """Write the catalogue of a claims folder."""
    path = folder / NAME
    path.write_text(json.dumps(list(entries), indent=1) + "\n")
    return path
