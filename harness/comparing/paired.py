"""Paired comparison of effects: differences between equal replicates of two runs, with an interval of their own.

Random streams are named after the root seed and the replicate's index, never after a model or a digest, so replicates of
equal index saw the same seeds or prompts. Their difference has less noise than either effect.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..effect import Value
from ..errors import ClaimbenchError
from ..region import UNITS, Region

Result = Mapping[str, Any]
Pair = tuple[Value, Value]

FEWEST = 2
"""Fewer pairs than this say nothing of a difference."""


def paired(before: Result, after: Result) -> list[dict[str, Any]]:
    """One entry for each effect that both results have in one unit, on one scale; [] where replicates do not pair.

    An entry has the effect's `name`, `unit`, `scale`, the pairs `n`, the difference after minus before as `estimate` with
    `low` and `high` at `level` (a ratio after to before on a log scale), the `method`, and `direction`: "rose", "fell", or
    None where the interval holds no change.
    """
    if before["replicate_unit"] != after["replicate_unit"] or before["subject_kind"] != after["subject_kind"]:
        return []
    now = {effect["name"]: effect for effect in after["effects"]}
    entries = []
    for effect in before["effects"]:
        other = now.get(effect["name"])
        if other is None or other["unit"] != effect["unit"] or _form(other) != _form(effect):
            continue
        pairs = _pairs(effect["name"], before, after)
        if len(pairs) >= FEWEST:
            entries.append(_entry(effect, pairs, before, after))
    return entries


def _form(effect: Mapping[str, Any]) -> tuple[str, str]:
    return str(effect["region"].get("of", "typical")), str(effect["region"].get("scale", "linear"))


def _pairs(name: str, before: Result, after: Result) -> list[Pair]:
    """Values of equal index that met the preconditions on both sides, in order of index."""
    first, second = ({r["index"]: r for r in one["replicates"] if r["passed"] and name in r["effects"]} for one in (before, after))
    both = sorted(first.keys() & second.keys())
    return [(Value.from_json(first[i]["effects"][name]), Value.from_json(second[i]["effects"][name])) for i in both]


def _entry(effect: Mapping[str, Any], pairs: Sequence[Pair], before: Result, after: Result) -> dict[str, Any]:
    of, scale = _form(effect)
    made: dict[str, Any] = {"name": effect["name"], "unit": effect["unit"], "scale": scale, "n": len(pairs), "level": 0.95}
    if of == "rate":
        return made | _events(pairs)
    if all(one == other for one, other in pairs):
        neutral = 1.0 if scale == "log" else 0.0
        return made | {"estimate": neutral, "low": neutral, "high": neutral, "method": "identical replicates", "direction": None}
    return made | _difference(effect, pairs, after, _bound(effect["name"], before, after))


def _events(pairs: Sequence[Pair]) -> dict[str, Any]:
    """A rate: events lost and gained within pairs, by the exact test of McNemar (1947); it has no interval."""
    from ..statistics.order_statistics import miss

    gained = sum(then.high < now.low for then, now in pairs)
    lost = sum(now.high < then.low for then, now in pairs)
    changed = gained + lost
    p = min(1.0, 2 * miss(changed, min(gained, lost) + 1)) if changed else 1.0
    direction = None if p >= 0.05 else "rose" if gained > lost else "fell"
    method = f"lost in {lost}, gained in {gained} of {len(pairs)} pairs; exact p = {p:.2g}"
    return {"estimate": (gained - lost) / len(pairs), "low": None, "high": None, "method": method, "direction": direction}


def _difference(effect: Mapping[str, Any], pairs: Sequence[Pair], after: Result, bound: float | None) -> dict[str, Any]:
    from ..statistics import Prompts, Seeds, judge

    unit = effect["unit"] if effect["unit"] in UNITS else "1"
    scale = Region(0.5, math.inf, unit, scale=_form(effect)[1])  # type: ignore[arg-type]  # only its transformation is used
    moved = [_minus(scale, then, now) for then, now in pairs]
    nothing: dict[str, Any] = {"estimate": _middle(moved), "low": None, "high": None, "direction": None}
    seeds = after["subject_kind"] != "model"
    if not seeds and bound is None:
        return nothing | {"method": "mean of the differences; the results do not say how effects were clipped"}
    design = Seeds((len(moved),)) if seeds else Prompts({"change": 2 * bound}, most=len(moved))  # type: ignore[operator]
    try:
        found = judge([{"change": one} for one in moved], {"change": Region(0.0, math.inf)}, design).effects[0]
    except ClaimbenchError:  # an edited document: an effect outside of its own scale
        return nothing | {"method": "the differences could not be judged"}
    direction = "rose" if found.low > 0 else "fell" if found.high < 0 else None
    ends = (found.estimate, found.low, found.high)
    if scale.scale == "log":
        ends = tuple(None if end is None else scale.backward(end) for end in ends)  # type: ignore[assignment]
    estimate, low, high = (None if end is None or not math.isfinite(end) else end for end in ends)
    decides = not seeds or len(moved) >= 6
    method = f"paired, {found.method}" if decides else f"paired, range of {len(moved)}, too few to decide"
    shown = {"estimate": estimate, "low": low, "high": high, "level": found.level, "method": method}
    return shown | {"direction": direction if decides else None}


def _minus(scale: Region, then: Value, now: Value) -> Value:
    """The difference on the region's scale, by its outer ends."""
    low = scale.forward(now.low) - scale.forward(then.high)
    high = scale.forward(now.high) - scale.forward(then.low)
    return Value(
        -math.inf if math.isnan(low) or low == math.inf else low, math.inf if math.isnan(high) or high == -math.inf else high
    )


def _middle(moved: Sequence[Value]) -> float | None:
    points = [(one.low + one.high) / 2 for one in moved if math.isfinite(one.low) and math.isfinite(one.high)]
    return sum(points) / len(points) if points else None


def _bound(name: str, before: Result, after: Result) -> float | None:
    """The wider of the half-widths at which both results clipped an effect; None where one does not say."""
    bounds = [one["design"].get("bounds", {}).get(name) for one in (before, after)]
    return None if None in bounds else max(bounds)
