"""The claim: the executable test of a finding. `@claim` declares and checks it; measuring and judging happen elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .control import Control, Place, Requirement, Variant
from .errors import DeclarationError
from .region import MOST_EFFECTS, Region
from .step import Step, check_injectable, choices_of, documentation, first_line, parameters, reach, step_named

EVIDENCE: Mapping[str, str] = {
    "instrument": "checks the instrument: true by construction or by algebra, no evidence about trained networks",
    "organism": "small networks that the suite trains, standing for themselves",
    "analogue": "small networks, or a theory, that stand in for something they are not",
    "model": "one given model",
    "replication": "the paper's own model",
}


@dataclass(frozen=True)
class TriedOn:
    """What a claim is tried on: families of organisms or a simulation, and whether a given causal language model can be."""

    organisms: tuple[str, ...]
    model: bool = True
    why_no_model: str = ""
    simulation: str = ""
    base: str = ""
    """Of a pair: the family whose net of the same seed is what the subject was derived from."""

    @property
    def names(self) -> tuple[str, ...]:
        """The subjects of the claim's own, by name; none where its arms are the subject."""
        return (*self.organisms, *filter(None, [self.simulation]))


def causal_lm(*, organism: str | Sequence[str], model: bool | str = True, base: str = "") -> TriedOn:
    """Say what a claim is tested on.

    Args:
        organism: name or names of organism families.
        model: True when any causal language model can be the subject (`--model`), else the reason why not.
        base: the family that stands for what the subject was derived from, for a claim about a pair; its functions receive
            the net of the same seed as `base_lm`, and beside a given model the one of `--base-model`.
    """
    names = (organism,) if isinstance(organism, str) else tuple(organism)
    if not names:
        raise DeclarationError("causal_lm(organism=[]) names no subject: name at least one organism family")
    return TriedOn(names, model is True, "" if model is True else str(model or "the claim has no model form"), base=base)


def simulation(name: str) -> TriedOn:
    """Say that a claim is tried on a simulation, which it runs itself: one seed a replicate, from its own `rng`.

    Args:
        name: what the report calls it, e.g. "three vectors". What is simulated lies in `claimbench.simulations` or beside
            the claim; being code that the claim reaches, it is part of what a stored measurement depends on.
    """
    if not name.strip():
        raise DeclarationError("simulation('') names nothing: say what is simulated, e.g. simulation('three vectors')")
    return TriedOn((), False, f"its subject is a simulation ({name}), not a network", name)


#: The subject of a claim about training: its own arms.
RECIPES = TriedOn((), False, "its subject is how networks learn, not a given model")


@dataclass(frozen=True)
class Documented:
    """What the paper reports, to stand beside what is measured."""

    text: str
    value: float | None = None
    unit: str = ""


@dataclass(frozen=True)
class Claim:
    """The executable test of a finding: subjects, steps, effects, regions, controls. Made by `@claim`."""

    function: Callable[..., Any]
    finding: str
    on: TriedOn
    holds: Mapping[str, Region]
    why: str
    documented: Documented
    requires: tuple[Requirement, ...]
    controls: tuple[Control, ...]
    variants: tuple[Variant, ...]
    shows: tuple[Step, ...]
    bounds: Mapping[str, float]
    most: int
    evidence: str | None
    arms: Mapping[str, Any] = field(default_factory=dict)
    distance: Mapping[str, float] = field(default_factory=dict)
    per_cluster: int = 1
    yours: tuple[Place, ...] = ()

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def paper(self) -> str:
        return self.finding.partition("/")[0]

    @property
    def statement(self) -> str:
        """What is estimated: first line of the docstring."""
        return first_line(self.function)

    @property
    def protocol(self) -> str:
        """How it is estimated: the docstring below its first line."""
        return documentation(self.function)[1]

    @property
    def file(self) -> str:
        return self.function.__code__.co_filename


def claim(
    finding: str,
    *,
    on: TriedOn | None = None,
    holds: Region | Mapping[str, Region],
    why: str,
    documented: str | Documented,
    controls: Sequence[Control],
    requires: Sequence[Requirement] = (),
    variants: Sequence[Variant] = (),
    shows: Sequence[Step] = (),
    bounds: float | Mapping[str, float] | None = None,
    most: int = 60,
    distance: float | Mapping[str, float] | None = None,
    per_cluster: int = 1,
    evidence: str | None = None,
    arms: Mapping[str, Any] | None = None,
    yours: Sequence[Place] = (),
) -> Callable[[Callable[..., Any]], Claim]:
    """Declare a claim. The decorated function yields the effect (or named effects) of one replicate.

    Args:
        finding: id of the finding in a paper card, `paper/short-name`.
        on: subjects, from `causal_lm(...)` or `simulation(...)`; left out by a claim whose subject is its arms.
        holds: the region of the typical effect in which the finding holds, or one for each named effect (at most three).
        why: where the edge of the region comes from (the paper's number, its direction only, our choice).
        documented: what the paper reports.
        controls: at least one positive and one negative control; guards besides.
        requires: preconditions, measured on data of their own.
        variants: the claim under other reasonable choices.
        shows: steps that only make observations for the reader: once per subject, and of a claim on arms at every seed, unless
            the step's scope is "subject".
        bounds: half-width at which effects are clipped when prompts are the replicates (one given model); by default 1,
            or twice the farthest edge of the region where that is more.
        most: largest number of prompt batches on one given model; where prompts come from templates, of templates.
        distance: d*, how far inside the edge, on the region's scale, an effect should still be seen. It decides nothing, and
            says for what `power` plans and what an INCONCLUSIVE is compared with. By default see
            `statistics.default_distance`.
        per_cluster: how many prompt batches come from one template, on a given model. Then the template is the replicate,
            and the function (or a step) draws it from `template`, a random stream that these batches share.
        evidence: overrides the evidence level of the subject (for `instrument` claims).
        arms: named training recipes; the function receives the run of each at the replicate's seed.
        yours: where a user's own network, optimiser or data may take a place (`--recipe`).

    Raises:
        DeclarationError: naming what is wrong and what to write instead.
    """

    def declare(function: Callable[..., Any]) -> Claim:
        regions = {"effect": holds} if isinstance(holds, Region) else dict(holds)
        judged = {name: region for name, region in regions.items() if region.of == "typical"}
        if bounds is None:
            bound = {name: max(1.0, 2 * _farthest(region)) for name, region in judged.items()}
        else:
            bound = dict.fromkeys(judged, float(bounds)) if isinstance(bounds, int | float) else dict(bounds)
        planned = dict.fromkeys(regions, float(distance)) if isinstance(distance, int | float) else dict(distance or {})
        made = Claim(
            function=function,
            finding=finding,
            on=on or RECIPES,
            holds=regions,
            why=why,
            documented=Documented(documented) if isinstance(documented, str) else documented,
            requires=tuple(requires),
            controls=tuple(controls),
            variants=tuple(variants),
            shows=tuple(shows),
            bounds=bound,
            most=most,
            evidence=evidence,
            arms=dict(arms or {}),
            distance=planned,
            per_cluster=per_cluster,
            yours=tuple(yours),
        )
        _check(made)
        return made

    return declare


def _farthest(region: Region) -> float:
    """Distance from zero of a region's farther finite edge, on the region's scale."""
    edges = [abs(region.forward(edge)) for edge in (region.low, region.high) if math.isfinite(edge)]
    return max(edges, default=0.0)


def _inside(region: Region, distance: float) -> bool:
    """Whether some effect lies that far inside an edge of the region, on its scale."""
    ends = [region.backward(region.forward(edge) + way * distance) for edge in region.edges for way in (1, -1)]
    least, most = (0.0, 1.0) if region.of == "rate" else (-math.inf, math.inf)
    return distance > 0 and any(region.low < end < region.high and least < end < most for end in ends)


def _check(made: Claim) -> None:
    where = f"claim {made.name} ({made.finding})"
    paper, slash, short = made.finding.partition("/")
    if not (paper and slash and short):
        raise DeclarationError(f"{where}: the finding id must read 'paper/short-name'")
    if not made.statement:
        raise DeclarationError(f"{where}: no docstring: its first line says what is estimated, the rest how")
    if not 1 <= len(made.holds) <= MOST_EFFECTS:
        raise DeclarationError(f"{where}: {len(made.holds)} judged effects; allowed are 1 to {MOST_EFFECTS}")
    if made.on is RECIPES and not made.arms:
        raise DeclarationError(f"{where}: no subject: give on=causal_lm(...), or arms={{name: recipe}} for a claim about training")
    _check_lm_is_there(made, where)
    typical = {name: region for name, region in made.holds.items() if region.of == "typical"}
    if set(made.bounds) != set(typical):
        raise DeclarationError(f"{where}: bounds name {sorted(made.bounds)}, the typical effects are {sorted(typical)}")
    for name, region in typical.items():
        if not made.bounds[name] > _farthest(region):
            raise DeclarationError(
                f"{where}: effect {name!r} is clipped at {made.bounds[name]:g}, and its region is {region}: "
                "the bound must lie beyond every edge"
            )
    for name, distance in made.distance.items():
        if name not in made.holds or not _inside(made.holds[name], distance):
            raise DeclarationError(
                f"{where}: a distance of {distance:g} for {name!r}: name one of {', '.join(made.holds)}, with a distance above "
                "0 that does not leave its region"
            )
    if made.per_cluster < 1:
        raise DeclarationError(f"{where}: per_cluster={made.per_cluster} is no number of prompt batches: use 1 or more")
    if made.evidence is not None and made.evidence not in EVIDENCE:
        raise DeclarationError(f"{where}: evidence {made.evidence!r} is unknown: use one of {', '.join(EVIDENCE)}")
    kinds = {control.kind for control in made.controls}
    if missing := {"positive", "negative"} - kinds:
        raise DeclarationError(
            f"{where}: no {' and no '.join(sorted(missing))} control: a claim must be shown to come out SUPPORTED "
            "where the effect is planted and REFUTED where it is lacking (a guard replaces neither)"
        )
    if not made.on.base and any("base_lm" in parameters(found) for found in _all_reached(made)):
        raise DeclarationError(f'{where}: it asks for base_lm, and names none: write causal_lm(organism=..., base="family")')
    if not made.on.base and (found := next((control.base for control in made.controls if control.base), "")):
        raise DeclarationError(f'{where}: a control names the base "{found}", and the claim no pair: causal_lm(..., base=...)')
    names = [control.name for control in made.controls] + [variant.name for variant in made.variants]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise DeclarationError(f"{where}: two controls or variants are called {doubled[0]!r}: give one a label")
    arms = frozenset(made.arms)
    for function in (made.function, *(shown.function for shown in made.shows)):
        check_injectable(function, arms)
    for requirement in made.requires:
        check_injectable(requirement.step.function, arms)
    _check_overrides(made, where)


def _all_reached(made: Claim) -> Iterator[Callable[..., Any]]:
    """The claim's function, its pictures and preconditions, and every step that these reach."""
    for function in (made.function, *(s.function for s in made.shows), *(r.step.function for r in made.requires)):
        yield from reach(function)


def _check_lm_is_there(made: Claim, where: str) -> None:
    """A simulation, or arms alone, leave nothing to inject as `lm`."""
    if made.on.organisms or made.on.model:
        return
    for found in _all_reached(made):
        if {"lm", "base_lm", "siblings"} & set(parameters(found)):
            kind = "a simulation" if made.on.simulation else "what its arms yield"
            raise DeclarationError(f"{where}: {found.__name__} asks for a network to look into, and its subject is {kind}")


def _check_overrides(made: Claim, where: str) -> None:
    functions = [made.function, *(r.step.function for r in made.requires)]
    choices = {name: value for function in functions for name, value in choices_of(function).items()}
    steps = {name for function in functions for name in _steps_reached(function)}
    for control in made.controls:
        for name, value in control.overrides.items():
            if name in choices:
                continue
            if name not in steps and name not in made.arms:
                known = sorted({*choices, *steps, *made.arms})
                raise DeclarationError(
                    f"{where}: control {control.name!r} overrides {name!r}, which is no step, arm or choice of it: "
                    f"known are {', '.join(known) or 'none'}"
                )
            if isinstance(value, Step):
                check_injectable(value.function, frozenset({name, *made.arms}))
    for place in made.yours:
        for name, value in place.overrides.items():
            if name not in (steps if isinstance(value, Step) else made.arms):
                what = "step" if isinstance(value, Step) else "arm"
                raise DeclarationError(f"{where}: yours(...) overrides {name!r}, which is no {what} of it")
            if isinstance(value, Step):
                check_injectable(value.function, frozenset({name, *made.arms}))
    for variant in made.variants:
        for name in variant.choices:
            if name not in choices:
                raise DeclarationError(
                    f"{where}: variant {variant.name!r} changes {name!r}, which is no choice of it: "
                    f"known are {', '.join(sorted(choices)) or 'none'} (parameters with a default)"
                )


def _steps_reached(function: Callable[..., Any]) -> set[str]:
    found: set[str] = set()
    pending = [function]
    while pending:
        current = pending.pop()
        for name in parameters(current):
            reached = step_named(current, name)
            if reached is not None and name not in found:
                found.add(name)
                pending.append(reached.function)
    return found
