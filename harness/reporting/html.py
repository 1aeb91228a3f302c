"""The report: one HTML file that opens from disk and asks nothing of any network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from . import course, course_plot, forest, observations, specification, view, words
from .document import Document

TEMPLATES = Path(__file__).parent / "templates"
COMPACT = 7
"""More subjects than this make the cells of the matrix narrow."""


def safe_url(url: str | None) -> str:
    """A citation's address, if it is one that a browser may follow; a script or a file is none."""
    return url if url and url.lower().startswith(("https://", "http://")) else ""


def authors(paper: Mapping[str, Any]) -> str:
    """`Sabry & Belz`, `Singh et al.`."""
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


def _environment() -> Environment:
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
        trust_line=words.trust,
        observation=observations.observation,
        short=lambda digest: digest[:12] if digest else "none",
    )
    return made


def page(document: Document) -> str:
    """The whole report of a completed document as HTML."""
    script = (TEMPLATES / "script.js").read_text(encoding="utf-8")
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    report = view.arrange(document)
    return (
        _environment()
        .get_template("report.html")
        .render(
            document=document,
            report=report,
            style=Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),  # ours, not the document's
            script=Markup(script),
            script_hash=allowed,
            compact=len(report.subjects) > COMPACT,
        )
    )
