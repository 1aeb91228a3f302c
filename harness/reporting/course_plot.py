"""A course drawn: each judged effect over the steps of a series with its interval and region, above the verdicts."""

from __future__ import annotations

from markupsafe import Markup

from . import words
from .course import Course, step_of
from .curves import rulings
from .figures import Axis, axis, dot, join, line, picture, text

TOP, BOTTOM = 8.0, 108.0
"""Pixels between which effects are drawn; steps stand side by side at equal distances."""


def panels(course: Course) -> Markup:
    """A small plot for each effect that was measured at one step at least; nothing where none was."""
    names = dict.fromkeys(effect["name"] for result in course.results for effect in result["effects"])
    return join(_panel(course, name, len(names) > 1) for name in names)


def _panel(course: Course, name: str, named: bool) -> Markup:
    found = [next((e for e in result["effects"] if e["name"] == name), None) for result in course.results]
    there = [effect for effect in found if effect is not None and effect["estimate"] is not None]
    if not there:
        return Markup("")
    region = there[0]["region"]
    up = axis([region["low"], region["high"], *(e[end] for e in there for end in ("low", "high", "estimate"))])
    parts = [line("0%", "100%", y, y, "grid") for _, y in rulings(up, TOP, BOTTOM)]
    parts += _band(up, region["low"], region["high"])
    for position, effect in enumerate(found):
        if effect is None or effect["estimate"] is None:
            continue
        x = f"{100 * (position + 0.5) / len(found):.2f}%"
        low, high = (TOP if effect["high"] is None else _y(up, effect["high"])), effect["low"]
        parts.append(line(x, x, low, BOTTOM if high is None else _y(up, high), "course-interval"))
        parts.append(dot(x, _y(up, effect["estimate"]), "course-estimate"))
    points = zip(course.results, found, strict=True)
    said = ", ".join(f"step {step_of(r)} {words.measured(e)}" for r, e in points if e is not None and e["estimate"] is not None)
    figure = picture(parts, BOTTOM + 6, f"Effect over steps: {said}; the finding holds {region.get('text', '')}.")
    ruler = join(text("100%", y + 4, words.number(level), anchor="end") for level, y in rulings(up, TOP, BOTTOM))
    unit = words.unit_of(there[0])
    told = " ".join(part for part in (f"{name}:" if named else "", unit, f"(holds {region.get('text', '')})") if part)
    return Markup('<p class="axis-unit">{}</p><svg class="ruler" aria-hidden="true" width="100%" height="{:g}">{}</svg>{}').format(
        told, BOTTOM + 6, ruler, figure
    )


def _y(up: Axis, value: float) -> float:
    return round(BOTTOM - up.share(value) * (BOTTOM - TOP), 2)


def _band(up: Axis, low: float | None, high: float | None) -> list[Markup]:
    """The region as a shaded band across all steps, with its edges."""
    top, bottom = (TOP if high is None else _y(up, high)), (BOTTOM if low is None else _y(up, low))
    band = Markup('<rect class="band" x="0" width="100%" y="{:g}" height="{:g}"/>').format(top, bottom - top)
    return [band, *(line("0%", "100%", _y(up, edge), _y(up, edge), "edge") for edge in (low, high) if edge is not None)]
