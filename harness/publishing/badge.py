"""A badge: verdicts counted, as a local SVG that asks nothing of any network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from ..reporting import view

#: Dark enough for white letters (contrast at least 4.5), and told apart by every kind of colour vision by their words too.
COLOURS = {
    "SUPPORTED": "#00705a",
    "REFUTED": "#b84300",
    "INCONCLUSIVE": "#7a5c00",
    "INVALID": "#8a2379",
    "NOT_APPLICABLE": "#59616b",
    "ERROR": "#1b1f24",
    "UNSOUND": "#8f1d1d",
}
HEIGHT = 20
WIDE, NARROW = "mwMW%@", "fijlrtI.,:;'|!()[] "


def badge(document: Mapping[str, Any], label: str = "") -> str:
    """The badge of a completed document: how many verdicts of each kind, and how many claims are unsound.

    Args:
        label: what stands at the left; by default the finding where there is one only, else "claims".
    """
    report = view.arrange(document)
    findings = {claim.finding for claim in report.claims}
    label = label or (next(iter(findings)) if len(findings) == 1 else "claims")
    unsound = report.soundness["unsound"]
    parts = [(_words(verdict, n, len(report.results)), COLOURS[verdict]) for verdict, n in report.counts.items()]
    parts += [(f"{unsound} unsound", COLOURS["UNSOUND"])] if unsound else []
    return _draw([(label, "#33383e"), *parts])


def _words(verdict: str, n: int, total: int) -> str:
    said = verdict.lower().replace("_", " ")
    return said if n == total == 1 else f"{n} {said}"


def _draw(parts: list[tuple[str, str]]) -> str:
    widths = [_width(text) for text, _ in parts]
    whole = sum(widths)
    said = f"{parts[0][0]}: {', '.join(text for text, _ in parts[1:])}"
    x, drawn = 0, []
    for (text, colour), width in zip(parts, widths, strict=True):
        drawn.append(Markup('<rect x="{}" width="{}" height="{}" fill="{}"/>').format(x, width, HEIGHT, colour))
        drawn.append(Markup('<text x="{:g}" y="14" textLength="{}">{}</text>').format(x + width / 2, width - 12, text))
        x += width
    return str(
        Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1}" role="img" aria-label="{2}"><title>{2}</title>'
            '<clipPath id="r"><rect width="{0}" height="{1}" rx="3"/></clipPath><g clip-path="url(#r)" fill="#fff" '
            'text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">{3}</g></svg>\n'
        ).format(whole, HEIGHT, said, Markup("").join(drawn))
    )


def _width(text: str) -> int:
    """Pixels that a text takes with its margins; the drawn text is fitted to it."""
    return 12 + math.ceil(sum(10 if letter in WIDE else 4.4 if letter in NARROW else 6.8 for letter in text))
