"""A recipe: everything that determines a trained network apart from its seed, as plain values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from ..errors import DeclarationError

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

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", MappingProxyType(dict(self.options)))


@dataclass(frozen=True)
class Recipe:
    """Data, model, optimiser and stopping rule of a trained family.

    model: `class` ("llama" or "gpt2") and values of that class's transformers config. std: of the initial normal weights.
    data, options: name of a registered data stream, and its keyword arguments. `batch` rows a step.
    zero: name patterns of parameters that are zero and stay so. frozen: the same, kept at their initial value; a pattern may
    end in a row range, "model.embed_tokens.weight[0:50]". scale: name pattern -> factor on the initial std.
    live_heads: layer -> number of heads that can write; the others' value and output slices are zero, until a stage releases
    them. Which heads live is drawn from the seed.
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

    def __post_init__(self) -> None:
        for name in ("model", "options", "scale", "live_heads"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        if self.schedule not in ("constant", "cosine"):
            raise DeclarationError(f'recipe {self.name}: schedule "{self.schedule}" is unknown; use "constant" or "cosine"')
        if self.model.get("class") not in ("llama", "gpt2"):
            raise DeclarationError(f'recipe {self.name}: model class {self.model.get("class")!r}; use "llama" or "gpt2"')
        if min(self.steps, self.batch, self.evaluate_every) < 1:
            raise DeclarationError(f"recipe {self.name}: steps, batch and evaluate_every must be at least 1")

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
