"""Paper cards: `paper.toml` in a paper's claims folder holds its citation and every finding of it, executable or not."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .errors import DeclarationError, UsageError

CARD = "paper.toml"


@dataclass(frozen=True)
class Finding:
    """One sentence of a paper with a direction. `reason` says why it is only registered, '' when a claim executes it.

    protocol, cost: of a registered finding, how it would be tested and what that would take.
    unnoticed: by name of a planted fault, why the verdict of its claim may survive that fault.
    borrows: by name of another claim of the paper, why its calibration says something of this finding's claims too.
    unreasonable: by alternative ("mode = resample"), why the specification curve of its claim leaves it out.
    difference: why what its claim measures is not what the paper documents.
    """

    id: str
    title: str
    statement: str
    reason: str = ""
    protocol: str = ""
    cost: str = ""
    unnoticed: Mapping[str, str] = field(default_factory=dict)
    borrows: Mapping[str, str] = field(default_factory=dict)
    unreasonable: Mapping[str, str] = field(default_factory=dict)
    difference: str = ""


@dataclass(frozen=True)
class Paper:
    """A publication and its findings."""

    slug: str
    title: str
    authors: str
    identifier: str
    year: int
    url: str
    notes: str
    findings: tuple[Finding, ...]
    folder: Path


def read_card(path: Path) -> Paper:
    """Read a paper card; raises DeclarationError naming the file and the missing or malformed entry."""
    try:
        with path.open("rb") as file:
            card = tomllib.load(file)
        slug = card["slug"]
        findings = tuple(
            Finding(
                f"{slug}/{entry['id']}",
                entry["title"],
                entry["statement"],
                reason=entry.get("reason", ""),
                protocol=entry.get("protocol", ""),
                cost=entry.get("cost", ""),
                unnoticed=dict(entry.get("unnoticed", {})),
                borrows=dict(entry.get("borrows", {})),
                unreasonable=dict(entry.get("unreasonable", {})),
                difference=entry.get("difference", ""),
            )
            for entry in card["finding"]
        )
        paper = Paper(
            slug,
            card["title"],
            card["authors"],
            card["identifier"],
            int(card["year"]),
            card.get("url", ""),
            card.get("notes", ""),
            findings,
            path.parent,
        )
    except tomllib.TOMLDecodeError as error:
        raise DeclarationError(f"{path} is no valid TOML: {error}") from None
    except KeyError as error:
        raise DeclarationError(f"{path} lacks {error.args[0]!r}: see any shipped paper.toml for the form") from None
    except (TypeError, ValueError, AttributeError):
        raise DeclarationError(
            f"{path} must have a year that is a whole number and findings as [[finding]] tables: see any shipped paper.toml"
        ) from None
    ids = [finding.id for finding in findings]
    if doubled := sorted({found for found in ids if ids.count(found) > 1}):
        raise DeclarationError(f"{path} lists the finding {doubled[0]!r} twice")
    return paper


def read_cards(folders: Iterable[Path]) -> dict[str, Paper]:
    """Every paper card in or below the folders, by slug; two cards of one slug are refused."""
    papers: dict[str, Paper] = {}
    for folder in folders:
        for path in sorted(folder.rglob(CARD)):
            paper = read_card(path)
            other = papers.get(paper.slug)
            if other is not None and other.folder.resolve() != paper.folder.resolve():
                raise DeclarationError(f"{path} and {other.folder / CARD} both describe {paper.slug!r}: rename one")
            papers[paper.slug] = paper
    return papers


def card_beside(file: Path) -> Paper | None:
    """The card of a claim file: in its folder or the one above; None where there is none."""
    for folder in (file.parent, file.parent.parent):
        if (folder / CARD).is_file():
            return read_card(folder / CARD)
    return None


def find_finding(papers: Mapping[str, Paper], finding: str) -> tuple[Paper, Finding]:
    """Look a finding up by id; raises UsageError naming the nearest ids."""
    known = {found.id: (paper, found) for paper in papers.values() for found in paper.findings}
    if finding in known:
        return known[finding]
    near = difflib.get_close_matches(finding, known, n=3, cutoff=0.3)
    raise UsageError(f"unknown finding {finding!r}: nearest are {', '.join(near) or 'none'}; see `claimbench list`")
