"""A recipe: everything that determines a trained network apart from its seed, as plain values."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from ..errors import DeclarationError
from .registry import Named, name_and_options

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Stop:
    """End a stage early: `metric` (as in the curve) is above or below `level` at `times` evaluations in a row."""

    metric: str
    above: float | None = None
    below: float | None = None
    times: int = 1

    def __post_init__(self) -> None:
        if (self.above is None) == (self.below is None) or self.times < 1:
            raise DeclarationError(f'stop on "{self.metric}": give one of above= and below=, and times >= 1')

    def reached(self, value: float) -> bool:
        """Whether one evaluation satisfies the criterion."""
        return value > self.above if self.above is not None else value < float(self.below or 0.0)


@dataclass(frozen=True)
class Stage:
    """A part of the training with changed data options; what is None is the recipe's. The schedule restarts in each stage.

    release: from this stage on the heads that `live_heads` held at zero are trained too. Their values start from the initial
    weights and their outputs from zero, so nothing jumps. settle: the heads that lived before, and what
    they read, keep their weights from then on.
    """

    steps: int
    options: Values = field(default_factory=dict)
    lr: float | None = None
    batch: int | None = None
    stop: Stop | None = None
    release: bool = False
    settle: bool = False
    data: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", MappingProxyType(dict(self.options)))


@dataclass(frozen=True)
class Recipe:
    """Data, model, optimiser and stopping rule of a trained family.

    model: `class` ("llama", "gpt2" or a registered network) and values of that class's transformers config, or the keyword
    arguments of the network. std: of the initial normal weights.
    data, options: name of a registered data stream or task, and its keyword arguments. `batch` rows a step.
    optimiser, optimiser_options: name of a registered optimiser and what it takes besides lr, betas and weight_decay.
    zero: name patterns of parameters that are zero and stay so. frozen: the same, kept at their initial value; a pattern may
    end in a row range, "model.embed_tokens.weight[0:50]". scale: name pattern -> factor on the initial std.
    live_heads: layer -> number of heads that can write; the others' value and output slices are zero, until a stage releases
    them. Which heads live is drawn from the seed.
    of, prepare: another recipe, whose run at the same seed the named preparations may read (its weights, a mask from them);
    preparations act on the initial network, in order.
    clamps: named clamps that hold in every pass of training and evaluation.
    evaluate_every: steps between records of the curve. With evaluate_growth above 1 the steps at which it is recorded grow by
    that factor, but by evaluate_every at least. evaluate_start: the untrained network is recorded too, as step 0.
    probes: named probes measured at each record, on the network without clamps. curve_points: most records that are kept.
    checkpoints: steps whose weights are kept beside the final ones, if the run gets there; 0: before training.
    may_diverge: a loss that is not finite ends the run, which then says at which step; else it is an error.
    All these name a registered function, or are a pair of its name and keyword arguments.
    version: raise it when the meaning of these values changes.
    """

    name: str
    version: int
    model: Values
    data: str
    options: Values = field(default_factory=dict)
    lr: float = 1e-3
    schedule: str = "constant"
    warmup: int = 0
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    clip: float | None = None
    batch: int = 32
    steps: int = 1000
    stages: tuple[Stage, ...] = ()
    stop: Stop | None = None
    evaluate_every: int = 100
    evaluate_rows: int = 256
    std: float = 0.02
    scale: Mapping[str, float] = field(default_factory=dict)
    zero: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    live_heads: Mapping[int, int] = field(default_factory=dict)
    optimiser: str = "adamw"
    optimiser_options: Values = field(default_factory=dict)
    of: Recipe | None = None
    prepare: tuple[Named, ...] = ()
    clamps: tuple[Named, ...] = ()
    probes: tuple[Named, ...] = ()
    evaluate_growth: float = 1.0
    evaluate_start: bool = False
    curve_points: int = 20
    checkpoints: tuple[int, ...] = ()
    may_diverge: bool = False

    def __post_init__(self) -> None:
        for name in ("model", "options", "scale", "live_heads", "optimiser_options"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        if self.schedule not in ("constant", "cosine"):
            raise DeclarationError(f'recipe {self.name}: schedule "{self.schedule}" is unknown; use "constant" or "cosine"')
        if not isinstance(self.model.get("class"), str):
            raise DeclarationError(f'recipe {self.name}: model needs a "class": "llama", "gpt2" or a registered network')
        if min(self.steps, self.batch, self.evaluate_every, self.curve_points) < 1 or not self.evaluate_growth >= 1:
            raise DeclarationError(
                f"recipe {self.name}: steps, batch, evaluate_every, evaluate_growth and curve_points must be at least 1"
            )
        for name in ("prepare", "clamps", "probes"):
            if isinstance(getattr(self, name), str):
                raise DeclarationError(f"recipe {self.name}: {name} must be a tuple of names, like ({getattr(self, name)!r},)")
            for entry in getattr(self, name):
                name_and_options(entry)
        if not all(isinstance(step, int) and step >= 0 for step in self.checkpoints):
            raise DeclarationError(f"recipe {self.name}: checkpoints must be steps, 0 or more")

    def with_(self, **changes: Any) -> Recipe:
        """This recipe with some values replaced; a mapping is merged into the one it replaces."""
        known = [f.name for f in fields(self)]
        for name, value in changes.items():
            if name not in known:
                near = get_close_matches(name, known, 1)
                hint = f'; did you mean "{near[0]}"?' if near else ""
                raise DeclarationError(f'recipe {self.name}: a recipe has no "{name}"{hint}')
            if isinstance(value, Mapping):
                changes[name] = {**getattr(self, name), **value}
        return replace(self, **changes)

    @property
    def plan(self) -> tuple[Stage, ...]:
        """The stages; a recipe without any is one stage."""
        return self.stages or (Stage(self.steps, stop=self.stop),)

    @property
    def most_steps(self) -> int:
        """Steps when no stage stops early."""
        return sum(stage.steps for stage in self.plan)

    @property
    def evaluation_steps(self) -> frozenset[int]:
        """Steps at which the curve is recorded, besides the last of each stage."""
        found, step = set[int](), 0
        while step < self.most_steps:
            step = max(step + self.evaluate_every, math.ceil(step * self.evaluate_growth))
            found.add(step)
        return frozenset(found)

    def to_json(self) -> dict[str, Any]:
        """The values as JSON types. What is at its default is left out, so a later field does not change older digests."""
        plain = _plain(self)
        assert isinstance(plain, dict)
        return plain

    def digest(self) -> str:
        """sha256 of `to_json`: what a run's key rests on, together with the seed. Raise a version when a default changes."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Recipe | Stage | Stop):
        values = {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
        defaults = {f.name: f.default if f.default_factory is MISSING else f.default_factory() for f in fields(value)}
        return {name: item for name, item in values.items() if defaults[name] is MISSING or item != _plain(defaults[name])}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise DeclarationError(f"recipe: {value!r} is a {type(value).__name__}; use numbers, strings, lists and mappings")
