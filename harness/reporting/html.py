"""The report: one HTML file that opens from disk and asks nothing of any network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from . import course, course_plot, forest, specification, trend, view, words
from .cards import cards_of, pack
from .document import Document

TEMPLATES = Path(__file__).parent / "templates"
COMPACT, DENSE = 7, 12
"""More subjects than these make the cells of the matrix narrow, and one letter each."""
PACKED = 1_500_000
"""Characters of cards beyond which they are packed: compressed in the page, and unpacked when one is opened."""


def safe_url(url: str | None) -> str:
    """A citation's address, if it is one that a browser may follow; a script or a file is none."""
    return url if url and url.lower().startswith(("https://", "http://")) else ""


def authors(paper: Mapping[str, Any]) -> str:
    """`Sabry & Belz`, `Singh et al.`"""
    named = paper.get("authors") or ""
    if isinstance(named, str):
        return named
    return " & ".join(named) if len(named) < 3 else f"{named[0]} et al."


def cited(paper: Mapping[str, Any]) -> str:
    """The authors as a citation has them: a list of more than two names is its first and others."""
    names = authors(paper)
    return f"{names.split(',')[0]} et al." if names.count(",") > 1 else names


def when(moment: str | None) -> str:
    """An ISO moment without its T and fractions."""
    return (moment or "not recorded").replace("T", " ").split(".")[0].replace("+00:00", "").removesuffix("Z")


def documented_value(result: Mapping[str, Any], effect: Mapping[str, Any]) -> float | None:
    """The paper's number where it can be drawn on this effect's scale: same unit, first effect that has it."""
    documented = result["documented"]
    if not documented or documented["value"] is None:
        return None
    fitting = [e["name"] for e in result["effects"] if e["unit"] == documented["unit"]]
    return float(documented["value"]) if fitting[:1] == [effect["name"]] else None


def figure_of(claim: view.ClaimView, result: Mapping[str, Any], effect: Mapping[str, Any]) -> dict[str, Any]:
    """The forest plot of an effect on a scale of its own, and the scale that its controls and variants share."""
    documented = documented_value(result, effect)
    controls = [claim.control_result(control["name"], str(result["subject"])) for control in result["controls"]]
    scale = forest.shared_axis([result, *(c for c in controls if c is not None)], effect, documented)
    own = forest.shared_axis([{**result, "variants": []}], effect, documented)
    drawn = forest.forest(effect, result, own, documented) if result["replicates"] or effect["estimate"] else Markup("")
    return {"plot": drawn, "scale": scale}


@cache
def environment() -> Environment:
    """Templates with all that they call."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(number=words.number, duration=words.duration, memory=words.memory, when=when, url=safe_url)
    made.globals.update(
        words=words,
        authors=authors,
        cited=cited,
        figure_of=figure_of,
        strip=forest.strip,
        courses=course.courses,
        course_panels=course_plot.panels,
        curves=specification.curves,
        trend=trend.trend,
        trust_line=words.trust,
    )
    return made


def shell() -> dict[str, Any]:
    """What the head of every page needs: its style, its script, and the hash by which the page allows that script alone."""
    script = _own("script.js")
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return {"style": Markup(_own("style.css")), "script": Markup(script), "script_hash": allowed}


@cache
def _own(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def page(document: Document, comparison: Mapping[str, Any] | None = None) -> str:
    """The whole report of a completed document as HTML; observations too large for it are left to `pages`."""
    return pages(document, comparison)["report.html"]


def pages(document: Document, comparison: Mapping[str, Any] | None = None) -> dict[str, str]:
    """The report by file name: `report.html`, and beside it pages of observations that are too large for it."""
    report = view.arrange(document)
    cards, beside = cards_of(report, environment(), lambda title, sections: part(document, title, sections))
    whole = (
        environment()
        .get_template("report.html")
        .render(
            document=document,
            report=report,
            cards={card.claim.anchor: card for card in cards},
            packed=sum(card.size for card in cards) > PACKED,
            compact=len(report.subjects) > COMPACT,
            dense=len(report.subjects) > DENSE,
            comparison=comparison,
            on_its_own=False,
            compared=_compared(report, comparison),
            **shell(),
        )
    )
    return {"report.html": whole, **beside}


def part(document: Document, title: str, sections: Sequence[tuple[str, str, Markup]]) -> str:
    """A page of observations: sections, each an id, a title and figures. A large one is packed."""
    drawn = environment().get_template("part_sections.html").render(sections=sections)
    packed = pack([drawn]) if len(drawn) > PACKED // 10 else ""
    return (
        environment()
        .get_template("part.html")
        .render(document=document, title=title, drawn=Markup(drawn), packed=packed, **shell())
    )


def _compared(report: view.Report, comparison: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if comparison is None:
        return None
    from ..comparing import counts_line, rows

    claims = {claim.claim: claim for claim in report.claims}
    listed = []
    for row in rows(comparison):
        claim = claims.get(row["claim"])
        result = claim.on(row["now"]) if claim and not row["control"] else None
        link = claim.link(result) if claim and result else claim.anchor if claim else "matrix"
        listed.append({**row, "link": link})
    return {"counts": counts_line(comparison), "rows": listed}
