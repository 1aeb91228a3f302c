"""Audits of several claims, in this process or in several: one task is one claim."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import as_completed
from functools import partial
from pathlib import Path
from typing import Any

from ..claim import Claim
from ..errors import ClaimbenchError, DeclarationError
from ..paper import Finding, card_beside
from . import workers
from .audit import audit
from .audit_faults import FAULTS
from .options import Options
from .progress import Bar
from .session import Session


def finding_of(claim: Claim) -> Finding | None:
    """The entry of a claim's finding in its paper's card."""
    card = card_beside(Path(claim.file))
    return next((finding for finding in card.findings if finding.id == claim.finding), None) if card else None


def excuses_of(claim: Claim) -> Mapping[str, str]:
    """What the paper's card says of faults that this finding's claim cannot notice; unknown fault names are refused."""
    finding = finding_of(claim)
    excuses: Mapping[str, str] = finding.unnoticed if finding else {}
    known = {fault.name for fault in FAULTS}
    if unknown := sorted(excuses.keys() - known):
        raise DeclarationError(
            f"the card of {claim.finding} excuses an unknown fault {unknown[0]!r}: use {', '.join(sorted(known))}"
        )
    return excuses


Done = Callable[[str, dict[str, Any]], None]


def audit_all(
    claims: Mapping[str, Claim], options: Options, *, jobs: int, root: Path, done: Done = lambda *_: None
) -> dict[str, dict[str, Any]]:
    """Audits by claim id, in the order of the claims; a bar on stderr shows how far they are.

    Args:
        done: called with id and audit as each claim is finished, so that an interruption loses nothing.
    """
    found: dict[str, dict[str, Any]] = {}
    with Bar(unit="claim") as bar:
        several = jobs > 1 and len(claims) > 1
        for identity, entry in _in_processes(claims, options, jobs, root) if several else _here(claims, options, bar):
            found[identity] = entry
            done(identity, entry)
            bar.show(len(found), len(claims), identity.rpartition(":")[2])
    return {identity: found[identity] for identity in claims}


def _here(claims: Mapping[str, Claim], options: Options, bar: Bar) -> Iterator[tuple[str, dict[str, Any]]]:
    session = Session(options)
    for number, (identity, claim) in enumerate(claims.items()):
        yield identity, audit(claim, identity, session, excuses_of(claim), partial(bar.show, number, len(claims)))


def _in_processes(claims: Mapping[str, Claim], options: Options, jobs: int, root: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with workers.processes(jobs, workers.start, options, [], root) as pool:
        running = {pool.submit(_one, claim.file, claim.name, identity): identity for identity, claim in claims.items()}
        for future in as_completed(running):
            entry = future.result()
            if isinstance(entry, str):
                raise ClaimbenchError(entry)
            yield running[future], entry


def _one(file: str, name: str, identity: str) -> dict[str, Any] | str:
    from .collecting import claims_in, load_module

    try:
        claim = next(c for c in claims_in(load_module(Path(file))) if c.name == name)
        return audit(claim, identity, workers.session(), excuses_of(claim))
    except ClaimbenchError as error:
        return str(error)
