"""Subjects with a planted fault: the same network, handed out as another kind of `LM`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, Self

from ..interventions.changes import Change
from ..interventions.heads import Head
from ..interventions.instrument import Instrument
from ..subjects.lm import LM

if TYPE_CHECKING:
    import torch
    from numpy.random import Generator

    from ..interventions.attention import Plan
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")


class Log(Protocol):
    """What the kinds below write down."""

    reached: int
    frame: str
    rows: dict[str, set[int]]


def as_kind(lm: LM, kind: type[Planted], log: Log) -> LM:
    """The subject as another kind of subject; it shares the network and the recorder, and nothing that is checked once."""
    made = copy.copy(lm)
    made.__class__ = kind
    made._shared = dict(lm._shared)
    assert isinstance(made, Planted)
    made.log, made.first = log, {}
    return made


class Planted(LM):
    """A subject with a fault. Views of it share `log` and `first`."""

    log: Log
    first: dict[str, Any]


class DeafInstrument(Instrument):
    """Plans run, and the model goes on with what it had before."""

    log: Log

    @contextmanager
    def attached(self, plan: Plan) -> Iterator[None]:
        if plan.edit is not None:
            plan.edit = self._lost(plan.edit)
        if plan.alter is not None:
            plan.alter = self._lost(plan.alter)
        with super().attached(plan):
            yield

    def _lost(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def written(*arguments: Any) -> Any:
            before = arguments[-1]
            after = write(*arguments)
            self.log.reached += after is not before and not torch.equal(after, before)  # who only looks may hand on a copy
            return before

        return written


class Deaf(Planted):
    """Interventions run, and what they write is lost."""

    @property
    def instrument(self) -> Instrument:
        if "deaf" not in self._shared:
            made = copy.copy(super().instrument)
            made.__class__ = DeafInstrument
            assert isinstance(made, DeafInstrument)
            made.log, made.wired, made.sites_wired = self.log, {}, {}
            self._shared["deaf"] = made
        found: Instrument = self._shared["deaf"]
        return found


class OneTreatment(Planted):
    """Within the claim's own function every later intervention is the first one again."""

    def without(self, heads: Iterable[Head], mode: str = "resample", rng: Generator | None = None) -> Self:
        chosen = [(int(layer), int(head)) for layer, head in heads]
        return super().without(self._again("heads", chosen), mode, rng)

    def without_by_row(self, mask: Any, mode: str = "resample", rng: Generator | None = None) -> Self:
        if self.log.frame == "" and len(mask) > 1:
            same = mask[:1].expand_as(mask) if hasattr(mask, "expand_as") else mask[:1].repeat(len(mask), 0)
            self.log.reached += bool((same != mask).any())
            mask = same
        return super().without_by_row(mask, mode, rng)

    def _changed(self, change: Change) -> Self:
        return super()._changed(self._again("change", change))

    def _again(self, what: str, given: Any) -> Any:
        if self.log.frame != "":
            return given
        first = self.first.setdefault(what, given)
        self.log.reached += first != given if what == "heads" else str(first) != str(given)
        return first


class Watched(Planted):
    """Notes the rows of tokens that the model is run on, by the step that asks."""

    def _checked(self, ids: Any) -> torch.Tensor:
        found = super()._checked(ids)
        rows = self.log.rows.setdefault(self.log.frame, set())
        rows.update(hash(row.tobytes()) for row in found.cpu().numpy())
        return found
