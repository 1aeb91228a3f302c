"""Forest plots: every replicate, the interval of the typical effect, and the region in which the finding holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from . import words
from .figures import Axis, axis, block, dot, glyph, line, picture, text, tick_labels, whisker

ROW = 20
TOP = 22
DIAMOND = "M-6 0 0 -6 6 0 0 6Z"
SMALL = "M-4 0 0 -4 4 0 0 4Z"
MANY = 24
"""More replicates than this share one band of dots instead of a row each."""

Effect = Mapping[str, Any]
Replicates = Sequence[Mapping[str, Any]]


def states(result: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], str]]:
    """Each replicate with its part in the verdict: `used`, `failed` (a precondition) or `surplus` (after the stop)."""
    told, passed = [], 0
    for replicate in sorted(result["replicates"], key=lambda replicate: replicate["index"]):
        if not replicate.get("passed", True):
            told.append((replicate, "failed"))
        else:
            passed += 1
            told.append((replicate, "used" if passed <= result["n"] else "surplus"))
    return told


def _value(replicate: Mapping[str, Any], name: str) -> tuple[float | None, float | None] | None:
    pair = replicate["effects"].get(name)
    return (pair[0], pair[1]) if pair else None


def shared_axis(results: Sequence[Mapping[str, Any]], effect: Effect, documented: float | None = None) -> Axis:
    """One scale for an effect over a claim's result, its controls and variants, so that they can be compared by eye."""
    name, region = effect["name"], effect["region"]
    values: list[float | None] = [region["low"], region["high"], documented]
    for result in results:
        for replicate in result["replicates"]:
            values += _value(replicate, name) or ()
        same = [e for e in result["effects"] if e["name"] == name]
        same += [e for variant in result["variants"] for e in variant["effects"] if e["name"] == name]
        for e in same:
            values += [e["estimate"], e["low"], e["high"]]
    if region.get("of") == "rate":
        return Axis(-0.04, 1.04)
    scale = axis(values, log=region.get("scale") == "log")
    if not scale.log and (region["low"] is None) != (region["high"] is None):
        # an open region needs room to be seen as one
        edge = region["low"] if region["high"] is None else region["high"]
        room = 0.12 * (scale.high - scale.low)
        scale = Axis(min(scale.low, edge - room), max(scale.high, edge + room))
    return scale


def _backdrop(effect: Effect, scale: Axis, bottom: float, top: float = TOP - 4, label: bool = True) -> list[str]:
    """The region as a shaded band with its edges named above."""
    region = effect["region"]
    low, high = region["low"], region["high"]
    parts: list[str] = [block(scale, low, high, top, bottom - top, "band")]
    for edge in (low, high):
        if edge is not None:
            parts.append(line(scale.at(edge), scale.at(edge), top, bottom, "edge"))
    if label and (low is not None or high is not None):
        said = "holds " + str(region.get("text") or words.interval(low, high))
        if low is not None and high is not None:
            middle = (scale.share(low) + scale.share(high)) / 2
            anchor = "start" if middle < 0.35 else "end" if middle > 0.65 else "middle"
        else:  # the words stand inside the region where there is room for them
            middle = scale.share(low if high is None else high)
            inward, room = ("start", 1 - middle) if high is None else ("end", middle)
            anchor = inward if room > 0.35 else {"start": "end", "end": "start"}[inward]
        parts.append(text(f"{100 * middle:.2f}%", TOP - 10, said, anchor=anchor, kind="edge-label"))
    return parts


def describe(effect: Effect, result: Mapping[str, Any]) -> str:
    """What the plot shows, in a sentence: its text for who cannot see it."""
    used = [replicate for replicate, state in states(result) if state == "used"]
    held = "open" if effect["low"] is None and effect["high"] is None else words.interval(effect["low"], effect["high"])
    said = f"Forest plot of {words.count(len(used), str(result['replicate_unit']))}"
    return (
        f"{said}: typical effect {words.number(effect['estimate'])}, {100 * effect['level']:g} % interval {held}, "
        f"unit {effect['unit']}; the finding holds {effect['region'].get('text', '')}."
    )


def _mark(pair: tuple[float | None, float | None], scale: Axis, y: float, kind: str) -> Markup:
    low, high = pair
    if low is not None and low == high:
        return dot(scale.at(low), y, f"replicate {kind}")
    return whisker(scale, low, high, y, f"range {kind}")


def _summary(effect: Effect, scale: Axis, y: float, size: float = 8, diamond: str = DIAMOND) -> list[str]:
    if effect["low"] is None and effect["high"] is None and effect["estimate"] is None:
        return []
    parts: list[str] = []
    if effect["low"] is not None or effect["high"] is not None:
        parts.append(block(scale, effect["low"], effect["high"], y - size / 2, size, "interval", 2))
        for end, x, path in (("low", "0%", "M0 -7 -9 0 0 7Z"), ("high", "100%", "M0 -7 9 0 0 7Z")):
            if effect[end] is None:
                parts.append(glyph(x, y, path, "open"))
    if effect["estimate"] is not None:
        parts.append(glyph(scale.at(effect["estimate"]), y, diamond, "estimate"))
    return parts


def _pair_text(pair: tuple[float | None, float | None] | None, effect: Effect) -> str:
    if pair is None:
        return "–"
    if effect["region"].get("of") == "rate" and pair[0] == pair[1] and pair[0] in (0, 1):
        return "yes" if pair[0] else "no"
    return words.interval(*pair)


def _noun(result: Mapping[str, Any]) -> str:
    """The replicate's unit in one word: `seed`, `batch`."""
    return str(result["replicate_unit"]).rpartition(" ")[2]


def _label(replicate: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    seed = replicate.get("seed")
    return f"seed {seed}" if seed is not None else f"{_noun(result)} {replicate['index']}"


def _left_out(result: Mapping[str, Any]) -> Markup:
    """What hollow marks are: replicates that are shown and do not judge."""
    named: dict[str, list[str]] = {"failed": [], "surplus": []}
    for replicate, state in states(result):
        if state != "used":
            named[state].append(_label(replicate, result))
    said = []
    if named["failed"]:
        said.append(f"{', '.join(named['failed'])} failed a precondition")
    if named["surplus"]:
        said.append(f"{', '.join(named['surplus'])} came after the decision")
    return Markup('<p class="note">Hollow, not judged: {}.</p>').format("; ".join(said)) if said else Markup("")


def forest(effect: Effect, result: Mapping[str, Any], scale: Axis, documented: float | None = None) -> Markup:
    """The plot with a column of names before it and one of numbers after it."""
    told = [(r, state, _value(r, effect["name"])) for r, state in states(result)]
    parts: list[str] = []
    names: list[tuple[str, str, str]] = []  # label, number, kind
    y = TOP + ROW / 2
    if len(told) > MANY:
        high = 3 * ROW
        for index, (_, state, pair) in enumerate(told):
            if pair is not None:
                parts.append(_mark(pair, scale, TOP + 6 + (index * 0.618034 % 1) * (high - 12), f"{state} many"))
        names.append((words.count(len(told), _noun(result)), "", "tall"))
        y += high
    else:
        for replicate, state, pair in told:
            if pair is not None:
                parts.append(_mark(pair, scale, y, state))
            names.append((_label(replicate, result), _pair_text(pair, effect), state))
            y += ROW
    parts.append(line("0%", "100%", y - ROW / 2 + 3, y - ROW / 2 + 3, "rule"))
    y += 8
    parts += _summary(effect, scale, y)
    held = words.interval(effect["low"], effect["high"]) if effect["low"] != effect["high"] or effect["low"] else ""
    shown = words.number(effect["estimate"]) if effect["estimate"] is not None else held or "no interval yet"
    names.append(("typical" if effect["region"].get("of") != "rate" else "rate", shown, "judged"))
    if effect["t_low"] is not None and effect["t_high"] is not None:
        y += ROW
        parts.append(whisker(scale, effect["t_low"], effect["t_high"], y, "t"))
        names.append(("mean (t)", "not judged", "t"))
    if documented is not None:
        y += ROW
        parts.append(glyph(scale.at(documented), y, DIAMOND, "documented"))
        names.append(("the paper", words.number(documented), "paper"))
    bottom = y + ROW / 2 + 2
    parts = [tick_labels(scale, bottom + 14, TOP - 4, bottom), *_backdrop(effect, scale, bottom), *parts]
    figure = picture(parts, bottom + 20, describe(effect, result))
    left = Markup("".join(f'<li class="{kind}">{escape(label)}</li>' for label, _, kind in names))
    right = Markup("".join(f'<li class="{kind}">{escape(value)}</li>' for _, value, kind in names))
    unit = words.unit_of(effect) or ("rate" if effect["region"].get("of") == "rate" else "")
    caption = Markup('<p class="axis-unit" aria-hidden="true">{}</p>').format(unit) if unit else ""
    return Markup(
        '<div class="forest"><ul class="names" aria-hidden="true">{}</ul><div class="drawn">{}{}</div>'
        '<ul class="numbers" aria-hidden="true">{}</ul></div>{}'
    ).format(left, figure, caption, right, _left_out(result))


def strip(effect: Effect, scale: Axis, result: Mapping[str, Any] | None = None) -> Markup:
    """A forest plot in one line, for controls and variants: replicates as dots, interval, region."""
    middle, parts = 14.0, []
    if result is not None:
        for replicate, state in states(result):
            pair = _value(replicate, effect["name"])
            if pair is not None and state == "used":
                parts.append(_mark(pair, scale, middle, "used many"))
    said = f"{words.measured(effect)}; the finding holds {effect['region'].get('text', '')}"
    drawn = [*_backdrop(effect, scale, 28, 0, label=False), *parts, *_summary(effect, scale, middle, 6, SMALL)]
    return picture(drawn, 28, said, "plot strip")
