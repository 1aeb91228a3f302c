"""A budget: how much time and memory a run may take, as a user writes it, and what of a plan would not fit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import UsageError

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_MEGABYTES = {"MB": 1.0, "GB": 1000.0, "TB": 1e6}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")


@dataclass(frozen=True)
class Budget:
    """Most seconds and most megabytes; None where nothing is said."""

    seconds: float | None = None
    megabytes: float | None = None

    def __str__(self) -> str:
        parts = [] if self.seconds is None else [duration(self.seconds)]
        parts += [] if self.megabytes is None else [size(self.megabytes)]
        return " and ".join(parts)


@dataclass(frozen=True)
class Need:
    """What one item would take; None where nobody knows."""

    item: str
    seconds: float | None
    megabytes: float | None


def parse_budget(text: str) -> Budget:
    """A budget like "30m", "16GB" or "2h,8GB": a time (s, m, h, d), a memory (MB, GB, TB), each at most once.

    Raises:
        UsageError: anything else, zero included.
    """
    found: dict[str, float] = {}
    for part in text.split(","):
        matched = _PART.fullmatch(part.strip())
        unit = matched.group(2) if matched else ""
        kind, factor = ("time", _SECONDS.get(unit)) if unit in _SECONDS else ("memory", _MEGABYTES.get(unit))
        if matched is None or factor is None:
            raise UsageError(f"--budget {text!r}: {part.strip()!r} is no time (90s, 30m, 2h, 1d) and no memory (512MB, 16GB)")
        if kind in found:
            raise UsageError(f"--budget {text!r} gives two values of {kind}: give one")
        found[kind] = float(matched.group(1)) * factor
        if not found[kind]:
            raise UsageError(f"--budget {text!r}: nothing fits in {part.strip()}")
    return Budget(found.get("time"), found.get("memory"))


def refusal(needs: Sequence[Need], budget: Budget, profile: str) -> str | None:
    """Why a plan does not fit a budget, in one line with what would; None when it fits.

    Items one after the other: seconds add up, and the largest memory counts. What is unknown fits no budget.
    """
    unknown = [need.item for need in needs if need.seconds is None or need.megabytes is None]
    if unknown:
        return (
            f"--budget {budget}: the cost of {len(unknown)} of {len(needs)} items is unknown ({_short(unknown[0])}, ...): "
            "measure them once and keep their costs with `claimbench record`, or leave them out with -k"
        )
    seconds = sum(need.seconds or 0.0 for need in needs)
    memory = max((need.megabytes or 0.0 for need in needs), default=0.0)
    over = []
    if budget.seconds is not None and seconds > budget.seconds:
        over.append(f"{duration(seconds)} of {duration(budget.seconds)}")
    if budget.megabytes is not None and memory > budget.megabytes:
        over.append(f"{size(memory)} of {size(budget.megabytes)}")
    if not over:
        return None
    return f"the plan needs {' and '.join(over)}: {_advice(needs, budget, profile)}"


def _advice(needs: Sequence[Need], budget: Budget, profile: str) -> str:
    """The items that fit together, cheapest first, and a smaller profile where that could help."""
    left, fitting = budget.seconds, []
    for need in sorted(needs, key=lambda need: need.seconds or 0.0):
        small = budget.megabytes is None or (need.megabytes or 0.0) <= budget.megabytes
        if small and (left is None or (need.seconds or 0.0) <= left):
            fitting.append(need.item)
            left = None if left is None else left - (need.seconds or 0.0)
    if not fitting:
        smaller = any(budget.megabytes is None or (need.megabytes or 0.0) <= budget.megabytes for need in needs)
        if smaller and profile != "smoke":
            return "no item fits: try --profile smoke, or raise the budget"
        return "no item fits: use a smaller model, a smaller dtype, or raise the budget"
    names = ", ".join(_short(item) for item in fitting[:3]) + (", ..." if len(fitting) > 3 else "")
    smoke = "" if profile == "smoke" else ", or try --profile smoke"
    return f"{len(fitting)} of {len(needs)} items would fit ({names}): choose them with -k{smoke}, or raise the budget"


def _short(item: str) -> str:
    return item.rpartition("::")[2]


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 120:
        return f"{seconds:.4g} s"
    return f"{seconds / 60:.4g} min" if seconds < 7200 else f"{seconds / 3600:.4g} h"


def size(megabytes: float) -> str:
    """Megabytes as a person says them."""
    return f"{megabytes:.4g} MB" if megabytes < 1000 else f"{megabytes / 1000:.4g} GB"
