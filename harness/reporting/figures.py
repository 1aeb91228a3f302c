"""Axes and marks for figures drawn as inline SVG.

Horizontal positions are percentages and vertical ones pixels, so that a figure fills whatever width it gets while its
text and strokes keep their size: readable on a phone and in print, with no script. Kinds, paths and positions are ours and
go into the markup as they are; words come from a document and are escaped.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup, escape

from . import words


@dataclass(frozen=True)
class Axis:
    """A horizontal or vertical scale from `low` to `high`, linear or logarithmic."""

    low: float
    high: float
    log: bool = False

    def share(self, value: float) -> float:
        """Where `value` lies between the ends, from 0 to 1; values outside stick to the border."""
        low, high, value = (math.log10(max(x, 1e-300)) if self.log else x for x in (self.low, self.high, value))
        return min(max((value - low) / (high - low), 0.0), 1.0) if high > low else 0.5

    def at(self, value: float) -> str:
        """The horizontal position of `value` as an SVG percentage."""
        return f"{100 * self.share(value):.1f}%"

    def ticks(self, most: int = 5) -> list[float]:
        """Round values inside the ends, at most `most` of them."""
        if self.log and self.high / self.low >= 10:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            step = max(1, math.ceil((last - first + 1) / most))
            return [10.0**power for power in range(first, last + 1, step)]
        raw = (self.high - self.low) / most
        size = 10.0 ** math.floor(math.log10(raw))
        step_size = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw * (1 - 1e-9))
        first = math.ceil(self.low / step_size - 1e-9)
        last = math.floor(self.high / step_size + 1e-9)
        return [index * step_size for index in range(first, last + 1)]


def axis(values: Iterable[float | None], *, log: bool = False, pad: float = 0.06) -> Axis:
    """An axis that holds every finite one of `values` with some room at both ends."""
    finite = [float(value) for value in values if value is not None and math.isfinite(value)]
    if log and (not finite or min(finite) <= 0):
        log = False
    if not finite:
        return Axis(-1.0, 1.0)
    low, high = min(finite), max(finite)
    if log:
        low = max(low, high * 1e-30, 1e-290)  # what is smaller sticks to the border
        high = max(high, low)
        room = max((math.log10(high) - math.log10(low)) * pad, 0.02)
        return Axis(low / 10**room, high * 10**room, True)
    # a point, or values so near to one that rounding would close the axis, get room of their own
    narrow = high - low <= 1e-9 * max(abs(low), abs(high))
    room = abs(high) * 0.1 or 1.0 if narrow else (high - low) * pad
    return Axis(low - room, high + room)


def join(parts: Iterable[str]) -> Markup:
    """Markup of parts that are markup themselves; plain strings among them are escaped."""
    return Markup("".join(part if isinstance(part, Markup) else escape(part) for part in parts))


def legend(names: Iterable[tuple[int, str]]) -> Markup:
    """A list of lines: the style of each, and what it is."""
    sample = Markup('<li><svg width="28" height="8" aria-hidden="true"><path class="series s{}" d="M0 4H28"/></svg> {}</li>')
    return Markup('<ul class="legend">{}</ul>').format(join(sample.format(style % 6, name) for style, name in names))


def scrolled(title: str, drawn: Markup) -> Markup:
    """What may be wider than the page, in a frame that scrolls, by hand or by keys."""
    return Markup('<div class="scroll" tabindex="0" role="group" aria-label="{}">{}</div>').format(title, drawn)


def line(x1: str, x2: str, y1: float, y2: float, kind: str) -> Markup:
    return Markup(f'<line class="{kind}" x1="{x1}" x2="{x2}" y1="{y1:g}" y2="{y2:g}"/>')


def text(x: str, y: float, content: str, *, anchor: str = "middle", kind: str = "tick") -> Markup:
    return Markup(f'<text class="{kind}" x="{x}" y="{y:g}" text-anchor="{anchor}">{escape(content)}</text>')


def dot(x: str, y: float, kind: str, radius: float = 4) -> Markup:
    return Markup(f'<circle class="{kind}" cx="{x}" cy="{y:g}" r="{radius:g}"/>')


def glyph(x: str, y: float, path: str, kind: str) -> Markup:
    """A path drawn around the point (x, y): SVG paths know no percentages, a nested picture does."""
    return Markup(f'<svg x="{x}" y="{y:g}" overflow="visible"><path class="{kind}" d="{path}"/></svg>')


def block(scale: Axis, low: float | None, high: float | None, y: float, height: float, kind: str, round_: float = 0) -> Markup:
    """A rectangle from `low` to `high`; an end that is None reaches the border."""
    left = 0.0 if low is None else 100 * scale.share(low)
    right = 100.0 if high is None else 100 * scale.share(high)
    width = max(right - left, 0.01)
    return Markup(f'<rect class="{kind}" x="{left:.2f}%" width="{width:.2f}%" y="{y:g}" height="{height:g}" rx="{round_:g}"/>')


def whisker(scale: Axis, low: float | None, high: float | None, y: float, kind: str) -> Markup:
    """A line from `low` to `high` with a bar at each closed end and an arrow head at each open one."""
    left = "0%" if low is None else scale.at(low)
    right = "100%" if high is None else scale.at(high)
    ends = [line(left, right, y, y, kind)]
    ends.append(glyph(left, y, "M6 -4 0 0 6 4", kind) if low is None else line(left, left, y - 4, y + 4, kind))
    ends.append(glyph(right, y, "M-6 -4 0 0 -6 4", kind) if high is None else line(right, right, y - 4, y + 4, kind))
    return join(ends)


def picture(parts: Iterable[str], height: float, label: str, kind: str = "plot") -> Markup:
    """An SVG that fills its width, `height` pixels high; `label` is what it says to who cannot see it."""
    return Markup('<svg class="{}" role="img" aria-label="{}" width="100%" height="{:g}">{}</svg>').format(
        kind, label, height, join(parts)
    )


def tick_labels(scale: Axis, y: float, top: float, bottom: float) -> Markup:
    """Grid lines with their values below, kept inside the picture at both ends."""
    parts: list[str] = []
    for value in scale.ticks():
        share = scale.share(value)
        anchor = "start" if share < 0.015 else "end" if share > 0.985 else "middle"
        kind = "grid zero" if abs(value) < 1e-12 else "grid"
        parts += [line(scale.at(value), scale.at(value), top, bottom, kind)]
        parts += [text(scale.at(value), y, words.number(round(value, 12)), anchor=anchor)]
    return join(parts)
