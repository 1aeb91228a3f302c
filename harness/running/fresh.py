"""Fresh replicates: seeds and random streams that no verdict ever reads, for calibration and for pilots.

A verdict reads replicates 0, 1, 2, ... up to its largest look. Pilots and calibration read ranges of their own, far
beyond, so what they have seen can never count towards a verdict: they are burned by where they lie, whatever is
remembered of them. A constructed family makes a network of any seed, a simulation runs at any, a given model takes any
batch of prompts; a recorded family trains the seeds it has no weights for, and arms are trained.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..verdict import Verdict
from .item import Item, Subject
from .judging import Standing, stand
from .measure import Measurer, Replicate
from .runs import recorded_seconds
from .session import Session
from .subjects import Subjects

if TYPE_CHECKING:
    from ..statistics import Prompts, Seeds
    from ..subjects import LM
    from ..subjects.family import Family
    from .options import Options

#: The first index of pilot replicates, and of calibration. A verdict's own indices end far below.
PILOTS, CALIBRATION = 1_000_000, 2_000_000
#: Arms that were trained in so many seconds in all when they were recorded are trained afresh for every verdict.
CHEAP = 4.0
#: How many other seeds a fresh one can be compared with.
SIBLINGS = 10


def renewable(subject: Subject) -> bool:
    """Whether fresh replicates of a subject are as independent as its own and cost no training."""
    if subject.kind == "family":
        from ..subjects.family import family

        return family(subject.name).recipe is None
    return subject.kind in ("simulation", "model")


def cheap(item: Item) -> bool:
    """Whether fresh seeds of all the arms of an item take seconds to train, as those did that are recorded."""
    return item.subject.kind == "recipe" and recorded_seconds(item.arms.values()) <= CHEAP


class FreshSubjects(Subjects):
    """Subjects at any seed."""

    def _family(self, subject: Subject) -> Family:
        from ..subjects.family import family

        found = self._families.get(subject.name)
        if found is None:
            found = dataclasses.replace(family(subject.name), seeds=2**31, _kept=OrderedDict())
            self._families[subject.name] = found
        return found

    @property
    def _families(self) -> dict[str, Family]:
        known: dict[str, Family] = self.__dict__.setdefault("_opened", {})
        return known

    def get(self, subject: Subject, index: int) -> LM | None:
        """As of any session, without a last seed."""
        if subject.kind == "family":
            return self._family(subject).subject(index, self.device, self.dtype)
        return super().get(subject, index)

    def digest(self, subject: Subject, index: int) -> str:
        """As of any session, without a last seed."""
        return self._family(subject).digest(index) if subject.kind == "family" else super().digest(subject, index)

    def siblings(self, subject: Subject, index: int) -> Iterator[LM] | None:
        """The next seeds; None for a given model."""
        if subject.kind != "family":
            return None
        return (self._family(subject).subject(index + step, self.device, self.dtype) for step in range(1, SIBLINGS + 1))

    def seeds(self, subject: Subject) -> int | None:
        """None: there is no last one."""
        return None


def fresh_session(options: Options) -> Session:
    """A session whose subjects have no last seed."""
    session = Session(options)
    session.subjects = FreshSubjects(options.device, options.dtype, base_model=options.base_model)
    session.measurer = Measurer(session.store, session.subjects, options.seed)
    return session


def aligned(start: int, per_cluster: int) -> int:
    """The first index from `start` on at which a template begins."""
    return start + -start % per_cluster


def replicates_from(session: Session, item: Item, start: int, n: int) -> list[Replicate]:
    """`n` replicates from index `start` on, counted from 0 as a verdict counts."""
    if item.arms and n > 1:
        session.measurer.train(item, range(start, start + n))
    found = (session.measurer.replicate(item, start + i) for i in range(n))
    return [Replicate(i, one.parts) for i, one in enumerate(found) if one is not None]


def whole_verdict(session: Session, item: Item, start: int, *, support_only: bool = False) -> tuple[Standing, list[Replicate]]:
    """One verdict on replicates from index `start` on, looked at by the item's own schedule, and the replicates.

    Args:
        support_only: of a control, stop as soon as no further seed could make it SUPPORTED. Where it stands then is not
            its verdict, but SUPPORTED it is not.
    """
    design = session.design(item)
    seeds = design.most if item.subject.seeded else None
    replicates: list[Replicate] = []
    standing = stand(item, replicates, design, seeds)
    if support_only and item.arms:  # whose replicates are asked for one by one
        session.measurer.train(item, range(start, start + session.first_look(item)))
    while standing.wants > len(replicates):
        target = len(replicates) + 1 if support_only and seeds else standing.wants
        replicates += further(session, item, start, replicates, target)
        standing = stand(item, replicates, design, seeds)
        if support_only and seeds and not _supportable(item, replicates, design, seeds):
            break
    return standing, replicates


def further(session: Session, item: Item, start: int, have: Sequence[Replicate], target: int) -> list[Replicate]:
    """The replicates from index `start` on that are lacking of `target`."""
    more = replicates_from(session, item, start + len(have), target - len(have))
    return [Replicate(len(have) + one.index, one.parts) for one in more]


def _supportable(item: Item, replicates: Sequence[Replicate], design: Seeds | Prompts, seeds: int) -> bool:
    from ..statistics import deep_inside

    effects = {name: deep_inside(region).to_json() for name, region in item.claim.holds.items()}
    best = {"effect:": {"problem": None, "effects": effects}}
    filled = [*replicates, *(Replicate(index, best) for index in range(len(replicates), seeds))]
    return stand(item, filled, design, seeds).verdict is Verdict.SUPPORTED
