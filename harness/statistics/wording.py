"""The words of a reason: numbers, counts and where an interval lies."""

from __future__ import annotations

import math

from ..region import Region
from .summary import EffectSummary

_WORDS = "no one two three four five six seven eight nine ten eleven twelve".split()


def count(n: int, noun: str) -> str:
    """`six seeds`, `one seed`, `40 prompt batches`."""
    number = _WORDS[n] if n < len(_WORDS) else str(n)
    plural = noun if n == 1 else noun + ("es" if noun.endswith("ch") else "s")
    return f"{number} {plural}"


def number(x: float | None) -> str:
    """Three significant digits; `open` for an infinite end, `unknown` for None."""
    if x is None:
        return "unknown"
    if math.isinf(x):
        return "open"
    return f"{x:.3g}"


def place(region: Region, low: float, high: float) -> str:
    """Where the interval lies relative to the region."""
    if region.contains(low, high):
        return f"inside {region}"
    if region.disjoint(low, high):
        return f"outside {region}"
    return f"not decided against {region}"


def sentence(summary: EffectSummary, typical: str, n: int, noun: str, named: bool) -> str:
    """`median 0.97 of six seeds, interval 0.91 to 1, inside above 0.1 share of gain`."""
    head = f"{summary.name}: " if named else ""
    spread = "no spread, " if summary.low == summary.high else ""
    return (
        f"{head}{typical} {number(summary.estimate)} of {count(n, noun)}, {spread}"
        f"interval {number(summary.low)} to {number(summary.high)}, {place(summary.region, summary.low, summary.high)}"
    )
