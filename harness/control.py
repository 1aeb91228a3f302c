"""Controls, variants and preconditions: a claim with one thing overridden, and what is expected of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .errors import DeclarationError
from .step import Step, parameters
from .verdict import Verdict

ControlKind = Literal["positive", "negative", "guard"]
EXPECTED: Mapping[ControlKind, Verdict] = {
    "positive": Verdict.SUPPORTED,
    "negative": Verdict.REFUTED,
    "guard": Verdict.NOT_APPLICABLE,
}


@dataclass(frozen=True)
class Control:
    """The claim with its subject (`on`), steps, arms or choices overridden, and the verdict expected of it.

    base: of a claim about a pair, the family that stands for the other half here; "" leaves the claim's own.
    """

    kind: ControlKind
    on: str | None
    overrides: Mapping[str, Any]
    label: str | None = None
    base: str = ""

    @property
    def expected(self) -> Verdict:
        return EXPECTED[self.kind]

    @property
    def name(self) -> str:
        """Readable and stable: the subject it runs on and what it replaces."""
        if self.label:
            return self.label
        parts = [self.on] if self.on else []
        parts += [f"base = {self.base}"] if self.base else []
        parts += [_override_name(key, value) for key, value in self.overrides.items()]
        return ", ".join(parts)

    @property
    def runs_on_models(self) -> bool:
        """Whether it can run on a given model: it keeps the subject and needs no other seed of a family."""
        return self.on is None and not any("siblings" in _asks(value) for value in self.overrides.values())


def _override_name(key: str, value: Any) -> str:
    if callable(value):
        return f"{key} = {getattr(value, 'name', None) or value.__name__}"
    return f"{key} = {value}"


def _asks(value: Any) -> Mapping[str, Any]:
    function = value.function if isinstance(value, Step) else value
    return parameters(function) if callable(function) else {}


def _control(kind: ControlKind, on: str | None, base: str, label: str | None, overrides: Mapping[str, Any]) -> Control:
    if on is None and base:
        raise DeclarationError(f'{kind}(base="{base}") names one half of a pair: name both, on=... and base=...')
    if on is None and not overrides:
        raise DeclarationError(f"{kind}() overrides nothing: name another subject (on=...), a step, an arm or a choice")
    return Control(kind, on, dict(overrides), label, base)


def positive(*, on: str | None = None, base: str = "", label: str | None = None, **overrides: Any) -> Control:
    """A constructed or planted case that must come out SUPPORTED, else the claim cannot see what it looks for.

    Args:
        on: another subject. base: of a claim about a pair, the family of its other half, the same seed; else the claim's own.
        label: what reports call it.
        overrides: steps, arms and choices by name.
    """
    return _control("positive", on, base, label, overrides)


def negative(*, on: str | None = None, base: str = "", label: str | None = None, **overrides: Any) -> Control:
    """A case that meets every precondition and lacks the effect; must come out REFUTED; see `positive`."""
    return _control("negative", on, base, label, overrides)


def guard(*, on: str | None = None, base: str = "", label: str | None = None, **overrides: Any) -> Control:
    """A case that fails a precondition; must come out NOT_APPLICABLE. Never replaces a negative control; see `positive`."""
    return _control("guard", on, base, label, overrides)


@dataclass(frozen=True)
class Place:
    """Where a user's own part (`--recipe`) goes in a claim: the kinds of it that may, and what is overridden then."""

    kinds: tuple[str, ...]
    overrides: Mapping[str, Any]


#: What a user may give.
USER_KINDS = ("network", "optimiser", "data")


def yours(*kinds: str, **overrides: Any) -> Place:
    """Say where a user's own network, optimiser or data (`--recipe`) takes a place in a claim.

    Args:
        kinds: "network", "optimiser", "data".
        overrides: an arm by name, with the recipe that gets the user's part; or a step by name, with the step that takes its
            place and asks for `yours`.
    """
    if not kinds or not overrides or set(kinds) - set(USER_KINDS):
        raise DeclarationError(f"yours{kinds}: name kinds of {', '.join(USER_KINDS)}, and an arm or a step that is replaced")
    return Place(kinds, dict(overrides))


@dataclass(frozen=True)
class Variant:
    """The claim under another reasonable choice, on the same replicates; a binding one vetoes a SUPPORTED it opposes."""

    name: str
    choices: Mapping[str, Any]
    binding: bool = False


def variant(name: str, *, binding: bool = False, **choices: Any) -> Variant:
    """Declare a variant by the choices it changes, e.g. `variant("zero ablation", binding=True, mode="zero")`."""
    if not choices:
        raise DeclarationError(f"variant {name!r} changes nothing: name at least one choice, e.g. mode='zero'")
    return Variant(name, dict(choices), binding)


@dataclass(frozen=True)
class Requirement:
    """A precondition: the value of `step`, measured on data of its own, must reach `minimum`."""

    name: str
    step: Step
    minimum: float
    unit: str
    count: bool = field(default=False)  # judge the length of what the step yields

    def value(self, found: Any) -> float:
        """The number to compare with the minimum."""
        return float(len(found) if self.count else found)

    @property
    def need(self) -> str:
        """What is needed, for a reader."""
        least = f"at least {self.minimum:g}"
        return f"{self.name} ({least})" if self.count else f"{self.name} {least} {self.unit}".rstrip()

    @property
    def fixed(self) -> str:
        """What the lock covers; does not depend on how it is worded."""
        return f"{self.step.name.replace('_', ' ') if self.count else self.name} at least {self.minimum:g} {self.unit}".rstrip()


def at_least(minimum: float, unit: str, step: Step | Callable[..., Any], name: str | None = None) -> Requirement:
    """Require that a step's value reaches `minimum` (in `unit`), e.g. `at_least(0.5, "nat", gain)`."""
    found = step if isinstance(step, Step) else Step(step)
    return Requirement(name or found.name.replace("_", " "), found, float(minimum), unit)


def at_least_one(step: Step, name: str | None = None) -> Requirement:
    """Require that a step yields at least one thing, e.g. one head above its null."""
    return Requirement(name or step.name.replace("_", " "), step, 1.0, "found", count=True)
