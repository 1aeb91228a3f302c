"""Items: one claim on one subject, as itself or as one of its controls. The unit that pytest collects and reports."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..claim import Claim
from ..control import Control
from ..errors import DeclarationError, UsageError
from ..step import Step

if TYPE_CHECKING:
    from ..training import Yours


@dataclass(frozen=True)
class Subject:
    """What an item is measured on: a family of organisms by name, or a model by name and path (or a live one)."""

    name: str
    kind: str  # "family", "model", "simulation", or "recipe" where a claim's own arms are its subject
    path: str | None = None
    series: str | None = None  # name of the series of checkpoints that it is a step of, or of the file that lists it
    step: int | None = None
    gap: str = ""  # why this step of a series cannot be judged, as far as its files tell

    @property
    def unit(self) -> str:
        """What one replicate is."""
        return "seed" if self.seeded else "prompt batch"

    @property
    def seeded(self) -> bool:
        """Whether replicates are seeds; on one given model they are batches of prompts."""
        return self.kind != "model"


@dataclass(frozen=True)
class Item:
    """A claim on a subject; `control` is None for the claim itself, `yours` where no part of it is the user's own."""

    claim: Claim
    claim_id: str
    subject: Subject
    control: Control | None = None
    yours: Yours | None = None
    replaced: Mapping[str, Any] = field(default_factory=dict)
    """What the user's part stands in place of, and what stands there."""

    @property
    def label(self) -> str:
        """What stands in brackets behind the claim's name in a node id."""
        if self.control is None:
            return self.subject.name
        place = "" if self.control.on == self.subject.name else f"{self.subject.name}: "
        return f"{self.control.kind}: {place}{self.control.name}"

    @property
    def id(self) -> str:
        """Unique and stable: the claim's id and the label."""
        return f"{self.claim_id}[{self.label}]"

    @property
    def base(self) -> str:
        """Of a pair, the family of its other half; beside a given model `--base-model` stands for it."""
        return (self.control.base if self.control else "") or self.claim.on.base

    @property
    def per_cluster(self) -> int:
        """How many replicates come from one template: only prompts have templates."""
        return 1 if self.subject.seeded else self.claim.per_cluster

    @property
    def overrides(self) -> Mapping[str, Any]:
        return self.control.overrides if self.control else self.replaced

    @property
    def arms(self) -> dict[str, Any]:
        """The recipes of the claim's arms, those that a control replaces replaced."""
        return {name: self.overrides.get(name, recipe) for name, recipe in self.claim.arms.items()}


def items_of(claim: Claim, claim_id: str, *, models: Sequence[Subject] = (), with_controls: bool = False) -> Iterator[Item]:
    """The items of a claim: its subjects, or the given models in their place, and the controls that go with them.

    Controls that override a step run on every subject, so each verdict carries its own negative; controls on other
    subjects run with `with_controls`, else they are read from the stored calibration. Of a claim without a model form
    nothing is asked at the steps of a series or of models in a file; it says that it does not apply on one given by itself.
    """
    own = [named_subject(name) for name in claim.on.organisms] or [_simulated(claim)]
    subjects = [model for model in models if claim.on.model or model.series is None] if models else own
    if not subjects:
        return
    for subject in subjects:
        yield Item(claim, claim_id, subject)
        if with_controls if subject.seeded else claim.on.model:
            for control in claim.controls:
                if control.on is None and (subject.seeded or control.runs_on_models):
                    yield Item(claim, claim_id, subject, control)
    if with_controls:
        for control in claim.controls:
            if control.on is not None:
                yield Item(claim, claim_id, named_subject(control.on), control)


def with_yours(claim: Claim, claim_id: str, yours: Yours) -> Item | None:
    """The claim with a user's own part in its place; None where it has no place for one of this kind."""
    from ..training import resolved

    place = next((place for place in claim.yours if yours.kind in place.kinds), None)
    if place is None:
        return None
    replaced = {
        name: value if isinstance(value, Step) else yours.in_place(resolved(value)) for name, value in place.overrides.items()
    }
    return Item(claim, claim_id, Subject(yours.name, _simulated(claim).kind), yours=yours, replaced=replaced)


def _simulated(claim: Claim) -> Subject:
    """The subject of a claim without networks of its own: what it simulates, or its arms."""
    return Subject(claim.on.simulation, "simulation") if claim.on.simulation else Subject("recipes", "recipe")


def named_subject(name: str) -> Subject:
    """A registered family or a shipped model by name; DeclarationError names what there is."""
    from ..subjects.family import families
    from ..subjects.shipped import shipped_models

    if name in families():
        return Subject(name, "family")
    models: Mapping[str, Path] = shipped_models()
    if name in models:
        return Subject(name, "model", str(models[name]))
    raise DeclarationError(f"no organism family or shipped model is called {name!r}: known are {', '.join([*families(), *models])}")


def model_subject(path: str, taken: Collection[str] = ()) -> Subject:
    """The subject of `--model PATH_OR_NAME`, called by the last part of its path."""
    if not path.strip():
        raise UsageError("--model '' is empty: give the folder of a model or a name in the local hub cache")
    base = path.rstrip("/").rpartition("/")[2] or path
    return Subject(free_name(base, taken), "model", path)


def free_name(base: str, taken: Collection[str]) -> str:
    """A name that is not taken: `base`, else `base-2`, ..."""
    name, count = base, 2
    while name in taken:
        name, count = f"{base}-{count}", count + 1
    return name
