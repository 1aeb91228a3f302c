"""One finding in words: statement, claims, regions, controls and committed verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..claim import Claim
from ..paper import find_finding, read_cards
from ..region import Region
from ..reporting import words
from . import committed
from .collecting import claims_root, load_all_organisms, load_claims
from .keep import calibration_of
from .trust import AUDIT, ROBUST, kept


def show(finding: str) -> str:
    """The text of `claimbench show`; UsageError names the nearest ids of an unknown finding."""
    papers = read_cards([claims_root()])
    paper, found = find_finding(papers, finding)
    lines = [
        f"{found.id}: {found.title}",
        f"  {found.statement}",
        f"  {paper.authors} ({paper.year}). {paper.title}. {paper.identifier}",
    ]
    if found.reason:
        facts = [f"{name}: {text}" for name, text in (("protocol", found.protocol), ("cost", found.cost)) if text]
        return "\n".join([*lines, *(f"  {text}" for text in (found.reason, *facts))])
    load_all_organisms([], Path.cwd())
    for identity, claim in load_claims([paper.folder], claims_root().parent).items():
        if claim.finding == finding:
            lines += _claim_lines(identity, claim)
    return "\n".join(lines)


def _counted(row: Mapping[str, Any]) -> str:
    """How a rate was measured, and whether its bound is met where that counts."""
    counted = row["tier"] in ("direct", "exact")
    return f"{row['tier']}, bound {words.met(row)}" if counted else str(row["tier"])


def _clipped(region: Region, bound: float) -> str:
    """At which half-width the effects of prompt batches are clipped before they are averaged."""
    return f"clipped at ±{bound:g}{'' if region.scale == 'linear' else f' on the {region.scale} scale'}"


def _claim_lines(identity: str, claim: Claim) -> list[str]:
    lines = ["", identity, f"  estimates: {claim.statement}", f"  protocol: {claim.protocol}"]
    lines += [f"  holds: {name} {region}" for name, region in claim.holds.items()]
    if claim.on.model:
        lines += [f"  on one given model: {name} {_clipped(claim.holds[name], bound)}" for name, bound in claim.bounds.items()]
    lines += [f"  why: {claim.why}", f"  documented: {claim.documented.text}"]
    lines += [f"  needs: {requirement.need}" for requirement in claim.requires]
    lines += [f"  {control.kind} control: {control.name} -> {control.expected}" for control in claim.controls]
    lines += [f"  variant: {v.name}{' (binding)' if v.binding else ''}" for v in claim.variants]
    lines.append(f"  subjects: {', '.join(claim.on.names) or 'its arms'}{', any causal language model' if claim.on.model else ''}")
    if (lock := committed.lock_of(claim)) is not None:
        lines.append(f"  locked: {lock['date']} ({lock['hash']}){', after a measurement' if lock['measured_before'] else ''}")
        lines += [f"  amended: {change['date']}, {change['reason']}" for change in committed.amendments_of(claim)]
    if (rates := calibration_of(claim)) is None:
        lines.append("  calibration: none")
    else:
        lines.append(f"  calibration: {words.calibration(rates)}")
        lines += [f"    {words.RATES[r['what']]}, {r['of']} on {r['on']}: {words.rate(r)} ({_counted(r)})" for r in rates["rows"]]
    for name in (AUDIT, ROBUST):
        if (entry := kept(claim, name)) is not None:
            lines.append(f"  {'audit' if name == AUDIT else 'specification curve'}: {words.trust(entry)}")
    for subject, entry in committed.read(committed.folder_of(claim), committed.EXPECTED).get(claim.name, {}).items():
        lines += [f"  expected on {subject}, {p}: {e['verdict']} ({e['reason']})" for p, e in entry.items()]
    return lines
