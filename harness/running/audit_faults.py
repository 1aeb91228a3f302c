"""Faults to plant, each at a seam of the harness and never in a claim's code, so that they fit any claim.

Seams: the subject and its interventions, the injector with its streams, the effects of a replicate, the replicates that
judging receives. A fault counts where it takes hold; where it never does, it does not apply to the claim.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from ..claim import Claim
from ..region import Region
from ..step import Step
from ..subjects.lm import LM
from .inject import Injector
from .planted_lm import Deaf, OneTreatment, Watched, as_kind
from .streams import stream

Ends = Mapping[str, list[float | None]]
#: A step and the effect share their data where this part of the effect's rows was run in the step too.
SHARED = 0.25


@dataclass
class Log:
    """What happened while one part of a replicate was measured under a fault."""

    reached: int = 0
    frame: str = ""
    rows: dict[str, set[int]] = field(default_factory=dict)

    def shared(self) -> dict[str, float]:
        """By step, the part of the effect's rows of tokens that the model was also run on in that step."""
        own = self.rows.get("", set())
        return {name: round(len(own & rows) / len(own), 4) for name, rows in self.rows.items() if name and own & rows}


class Fault:
    """One planted fault. Subclasses change one seam and count in the log where they took hold."""

    name: str
    title: str
    absent: str
    """Why it does not apply to a claim in which it never takes hold."""
    turns = True
    """Whether a sound claim must lose its verdict; where False it must keep it."""

    def index(self, index: int) -> int:
        """The replicate that is measured in place of `index`."""
        return index

    def lm(self, lm: LM, log: Log) -> LM:
        """The subject that is handed out."""
        return lm

    def injector(self, injector: Injector, claim: Claim, log: Log) -> Injector:
        """What calls the claim's function and steps."""
        return injector

    def effects(self, effects: Ends, claim: Claim, log: Log) -> Ends:
        """The effects that are stored."""
        return effects

    @property
    def digest(self) -> str:
        """Identity of the faults' code: what was measured under an older fault is not read again."""
        return _digest()


@cache
def _digest() -> str:
    from . import planted_lm

    texts = [inspect.getsource(sys.modules[__name__]), inspect.getsource(planted_lm)]
    return hashlib.sha256("".join(texts).encode()).hexdigest()[:16]


class LostWrites(Fault):
    """Interventions run, and what they write is lost."""

    name, title = "no-op", "an intervention does nothing"
    absent = "the claim intervenes on no network"

    def lm(self, lm: LM, log: Log) -> LM:
        return as_kind(lm, Deaf, log)


class SignFlipped(Fault):
    """Effects with the opposite sign: negative, reciprocal of a ratio, complement of a rate."""

    name, title = "sign", "the sign of the effect is flipped"
    absent = "its regions are symmetric: the other sign is the same finding"

    def effects(self, effects: Ends, claim: Claim, log: Log) -> Ends:
        log.reached += any(_flipped_region(region) != (region.low, region.high) for region in claim.holds.values())
        return {name: _flip(ends, claim.holds[name]) for name, ends in effects.items()}


def _turn(region: Region) -> Callable[[float], float]:
    if region.of == "rate" or region.scale == "logit":
        return lambda value: 1 - value
    if region.scale == "log":
        return lambda value: 1 / value if value else float("inf")
    return lambda value: -value


def _flip(ends: list[float | None], region: Region) -> list[float | None]:
    low, high = (None if end is None else _turn(region)(end) for end in ends)
    return [high, low]


def _flipped_region(region: Region) -> tuple[float, float]:
    turn = _turn(region)
    return turn(region.high), turn(region.low)


class _InClaim(Injector):
    """Changes what steps and arms hand to the claim's own function, and says whose computation is running."""

    def __init__(
        self, injector: Injector, claim: Claim, log: Log, change: Callable[[str, Any, Injector], Any] = lambda _, v, __: v
    ) -> None:
        self.__dict__.update(vars(injector))
        self.claim, self.log, self.change = claim, log, change

    def call(self, function: Callable[..., Any], original: str | None = None) -> Any:
        before, self.log.frame = self.log.frame, "" if function is self.claim.function else function.__name__
        try:
            return super().call(function, original)
        finally:
            self.log.frame = before

    def step(self, found: Step, original: str | None = None) -> Any:
        value = super().step(found, original)
        return self.change(found.name, value, self) if self.log.frame == "" else value


class _Arms(dict[str, Any]):
    """Arms that are not what they were; they take hold where one is asked for, which planted courses never do."""

    def __init__(self, arms: Any, log: Log) -> None:
        super().__init__(arms)
        self.log = log

    def __getitem__(self, name: str) -> Any:
        self.log.reached += 1
        return super().__getitem__(name)


def _noted(other_half: Callable[[], Any], log: Log) -> Callable[[], Any]:
    """What is handed out in place of the base of a pair; it takes hold where it is asked for."""

    def given() -> Any:
        log.reached += 1
        return other_half()

    return given


class TreatmentToControl(Fault):
    """Treatment and control are the same: the first intervention, arm, half of a pair or head of one stands for all."""

    name, title = "treatment-to-control", "the control gets the treatment"
    absent = "the claim compares no two interventions, arms or chosen heads"

    def lm(self, lm: LM, log: Log) -> LM:
        return as_kind(lm, OneTreatment, log)

    def injector(self, injector: Injector, claim: Claim, log: Log) -> Injector:
        made = _InClaim(injector, claim, log, self._first)
        if len(made.arms) > 1:
            made.arms = _Arms(dict.fromkeys(made.arms, next(iter(made.arms.values()))), log)
        made.base = _noted(lambda: injector.lm, log)
        return made

    def _first(self, name: str, value: Any, injector: Injector) -> Any:
        if not (isinstance(value, tuple) and len(value) > 1 and _are_heads(value)):
            return value
        assert isinstance(injector, _InClaim)
        injector.log.reached += len(set(value)) > 1
        return (value[0],) * len(value)


class ArmsExchanged(Fault):
    """Each arm, half of a pair, or head of one, in the place of the next."""

    name, title = "exchanged", "the arms are exchanged"
    absent = "the claim has no two arms and no pair of chosen heads"

    def injector(self, injector: Injector, claim: Claim, log: Log) -> Injector:
        made = _InClaim(injector, claim, log, self._rotated)
        if len(made.arms) > 1:
            names, runs = list(made.arms), list(made.arms.values())
            made.arms = _Arms(zip(names, [*runs[1:], runs[0]], strict=True), log)
        if claim.on.base and injector.lm is not None:
            made.lm, made.base = injector.base(), _noted(lambda: injector.lm, log)
        return made

    def _rotated(self, name: str, value: Any, injector: Injector) -> Any:
        if not (isinstance(value, tuple) and len(value) > 1 and _are_heads(value)):
            return value
        assert isinstance(injector, _InClaim)
        injector.log.reached += len(set(value)) > 1
        return (*value[1:], value[0])


class LabelsPermuted(Fault):
    """What steps say of heads is said of other heads of the same layer."""

    name, title = "labels", "labels of heads are permuted"
    absent = "no step hands heads, or numbers by head, to the claim"

    def injector(self, injector: Injector, claim: Claim, log: Log) -> Injector:
        return _InClaim(injector, claim, log, self._permuted)

    def _permuted(self, name: str, value: Any, injector: Injector) -> Any:
        assert isinstance(injector, _InClaim)
        heads = getattr(injector.lm, "heads", 1) if injector.lm is not None and _speaks_of_heads(value) else 1
        if heads < 2:
            return value
        rng = stream(injector.root, "labels permuted", injector.index)
        order = rng.permutation(heads)
        to = np.empty(heads, dtype=int)
        to[order] = np.roll(order, 1)
        if isinstance(value, np.ndarray):
            if value.shape[-1] != heads:
                return value
            injector.log.reached += 1
            return value[..., to]
        changed = type(value)((layer, int(to[head])) for layer, head in value)
        injector.log.reached += set(changed) != set(value) or changed != value
        return changed


def _are_heads(value: Iterable[Any]) -> bool:
    return all(isinstance(each, tuple) and len(each) == 2 and all(isinstance(i, int | np.integer) for i in each) for each in value)


def _speaks_of_heads(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim > 0 and value.dtype.kind == "f"
    return isinstance(value, list | tuple) and len(value) > 0 and _are_heads(value)


class Watching(Fault):
    """No fault: notes on which rows the model is run in which step, for the receipt of data."""

    name, title = "watch", "what is chosen and measured on which data"
    absent = "the claim has no steps"

    def lm(self, lm: LM, log: Log) -> LM:
        return as_kind(lm, Watched, log)

    def injector(self, injector: Injector, claim: Claim, log: Log) -> Injector:
        return _InClaim(injector, claim, log)


class _OneStream(_InClaim):
    def _argument(self, function: Callable[..., Any], name: str, parameter: Any, original: str | None) -> Any:
        if name == "rng":
            return stream(self.root, f"{self.prefix}one stream for all", self.index)
        return super()._argument(function, name, parameter, original)


class SameData(Watching):
    """Every step and the effect draw from one stream, so that heads are chosen on the data they are measured on."""

    name, title = "leak", "chosen and evaluated on the same data"
    absent = "the model is run on the same data in no step, also with one stream for all"

    def injector(self, injector: Injector, claim: Claim, log: Log) -> Injector:
        return _OneStream(injector, claim, log)


class SeedsReused(Fault):
    """Every replicate is the first one again: its network and its streams."""

    name, title = "seeds", "one seed stands for all"
    absent = "one replicate is all there is"

    def index(self, index: int) -> int:
        return 0

    def effects(self, effects: Ends, claim: Claim, log: Log) -> Ends:
        log.reached += 1
        return effects


MEASURED: tuple[Fault, ...] = (
    LostWrites(),
    SignFlipped(),
    TreatmentToControl(),
    ArmsExchanged(),
    LabelsPermuted(),
    SameData(),
    SeedsReused(),
)


class HalfMissing(Fault):
    """Every second replicate is lost before judging."""

    name, title = "half-missing", "half of the replicates are missing"
    absent = "one replicate is all there is"


class Outlier(Fault):
    """One replicate is far beyond all measure, on the side that speaks against the verdict."""

    name, title = "outlier", "one wild outlier"
    absent = "nothing is measured"
    turns = False


WILD = 1e6


def wild(region: Region, against: bool) -> list[float | None]:
    """An effect far outside the region (`against`) or deep inside it, in the region's unit."""
    inside = bool(region.contains(1.0, 1.0)) if region.of == "rate" or region.scale == "logit" else region.high == float("inf")
    up = inside != against
    if region.of == "rate":
        return [float(up)] * 2
    if region.scale == "logit":
        return [1 - 1 / WILD if up else 1 / WILD] * 2
    if not against and np.isfinite(region.low) and np.isfinite(region.high):
        middle = region.backward((region.forward(region.low) + region.forward(region.high)) / 2)
        return [middle, middle]
    if region.scale == "log":
        return [WILD if up else 1 / WILD] * 2
    return [WILD if up else -WILD] * 2


HALF_MISSING, OUTLIER, WATCHING = HalfMissing(), Outlier(), Watching()
FAULTS: tuple[Fault, ...] = (*MEASURED, HALF_MISSING, OUTLIER)
