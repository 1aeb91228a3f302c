"""Specification curves: a claim's effect under every combination of choices, sorted, above the choices themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from . import words
from .figures import Axis, axis, join, picture

TOP, HEIGHT, ROW = 8.0, 150.0, 15.0
LEFT = 24.0
"""Share of the width, in percent, that names take."""

Spec = Mapping[str, Any]


def curves(entry: Mapping[str, Any]) -> Markup:
    """One plot for each judged effect of a specification curve, an entry of `robust.json`."""
    measured = [spec for spec in entry["specifications"] if spec["effects"]]
    names = list(dict.fromkeys(effect["name"] for spec in measured for effect in spec["effects"]))
    plots = []
    for name in names:
        shown = [(spec, effect) for spec in measured for effect in spec["effects"] if effect["name"] == name]
        plots.append(Markup("<figure><figcaption>{}</figcaption>{}</figure>").format(_caption(name, shown), curve(shown, entry)))
    return join(plots)


def _caption(name: str, shown: Sequence[tuple[Spec, Mapping[str, Any]]]) -> str:
    effect = shown[0][1]
    what = "Effect" if name == "effect" else name
    unit = words.unit_of(effect)
    under = f"{what}{f' ({unit})' if unit else ''} under {len(shown)} specifications, sorted"
    return f"{under}; the finding holds {effect['region']['text']}"


def curve(shown: Sequence[tuple[Spec, Mapping[str, Any]]], entry: Mapping[str, Any]) -> Markup:
    """Estimates with intervals in order of size, the region shaded, and below them what each specification chooses.

    The claim as it is has a larger mark.
    """
    own = {name: values[0] for name, values in entry["dimensions"].items()}
    ordered = sorted(shown, key=lambda found: (found[1]["estimate"] is None, found[1]["estimate"] or 0.0))
    region = ordered[0][1]["region"]
    scale = axis(
        [number for _, effect in ordered for number in (effect["estimate"], effect["low"], effect["high"])]
        + [region["low"], region["high"]],
        log=region.get("scale") == "log",
    )
    inner, outer = _backdrop(scale, region), _ticks(scale)
    for number, (spec, effect) in enumerate(ordered):
        inner += _bar(scale, effect, _x(number, len(ordered)), spec)
        if spec["choices"] == own and effect["estimate"] is not None:
            inner.append(_circle(_x(number, len(ordered)), _y(scale, effect["estimate"]), 5.5, "none", ring=True))
    y = TOP + HEIGHT + ROW
    for name, values in entry["dimensions"].items():
        for value in values:
            outer.append(_label(y, f"{name} {value}"))
            for number, (spec, _) in enumerate(ordered):
                if spec["choices"][name] == value:
                    inner.append(_circle(_x(number, len(ordered)), y - 4, 2.5, "var(--mark)"))
            y += ROW
        y += 4
    drawn = Markup('<svg x="{}%" width="{}%" height="{:g}" overflow="visible">{}</svg>').format(LEFT, 100 - LEFT, y, join(inner))
    return picture([*outer, drawn], y, _said(ordered, region), "plot specification")


def _x(number: int, count: int) -> str:
    return f"{100 * (number + 0.5) / count:.2f}%"


def _y(scale: Axis, value: float) -> float:
    return TOP + HEIGHT * (1 - scale.share(value))


def _backdrop(scale: Axis, region: Mapping[str, Any]) -> list[str]:
    top = TOP if region["high"] is None else _y(scale, region["high"])
    bottom = TOP + HEIGHT if region["low"] is None else _y(scale, region["low"])
    return [
        Markup('<rect class="band" x="0" width="100%" y="{:.1f}" height="{:.1f}"/>').format(top, max(bottom - top, 0.5)),
        *(
            Markup('<line class="edge" x1="0" x2="100%" y1="{0:.1f}" y2="{0:.1f}"/>').format(_y(scale, edge))
            for edge in (region["low"], region["high"])
            if edge is not None
        ),
    ]


def _ticks(scale: Axis) -> list[str]:
    return [_label(_y(scale, value) + 4, words.number(round(value, 12))) for value in scale.ticks()]


def _label(y: float, said: str) -> Markup:
    return Markup('<text class="tick" x="{}%" y="{:.1f}" text-anchor="end">{}</text>').format(LEFT - 1.5, y, said)


def _bar(scale: Axis, effect: Mapping[str, Any], x: str, spec: Spec) -> list[str]:
    top = TOP if effect["high"] is None else _y(scale, effect["high"])
    bottom = TOP + HEIGHT if effect["low"] is None else _y(scale, effect["low"])
    line = Markup(
        '<line class="v-{3}" style="stroke:var(--tone)" x1="{0}" x2="{0}" y1="{1:.1f}" y2="{2:.1f}"/>'
    ).format(x, top, max(bottom, top + 0.5), spec["verdict"])  # fmt: skip
    if effect["estimate"] is None:
        return [line]
    said = ", ".join(f"{name} {value}" for name, value in spec["choices"].items())
    title = f"{said}: {words.measured(effect)}, {spec['verdict']}"
    dot = Markup('<g class="v-{}"><title>{}</title>{}</g>').format(
        spec["verdict"], title, _circle(x, _y(scale, effect["estimate"]), 3, "var(--tone)")
    )
    return [line, dot]


def _circle(x: str, y: float, radius: float, fill: str, ring: bool = False) -> Markup:
    style = f"fill:{fill}" + (";stroke:var(--ink)" if ring else "")
    return Markup('<circle style="{}" cx="{}" cy="{:.1f}" r="{:g}"/>').format(style, x, y, radius)


def _said(ordered: Sequence[tuple[Spec, Mapping[str, Any]]], region: Mapping[str, Any]) -> str:
    estimates = [effect["estimate"] for _, effect in ordered if effect["estimate"] is not None]
    span = f"{words.number(estimates[0])} to {words.number(estimates[-1])}" if estimates else "none"
    return f"Specification curve: {len(ordered)} specifications, estimates {span}; the finding holds {region['text']}."
