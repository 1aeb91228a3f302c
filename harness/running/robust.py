"""Robustness: a claim's specification curve, its effect under every reasonable combination of choices.

The dimensions are the claim's choices. Their alternatives are what its variants declare and what is standard for choices
of that name; on one given model the precision is one more. Everything is crossed and measured as any override is.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import FunctionType
from typing import Any

from ..claim import Claim
from ..control import Control
from ..step import Step, choices_of, parameters, reach, step_named
from ..verdict import Verdict
from .audit import settle
from .item import Item, Subject, items_of
from .result import effect_docs
from .session import Session
from .trust import digests

MOST = 64


def _scaled(step: Step, factor: float) -> Step:
    """A step that hands on what `step` yields, every number times a factor."""
    name = step.name

    def scaled(**found: Any) -> Any:
        return tuple(max(2, round(factor * each)) for each in found[name])

    # Steps are found by name in the module of the function that asks for them.
    function = FunctionType(scaled.__code__, step.function.__globals__, f"times_{factor:g}", None, scaled.__closure__)
    parameter = inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    function.__signature__ = inspect.Signature([parameter])  # type: ignore[attr-defined]
    return Step(function)


#: Needs an `rng`: where the function that has the choice asks for none, it is no alternative.
RESAMPLE = "resample"
#: Reasonable values of choices by their usual names; the claim's own value always comes first.
STANDARD: Mapping[str, tuple[Any, ...]] = {
    "mode": (RESAMPLE, "mean", "zero"),
    "bos": (True, False),
    "source": ("frequent", "natural"),
}
#: Factors for choices that are a share of something, and for the step or choice that gives lengths of prompts.
SHARES, SHARE_FACTORS = ("share", "top_share"), (0.5, 2.0)
LENGTHS, LENGTH_FACTORS = "lengths", (0.5, 1.5)
DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True)
class Dimension:
    """A choice and its values; the first is the claim's own. `values`: what is shown -> what overrides (None: nothing)."""

    name: str
    values: Mapping[str, Any]


_OWN = object()


def dimensions(claim: Claim, unreasonable: Collection[str] = ()) -> list[Dimension]:
    """The claim's choices that have a reasonable alternative, in the order in which it names them.

    Args:
        unreasonable: alternatives that the paper's card leaves out with a reason, as "mode = resample".
    """
    functions = [claim.function, *(requirement.step.function for requirement in claim.requires)]
    choices = {name: value for function in functions for name, value in choices_of(function).items()}
    declared: dict[str, list[Any]] = {}
    for variant in claim.variants:
        for name, value in variant.choices.items():
            declared.setdefault(name, []).append(value)
    found = []
    for name, own in choices.items():
        draws = any(name in choices_of(function) and "rng" in parameters(function) for function in functions)
        values = [*declared.get(name, ()), *(value for value in STANDARD.get(name, ()) if draws or value != RESAMPLE)]
        if name in SHARES and isinstance(own, int | float):
            values += [factor * own for factor in SHARE_FACTORS]
        if name == LENGTHS and isinstance(own, tuple):
            values += [tuple(max(2, round(factor * each)) for each in own) for factor in LENGTH_FACTORS]
        if name in STANDARD and own not in STANDARD[name]:
            values = declared.get(name, [])  # a choice of the same name with a meaning of its own
        others = {str(value): value for value in values if value != own}
        if others:
            found.append(Dimension(name, {str(own): _OWN, **others}))
    lengths = next((step for function in functions for step in _steps(function) if step.name == LENGTHS), None)
    if lengths is not None and LENGTHS not in choices:
        found.append(Dimension(LENGTHS, {"x 1": _OWN, **{f"x {f:g}": _scaled(lengths, f) for f in LENGTH_FACTORS}}))
    return [left for dim in found if len((left := _without(dim, unreasonable)).values) > 1]


def _steps(function: Callable[..., Any]) -> Iterator[Step]:
    for reached in reach(function):
        for name in parameters(reached):
            if (step := step_named(reached, name)) is not None:
                yield step


def _without(dim: Dimension, unreasonable: Collection[str]) -> Dimension:
    return Dimension(dim.name, {shown: v for shown, v in dim.values.items() if f"{dim.name} = {shown}" not in unreasonable})


def specifications(dims: Sequence[Dimension], most: int = MOST) -> tuple[list[dict[str, str]], int]:
    """Combinations of values, those with the fewest changes first, at most `most`; and how many there are in all."""
    whole = [dict(zip([d.name for d in dims], values, strict=True)) for values in itertools.product(*(d.values for d in dims))]
    own = {d.name: next(iter(d.values)) for d in dims}
    whole.sort(key=lambda spec: sum(spec[name] != own[name] for name in own))
    return whole[:most], len(whole)


def robust(
    claim: Claim,
    claim_id: str,
    sessions: Mapping[str, Session],
    *,
    subject: Subject | None = None,
    most: int = MOST,
    unreasonable: Mapping[str, str] | None = None,
    say: Callable[[int, int, str], None] = lambda *_: None,
) -> dict[str, Any]:
    """The specification curve of a claim on one subject (its first by default).

    Args:
        sessions: by precision; the first is the claim's own.
        unreasonable: alternatives to leave out, "mode = resample", with the reason.
        say: told (done, in all, what) before each specification.

    Returns:
        JSON: subject, dimensions, by specification its choices, verdict, effects, and whether sign and verdict agree;
        how many do.
    """
    base = next(items_of(claim, claim_id, models=[subject] if subject else ()))
    dims = dimensions(claim, unreasonable or {})
    if len(sessions) > 1:
        dims.append(Dimension("dtype", {name: _OWN for name in sessions}))
    chosen, in_all = specifications(dims, most)
    first, done = None, []
    for number, spec in enumerate(chosen):
        say(number, len(chosen), ", ".join(f"{name} {value}" for name, value in spec.items()) or "as it is")
        session = sessions[spec["dtype"]] if "dtype" in spec else next(iter(sessions.values()))
        standing, replicates = settle(session, _item(base, dims, spec))
        first = first or standing
        done.append({"choices": spec, **_outcome(standing, first), "n": len(replicates)})
    say(len(chosen), len(chosen), "done")
    plain = next(iter(sessions.values()))
    return {
        "subject": base.subject.name,
        "profile": plain.options.profile.name,
        "digests": digests(claim, plain.measurer.keys.code([claim.function])),
        "dimensions": {d.name: list(d.values) for d in dims},
        "specifications": done,
        "counts": _counts(done),
        "left_out": in_all - len(chosen),
        "unreasonable": dict(unreasonable or {}),
    }


def _item(base: Item, dims: Sequence[Dimension], spec: Mapping[str, str]) -> Item:
    overrides = {d.name: d.values[spec[d.name]] for d in dims if d.values[spec[d.name]] is not _OWN}
    return replace(base, control=Control("positive", None, overrides, label=f"specification {spec}"))


def _outcome(standing: Any, first: Any) -> dict[str, Any]:
    from ..statistics import agrees

    both = standing.judgement and first.judgement and standing.judgement.n and first.judgement.n
    return {
        "verdict": standing.verdict.value,
        "reason": standing.reason,
        "effects": effect_docs(standing.judgement),
        "same_sign": agrees(first.judgement, standing.judgement) if both else None,
        "same_verdict": standing.verdict is first.verdict,
    }


def _counts(found: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many specifications there are, have an effect, agree in sign, agree in verdict, and oppose the claim's."""
    opposite = {Verdict.SUPPORTED.value: Verdict.REFUTED.value, Verdict.REFUTED.value: Verdict.SUPPORTED.value}
    own = found[0]["verdict"] if found else ""
    return {
        "specifications": len(found),
        "measured": sum(spec["same_sign"] is not None for spec in found),
        "same sign": sum(spec["same_sign"] is True for spec in found),
        "same verdict": sum(spec["same_verdict"] for spec in found),
        "opposite verdict": sum(spec["verdict"] == opposite.get(own) for spec in found),
    }


def each(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every specification in words: what it changes, and what came of it."""
    own = {name: values[0] for name, values in entry["dimensions"].items()}
    for spec in entry["specifications"]:
        changed = [f"{name} = {value}" for name, value in spec["choices"].items() if value != own[name]]
        yield ", ".join(changed) or "as the claim is", spec["verdict"]
