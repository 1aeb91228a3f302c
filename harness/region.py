"""Regions: the interval of the typical effect in which a finding holds."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .errors import DeclarationError

Of = Literal["typical", "rate"]
Scale = Literal["linear", "log", "logit"]

#: A claim has at most this many judged effects; the rest is observation.
MOST_EFFECTS = 3

#: Units an effect may be stated in, and what a number in that unit means.
UNITS: Mapping[str, str] = {
    "1": "a plain number",
    "nat": "natural-log likelihood per token",
    "log nat": "natural logarithm of a number of nats",
    "bit": "base-2 log likelihood per token",
    "share": "part of a whole, 0 to 1",
    "share of gain": "part of the in-context gain, 0 to 1",
    "share of loss": "part of a rise in loss, 0 to 1",
    "accuracy": "share of correct answers, 0 to 1",
    "probability": "probability, 0 to 1",
    "attention": "attention weight, 0 to 1",
    "attention rise": "difference of two attention weights",
    "correlation": "correlation coefficient, -1 to 1",
    "rate": "share of replicates with the event, 0 to 1",
    "rank": "position in an ordering, 1 is first",
    "heads": "number of attention heads",
    "layers": "number of layers",
    "dimensions": "number of dimensions",
    "tokens": "number of tokens",
    "steps": "number of optimiser steps",
    "log steps": "natural logarithm of a number (or ratio) of optimiser steps",
    "log ratio": "natural logarithm of a ratio",
    "ratio": "ratio of two numbers of one unit",
    "logit": "difference of log odds or of logits",
    "slope": "change of one number per unit of another",
    "standard deviation": "multiple of a standard deviation",
}

_DOMAIN: Mapping[str, tuple[float, float]] = {
    "linear": (-math.inf, math.inf),
    "log": (0.0, math.inf),
    "logit": (0.0, 1.0),
}


@dataclass(frozen=True)
class Region:
    """The open interval (low, high) of the typical effect in which a finding holds; an absent edge is infinite.

    `of` says what is judged: the typical effect (the median over seeds, the mean over prompt batches) or the rate at
    which replicates show an event. On the scales `log` and `logit` edges and effects are given in natural units and
    judged after the transformation. An empty region, one without any edge (it could not fail), an edge outside the
    scale's domain (of a rate: 0 and 1 too, no data could fail them) or an unknown unit raises `DeclarationError`.
    """

    low: float
    high: float
    unit: str = "1"
    of: Of = "typical"
    scale: Scale = "linear"

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise DeclarationError(
                f"unknown unit {self.unit!r}{_nearest(str(self.unit), UNITS)}; known units: {', '.join(UNITS)}"
            )
        if self.of not in ("typical", "rate"):
            raise DeclarationError(f"a region is of the 'typical' effect or of a 'rate', not of {self.of!r}")
        if self.scale not in _DOMAIN:
            raise DeclarationError(f"unknown scale {self.scale!r}; choose one of {', '.join(_DOMAIN)}")
        for name, edge in (("low", self.low), ("high", self.high)):
            if isinstance(edge, bool) or not isinstance(edge, int | float) or math.isnan(edge):
                raise DeclarationError(f"the {name} edge of a region must be a number, found {edge!r}")
            object.__setattr__(self, name, float(edge))
        if not self.low < self.high:
            raise DeclarationError(f"empty region: {self.low:g} is not below {self.high:g}; give the smaller first")
        if math.isinf(self.low) and math.isinf(self.high):
            raise DeclarationError("a region without any edge holds whatever is measured; give at least one edge")
        self._check_domain()

    def _check_domain(self) -> None:
        least, most = self.domain
        if self.of == "rate":
            if self.scale != "linear" or self.unit != "rate":
                raise DeclarationError(
                    "a rate has the unit 'rate' and the linear scale; use rate_above or rate_below,"
                    f" found {self.unit!r} and {self.scale!r}"
                )
            least, most = 0.0, 1.0
        for edge in self.edges:
            if not least < edge < most:
                what = "a rate" if self.of == "rate" else f"the {self.scale} scale"
                raise DeclarationError(f"edge {edge:g}: an edge of {what} must lie between {least:g} and {most:g}")

    def contains(self, low: float, high: float) -> bool:
        """Whether the interval from `low` to `high` lies strictly inside; an open end fits where there is no edge."""
        above_low = math.isinf(self.low) or low > self.low
        below_high = math.isinf(self.high) or high < self.high
        return above_low and below_high

    def disjoint(self, low: float, high: float) -> bool:
        """Whether the interval from `low` to `high` has no point inside; an edge is itself outside."""
        return high <= self.low or low >= self.high

    @property
    def domain(self) -> tuple[float, float]:
        """What an effect lies between on this scale: all numbers (linear), above 0 (log), 0 to 1 (logit)."""
        return _DOMAIN[self.scale]

    @property
    def edges(self) -> tuple[float, ...]:
        """The finite edges, smaller first."""
        return tuple(edge for edge in (self.low, self.high) if math.isfinite(edge))

    def forward(self, x: float) -> float:
        """`x` in natural units, on the scale it is judged on."""
        if self.scale == "linear" or math.isinf(x):
            return x
        if self.scale == "log":
            return -math.inf if x <= 0 else math.log(x)
        return -math.inf if x <= 0 else math.inf if x >= 1 else math.log(x) - math.log1p(-x)

    def backward(self, y: float) -> float:
        """The inverse of `forward`."""
        if self.scale == "linear":
            return y
        if self.scale == "log":
            return math.exp(y) if y < 709 else math.inf  # beyond, the exponential overflows
        return 1 / (1 + math.exp(-y)) if y > -709 else 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: `low`, `high` (an absent edge is null), `unit`, `of`, `scale` and `text`."""
        return {
            "low": self.low if math.isfinite(self.low) else None,
            "high": self.high if math.isfinite(self.high) else None,
            "unit": self.unit,
            "of": self.of,
            "scale": self.scale,
            "text": str(self),
        }

    def __str__(self) -> str:
        prefix = "rate " if self.of == "rate" else ""
        unit = "" if self.of == "rate" or self.unit == "1" else f" {self.unit}"
        if math.isinf(self.high):
            return f"{prefix}above {self.low:.6g}{unit}"
        if math.isinf(self.low):
            return f"{prefix}below {self.high:.6g}{unit}"
        if self.low == -self.high:
            return f"{prefix}within ±{self.high:.6g}{unit}"
        return f"{prefix}{self.low:.6g} to {self.high:.6g}{unit}"


def above(edge: float, *, unit: str = "1", scale: Scale = "linear") -> Region:
    """The typical effect is above `edge` (a difference, a gain, a smallest adjacent gap)."""
    return Region(edge, math.inf, unit, scale=scale)


def below(edge: float, *, unit: str = "1", scale: Scale = "linear") -> Region:
    """The typical effect is below `edge`."""
    return Region(-math.inf, edge, unit, scale=scale)


def within(margin: float, *, unit: str = "1") -> Region:
    """The typical effect is within ±`margin` (a null; a measured minus predicted level)."""
    return Region(-margin, margin, unit)


def interval(low: float, high: float, *, unit: str = "1", scale: Scale = "linear") -> Region:
    """The typical effect is between `low` and `high` (a ratio on the log scale, a predicted level)."""
    return Region(low, high, unit, scale=scale)


def rate_above(rate: float) -> Region:
    """The event happens in more than the share `rate` of replicates ("in most seeds" is `rate_above(0.5)`)."""
    return Region(rate, math.inf, "rate", of="rate")


def rate_below(rate: float) -> Region:
    """The event happens in less than the share `rate` of replicates."""
    return Region(-math.inf, rate, "rate", of="rate")


def _nearest(word: str, known: Mapping[str, str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f", did you mean {close[0]!r}?" if close else ""
