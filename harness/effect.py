"""Effects: what a claim function may return, turned into named values."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from .errors import EffectError
from .region import Region


@dataclass(frozen=True)
class Value:
    """One effect of one replicate, known to lie between `low` and `high`; a point where they are equal.

    An end may be open (infinite): a censored time is `Value(log(30_000), inf)`. NaN, reversed ends and an infinite
    point raise `EffectError`.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if math.isnan(self.low) or math.isnan(self.high):
            raise EffectError(f"an effect must be a number, found NaN ({self.low} to {self.high})")
        if self.low > self.high:
            raise EffectError(f"an interval effect needs its smaller end first, found {self.low:g} to {self.high:g}")
        if self.low == math.inf or self.high == -math.inf:
            raise EffectError("an infinite effect is not a number; an interval's end may be open, a point may not")

    @property
    def point(self) -> bool:
        """Whether the effect is known exactly."""
        return self.low == self.high

    def to_json(self) -> list[float | None]:
        """`[low, high]`, an open end as null."""
        return [self.low if math.isfinite(self.low) else None, self.high if math.isfinite(self.high) else None]

    @classmethod
    def from_json(cls, pair: list[float | None] | tuple[float | None, float | None]) -> Value:
        """The inverse of `to_json`."""
        low, high = pair
        return cls(-math.inf if low is None else float(low), math.inf if high is None else float(high))


def as_effects(raw: Any, regions: Mapping[str, Region]) -> dict[str, Value]:
    """The named effects in what a claim function returned, in the order of `regions`.

    `raw` is a number, a (low, high) pair, a bool for a rate, a `Value`, or a mapping from effect names to those; a bare
    one belongs to the only region. Anything else, a missing or unknown name, NaN, an infinite point, a rate that is not
    0 or 1 or an effect outside its region's scale raises `EffectError`.
    """
    if isinstance(raw, Mapping):
        return _from_mapping(raw, regions)
    if len(regions) != 1:
        raise EffectError(f"the claim judges {_names(regions)}, its function returned {_shown(raw)}; return a dict")
    ((name, region),) = regions.items()
    return {name: _value(name, raw, region)}


def _from_mapping(raw: Mapping[Any, Any], regions: Mapping[str, Region]) -> dict[str, Value]:
    for name in raw:
        if name not in regions:
            close = difflib.get_close_matches(str(name), list(regions), n=1, cutoff=0.5)
            hint = f", did you mean {close[0]!r}?" if close else ""
            raise EffectError(f"unknown effect {name!r}{hint}; the claim judges {_names(regions)}")
    for name in regions:
        if name not in raw:
            raise EffectError(f"effect {name!r} is missing; the claim judges {_names(regions)}, found {_names(raw)}")
    return {name: _value(name, raw[name], region) for name, region in regions.items()}


def _value(name: str, raw: Any, region: Region) -> Value:
    if isinstance(raw, Value):
        value = raw
    elif isinstance(raw, tuple | list):
        if len(raw) != 2:
            raise EffectError(f"effect {name!r}: an interval is a pair (low, high), found {len(raw)} numbers")
        value = _checked(name, _number(name, raw[0], region), _number(name, raw[1], region))
    else:
        number = _number(name, raw, region)
        value = _checked(name, number, number)
    _check_domain(name, value, region)
    return value


def _checked(name: str, low: float, high: float) -> Value:
    try:
        return Value(low, high)
    except EffectError as error:
        raise EffectError(f"effect {name!r}: {error}") from None


def _number(name: str, raw: Any, region: Region) -> float:
    if getattr(raw, "ndim", None) == 0 and hasattr(raw, "item"):  # numpy scalars and zero-dimensional tensors
        raw = raw.item()
    if isinstance(raw, bool) and region.of != "rate":
        raise EffectError(f"effect {name!r} is {raw}, but only a rate takes yes or no; it is judged against {region}")
    if not isinstance(raw, Real):
        raise EffectError(f"effect {name!r} must be a number, found {_shown(raw)}")
    return float(raw)


def _check_domain(name: str, value: Value, region: Region) -> None:
    if region.of == "rate":
        if value.low not in (0.0, 1.0) or value.high not in (0.0, 1.0):
            raise EffectError(f"effect {name!r} is a rate: a replicate is 0 or 1, found {_range(value)}")
        return
    bottom, top = region.domain
    if value.low < bottom or value.high > top or (value.point and value.low in (bottom, top)):
        raise EffectError(
            f"effect {name!r} is judged on the {region.scale} scale,"
            f" so it lies between {bottom:g} and {top:g}, found {_range(value)}"
        )


def _range(value: Value) -> str:
    return f"{value.low:g}" if value.point else f"{value.low:g} to {value.high:g}"


def _names(names: Mapping[Any, Any]) -> str:
    return ", ".join(repr(name) for name in names) or "nothing"


def _shown(raw: Any) -> str:
    if raw is None:
        return "nothing (None)"
    text = repr(raw)
    return f"{type(raw).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
