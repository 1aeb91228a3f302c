"""The words of a reason: numbers, counts and where an interval lies."""

from __future__ import annotations

import math

from ..region import Region
from .summary import EffectSummary

_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def count(n: int, noun: str) -> str:
    """`six seeds`, `one seed`, `40 prompt batches`."""
    plural = noun if n == 1 else noun + ("es" if noun.endswith("ch") else "s")
    return f"{_WORDS[n] if n < len(_WORDS) else n} {plural}"


def number(x: float | None) -> str:
    """Three significant digits; `open` for an infinite end, `unknown` for None."""
    if x is None:
        return "unknown"
    return "open" if math.isinf(x) else f"{x if abs(x) > 1e-300 else 0.0:.3g}"


def place(region: Region, low: float, high: float) -> str:
    """Where the interval lies relative to the region."""
    if region.contains(low, high):
        return f"inside {region}"
    return f"outside {region}" if region.disjoint(low, high) else f"across an edge of {region}"


def sentence(e: EffectSummary, typical: str, of: str, named: bool) -> str:
    """`median 0.97 of six seeds, interval 0.91 to 1, inside above 0.1 share of gain`; `of` says of what."""
    head = f"{e.name}: " if named else ""
    where = f"interval {number(e.low)} to {number(e.high)}, {place(e.region, e.low, e.high)}"
    return f"{head}{typical} {number(e.estimate)} of {of}, {where}"
