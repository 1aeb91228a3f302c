"""What a finding came to over time: a small picture of earlier verdicts, and a table of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup
from tabulate import tabulate

from . import words
from .figures import axis, dot, glyph, line, picture, text

Point = Mapping[str, Any]

TOP, BOTTOM, ROW = 6.0, 44.0, 62.0
"""Pixels between which estimates are drawn, and where the verdicts' letters stand."""


def trend(result: Mapping[str, Any]) -> Markup:
    """Earlier verdicts as letters below their estimates and intervals, oldest first; nothing where there is only this one."""
    points: Sequence[Point] = result["history"]
    if len(points) < 2:
        return Markup("")
    first = result["effects"][0] if result["effects"] else None
    edges = [first["region"]["low"], first["region"]["high"]] if first else []
    known = [point[end] for point in points for end in ("low", "high", "estimate") if point[end] is not None]
    up = axis([*edges, *known]) if known else None
    parts: list[str] = []
    for edge in edges if up else ():
        if edge is not None:
            y = BOTTOM - up.share(edge) * (BOTTOM - TOP)  # type: ignore[union-attr]
            parts.append(line("0%", "100%", y, y, "edge"))
    for number, point in enumerate(points):
        x = f"{100 * (number + 0.5) / len(points):.2f}%"
        if up and point["estimate"] is not None:
            low, high = (BOTTOM - up.share(v) * (BOTTOM - TOP) if v is not None else None for v in (point["low"], point["high"]))
            parts.append(line(x, x, TOP if high is None else high, BOTTOM if low is None else low, "course-interval"))
            parts.append(dot(x, BOTTOM - up.share(point["estimate"]) * (BOTTOM - TOP), "course-estimate", 3))
        parts.append(text(x, ROW, words.LETTERS[point["verdict"]], kind=f"letter v-{point['verdict']}"))
        if number and point["code_digest"] != points[number - 1]["code_digest"]:
            parts.append(glyph(f"{100 * number / len(points):.2f}%", TOP, f"M0 0V{ROW - TOP:g}", "t"))
    said = "Earlier results, oldest first: " + ", ".join(f"{point['date'][:10]} {one(point, first)}" for point in points) + "."
    return picture(parts, ROW + 6, said, "plot trend")


def one(point: Point, effect: Mapping[str, Any] | None) -> str:
    """`SUPPORTED 0.93 [0.91, 0.97]`, of a point of a history."""
    measured = words.measured({**point, "unit": words.unit_of(effect) if effect else ""}) if point["estimate"] is not None else ""
    return f"{point['verdict'].replace('_', ' ')} {measured}".rstrip()


def table(entries: Sequence[Mapping[str, Any]]) -> str:
    """The history of a finding as text: a row for each result that said something new, oldest first."""
    rows = []
    last: dict[tuple[str, str, str | None], str | None] = {}
    for entry in entries:
        key = (entry["claim"], entry["subject"], entry["control"])
        changed = "code changed" if last.get(key, entry["code_digest"]) != entry["code_digest"] else ""
        last[key] = entry["code_digest"]
        on = entry["subject"] + (f"\ncontrol {entry['control']}" if entry["control"] else "")
        told = [words.measured(effect) for effect in entry["effects"]]
        verdict = f"{words.LETTERS[entry['verdict']]} {entry['verdict'].replace('_', ' ')}"
        rows.append(
            [entry["date"][:16].replace("T", " "), verdict, on, "\n".join(told), entry["n"] or "", entry["profile"], changed]
        )
    return str(tabulate(rows, ["first seen", "verdict", "on", "measured", "n", "profile", ""], "simple", disable_numparse=True))
