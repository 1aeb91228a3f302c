"""Curves over steps, with a band over replicates, and survival curves of times. For the reader; never judged."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from markupsafe import Markup

from . import words
from .figures import Axis, axis, join, legend, line, picture, text, tick_labels

HEIGHT = 180.0
TOP, BOTTOM = 8.0, HEIGHT - 22
BANDED = 3
"""From so many replicates on, a line is their median with a band from the least to the largest."""
REPLICATE = re.compile(r",? (seed|prompt batch|batch|replicate) \d+$")

Series = Mapping[str, Any]
Numbers = Sequence[float | None]


def curve(content: Mapping[str, Any]) -> Markup:
    """Lines over a shared x axis, each with its own dash as well as its own colour; many replicates are one line with its band."""
    x, series = content["x"], _banded(content["x"], list(content.get("series") or [{"name": "", "y": content["y"]}]))
    across = axis(x, log=content.get("x_scale") == "log", pad=0.0)
    every = [point for one in series for key in ("y", "low", "high") for point in one.get(key, ())]
    up = axis(every, log=content.get("y_scale") == "log")
    groups = _groups(series)
    thin = " thin" if len({name for name, _ in groups}) < len(series) else ""
    lines: list[str] = []
    for one, (_, index) in zip(series, groups, strict=True):
        if one.get("low") and one.get("high"):
            lines.append(_spread(across, up, x, one, index))
        lines.append(Markup('<path class="series s{}{}" d="{}"/>').format(index % 6, thin, _path(across, up, x, one["y"])))
    named = ", ".join(dict.fromkeys(name for name, _ in groups if name))
    said = f"Curve: {content.get('title', '')}{' of ' + named if named else ''}; from {_ends(series)}."
    drawn = _frame(across, up, lines, said, str(content.get("y_label") or ""), str(content.get("x_label") or ""))
    return Markup("{}{}{}").format(drawn, _legend(series), _of_band(series))


def survival(content: Mapping[str, Any]) -> Markup:
    """Kaplan-Meier curves: a line for each arm that falls where replicates get there, a tick for those whose run ended first."""
    arms, unit = content["arms"], str(content.get("unit") or "steps")
    last = max(max([*arm["at"], *arm["censored"]]) for arm in arms)
    across, up = Axis(0.0, last or 1.0), Axis(0.0, 1.04)
    lines: list[str] = []
    for index, arm in enumerate(arms):
        at, left = [0.0, *arm["at"]], [1.0, *arm["left"]]
        corners = [(at[0], left[0])]
        for here, before, share in zip(at[1:], left, left[1:], strict=False):
            corners += [(here, before), (here, share)]
        corners.append((max([at[-1], *arm["censored"]]), left[-1]))
        xs, ys = zip(*corners, strict=True)
        lines.append(Markup('<path class="series s{}" d="{}"/>').format(index % 6, _path(across, up, xs, ys)))
        for ended in sorted(set(arm["censored"])):
            level = next(share for here, share in zip(at[::-1], left[::-1], strict=True) if here <= ended)
            place, height = 1000 * across.share(ended), 1000 * (1 - up.share(level))
            tick = Markup('<path class="series s{} censored" d="M{:.1f} {:.1f}V{:.1f}"/>')
            lines.append(tick.format(index % 6, place, height - 28, height + 28))
    said = f"Survival curves: {content.get('title', '')}; {'; '.join(_survived(arm, unit) for arm in arms)}."
    drawn = _frame(across, up, lines, said, "share not there yet", unit)
    told = (
        "A line falls where a seed gets there: the further left, the sooner. A tick is a seed that had not got there when its run "
        "ended (censored)."
    )
    return Markup('{}{}<p class="note">{}</p>').format(drawn, _legend(arms), told)


def _survived(arm: Mapping[str, Any], unit: str) -> str:
    half = next((at for at, left in zip(arm["at"], arm["left"], strict=True) if left <= 0.5), None)
    by = f", half of them by {words.number(half)} {unit}" if half is not None else ""
    return f"{arm['name']}: {arm['runs'] - len(arm['censored'])} of {arm['runs']} got there{by}"


def rulings(scale: Axis, top: float, bottom: float) -> list[tuple[float, float]]:
    """Round values of a vertical scale, each with its height between `bottom` and `top` in pixels."""
    return [(round(level, 12), bottom - scale.share(level) * (bottom - top)) for level in scale.ticks(4)]


def _told_apart(levels: Sequence[float]) -> list[str]:
    """Numbers in as few digits, from three on, as tell neighbours apart."""
    written = ([words.number(level, digits) for level in levels] for digits in (3, 4, 5, 6))
    return next((names for names in written if len(set(names)) == len(levels)), [words.number(level) for level in levels])


def _frame(across: Axis, up: Axis, lines: Sequence[str], said: str, above: str, below: str) -> Markup:
    """Lines of a plane of 1000 by 1000 between two axes; `above` and `below` say what the axes are, `said` what is to be seen."""
    inner = Markup(
        '<svg x="0" y="{:g}" width="100%" height="{:g}" viewBox="0 0 1000 1000" preserveAspectRatio="none" '
        'overflow="visible">{}</svg>'
    ).format(TOP, BOTTOM - TOP, join(lines))
    levels = rulings(up, TOP, BOTTOM)
    grid = [line("0%", "100%", y, y, "grid") for _, y in levels]
    figure = picture([*grid, tick_labels(across, HEIGHT - 6, BOTTOM, BOTTOM + 4), inner], HEIGHT, said, "plot curve-plot")
    named = _told_apart([level for level, _ in levels])
    left = join(text("100%", y + 4, name, anchor="end") for name, (_, y) in zip(named, levels, strict=True))
    ruler = Markup('<svg class="ruler" aria-hidden="true" width="100%" height="{:g}">{}</svg>').format(HEIGHT, left)
    return Markup('<div class="curve-grid">{}{}</div>{}').format(ruler, figure, _caption(above, below))


def _path(across: Axis, up: Axis, x: Sequence[float], values: Numbers) -> str:
    drawn, pen = [], "M"
    for at, point in zip(x, values, strict=False):
        if point is None:
            pen = "M"  # a gap in the data is a gap in the line
            continue
        drawn.append(f"{pen}{1000 * across.share(at):.1f} {(1 - up.share(point)) * 1000:.1f}")
        pen = "L"
    return "".join(drawn)


def _spread(across: Axis, up: Axis, x: Sequence[float], one: Series, index: int) -> Markup:
    there = [(at, low, high) for at, low, high in zip(x, one["low"], one["high"], strict=False)
             if low is not None and high is not None]  # fmt: skip
    outline = [(at, high) for at, _, high in there] + [(at, low) for at, low, _ in reversed(there)]
    points = " ".join(f"{1000 * across.share(a):.1f},{(1 - up.share(b)) * 1000:.1f}" for a, b in outline)
    return Markup('<polygon class="spread s{}" points="{}"/>').format(index % 6, points)


def _groups(series: Sequence[Series]) -> list[tuple[str, int]]:
    """The style of each line and its name in the legend: lines that differ only in their replicate share both."""
    bases = [REPLICATE.sub("", str(one["name"])) for one in series]
    names = list(dict.fromkeys(bases)) if len(set(bases)) < len(series) else [str(one["name"]) for one in series]
    return [(name, names.index(name)) for name in (bases if len(names) < len(series) else names)]


def _banded(x: Sequence[float], series: Sequence[Series]) -> list[Series]:
    """The series, with `BANDED` or more replicates of a line made one: their median, least and largest at each x."""
    members: dict[str, list[Series]] = {}
    for one in series:
        members.setdefault(REPLICATE.sub("", str(one["name"])), []).append(one)
    found: list[Series] = []
    for name, ones in members.items():
        if len(ones) < BANDED:
            found += ones
            continue
        rows = [[*one["y"], *[None] * (len(x) - len(one["y"]))] for one in ones]
        filled = [_filled(row) for row in rows]
        recorded = [any(point is not None for point in points) for points in zip(*rows, strict=True)]
        columns = [
            [point for point in points if point is not None] if there else []
            for there, points in zip(recorded, zip(*filled, strict=True), strict=True)
        ]
        unit = next((match[1] for one in ones if (match := REPLICATE.search(str(one["name"])))), "replicate")
        ended = any(row[-1] is None and any(point is not None for point in row) for row in rows)
        found.append(
            {
                "name": name,
                "y": [median(points) if points else None for points in columns],
                "low": [min(points, default=None) for points in columns],
                "high": [max(points, default=None) for points in columns],
                "of": words.count(len(ones), unit),
                "ended": ended,
            }
        )
    return found


def _filled(values: Numbers) -> list[float | None]:
    """Values of one replicate at every x of all: between its own records on a straight line, after the last as it was."""
    known = [at for at, value in enumerate(values) if value is not None]
    found = list(values)
    for at, after in itertools.pairwise(known):
        for between in range(at + 1, after):
            share = (between - at) / (after - at)
            found[between] = (1 - share) * float(values[at] or 0.0) + share * float(values[after] or 0.0)
    for later in range(known[-1] + 1, len(values)) if known else ():
        found[later] = values[known[-1]]
    return found


def _ends(series: Sequence[Series]) -> str:
    said = []
    for one in series[:6]:
        known = [point for point in one["y"] if point is not None]
        if known:
            said.append(f"{words.number(known[0])} to {words.number(known[-1])}")
    return ", ".join(said) or "no value"


def _caption(above: str, below: str) -> Markup:
    if not above and not below:
        return Markup("")
    above = "no unit" if above == "1" else above
    told = f"{above} against {below}" if above and below else above or below
    return Markup('<p class="axis-unit">{}</p>').format(told)


def _legend(series: Sequence[Series]) -> Markup:
    groups = dict(_groups(series))
    if len(series) < 2 and not series[0]["name"]:
        return Markup("")
    each = f", each of {len(series) // len(groups)}" if len(groups) < len(series) else ""
    return legend((index, f"{name or 'replicates'}{each}") for name, index in groups.items())


def _of_band(series: Sequence[Series]) -> Markup:
    """What a line and its band are, where replicates were put together."""
    found = next((str(one["of"]) for one in series if one.get("of")), None)
    if found is None:
        return Markup("")
    held = " Beyond its last record a run counts with its last value." if any(one.get("ended") for one in series) else ""
    return Markup('<p class="note">Line: median of {}; band: from the least to the largest.{}</p>').format(found, held)
