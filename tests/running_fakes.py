"""Items, subjects and sessions without pytest, networks or files of claims: numbers stand for what is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from claimbench import above, causal_lm, claim, negative, positive, step
from claimbench.claim import Claim
from claimbench.running.item import Item, Subject
from claimbench.running.measure import Replicate
from claimbench.running.options import checked
from claimbench.running.session import Session
from claimbench.subjects import family as room
from claimbench.subjects.family import Built, Family, register
from claimbench.subjects.lm import LM
from claimbench.subjects.tokens import Tokens


class Net:
    """Stands for a network that is never run."""

    def eval(self) -> Net:
        return self

    def requires_grad_(self, flag: bool) -> Net:
        return self

    def parameters(self) -> tuple[()]:
        return ()

    buffers = parameters


def fake_lm(level: float, digest: str) -> LM:
    """A given model that is a number."""
    return LM(Net(), tokens=Tokens(range(20)), digest=digest, facts={"level": level})


def fake_family(name: str, levels: Sequence[float], seeds: int = 11, version: int = 1) -> Family:
    """A family whose seed s has the level levels[s % len(levels)]; takes the place of one of the same name."""
    room._FAMILIES.pop(name, None)

    def make(seed: int) -> Built:
        return Built(Net(), Tokens(range(20)), {"level": levels[seed % len(levels)]})

    made = Family(
        name,
        name,
        "organism",
        version,
        seeds,
        make,
        source=f"{levels}/{seeds}",
        content=lambda s: repr(levels[s % len(levels)]),
    )
    return register(made)


@step
def level(lm: Any) -> float:
    """Level."""
    found: float = lm.facts["level"]
    return found


@step
def nothing(level: float) -> float:
    """No level."""
    return 0.0


def effect_is_large(level: float, rng: Any, factor: float = 1.0) -> float:
    """Level with noise."""
    return factor * level + 0.01 * float(rng.normal())


def declared(function: Callable[..., Any] = effect_is_large, **arguments: Any) -> Claim:
    """A claim on the function; arguments replace the usual ones."""
    told: dict[str, Any] = {
        "finding": "toy/large",
        "on": causal_lm(organism="fake"),
        "holds": above(0.5, unit="nat"),
        "why": "our choice",
        "documented": "large",
        "controls": [positive(on="fake", label="planted"), negative(on="fake", label="lacking")],
        **arguments,
    }
    return claim(told.pop("finding"), **told)(function)


def item(made: Claim, subject: str = "fake", kind: str = "family", **more: Any) -> Item:
    return Item(made, f"claims/test_toy.py::{made.name}", Subject(subject, kind), **more)


def session(folder: Path, live: Mapping[str, LM] | None = None, **options: Any) -> Session:
    """A session with a store of its own."""
    return Session(checked(store=folder / "store", **options), live=live)


def replicate(index: int, effect: float | None, passed: bool = True, **parts: Any) -> Replicate:
    """A stored replicate of one effect named "effect"; None for one that says NOT_APPLICABLE."""
    found: dict[str, dict[str, Any]] = {"requires:level": {"passed": passed, "value": float(passed), "problem": None}}
    if effect is None:
        found["effect:"] = {"problem": {"verdict": "NOT_APPLICABLE", "reason": "needs two layers"}}
    else:
        found["effect:"] = {"problem": None, "effects": {"effect": [effect, effect]}}
    return Replicate(index, {**found, **parts})
