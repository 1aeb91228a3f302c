"""Calibration: how often a claim's own verdicts are right, measured on verdicts whose answer is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..claim import Claim
from ..control import Control
from ..effect import Value
from ..errors import UsageError
from ..verdict import Verdict
from .fresh import CALIBRATION, aligned, cheap, renewable, replicates_from, whole_verdict
from .item import Item, Subject, items_of, named_subject
from .judging import effects_of
from .measure import Replicate
from .streams import stream

if TYPE_CHECKING:
    from ..statistics import SupportRate
    from .session import Session

#: Effects that differ by less than this part of their size have no spread to be judged.
NO_SPREAD = 1e-6
#: Verdicts that are drawn from a pool.
DRAWN = 200

Block = Mapping[str, Any]


@dataclass(frozen=True)
class Trial:
    """A case whose verdict is known: a control of a claim on a subject; without control the claim on its own subject."""

    claim: Claim
    identity: str
    what: str  # "null", "power", or "edge" where effects are only moved
    subject: Subject
    control: Control | None

    @property
    def item(self) -> Item:
        alone = self.claim if self.control else replace(self.claim, variants=(), shows=())  # only effects count
        return Item(alone, self.identity, self.subject, self.control)

    @property
    def direct(self) -> bool:
        """Whether fresh verdicts can be had, of a pair with fresh bases; else a pool of the subject's own seeds is drawn from."""
        fresh = renewable(self.subject) and (not self.item.base or renewable(named_subject(self.item.base)))
        return fresh or cheap(self.item)


def trials_of(claim: Claim, identity: str) -> list[Trial]:
    """Positive and negative controls, and the claim's own families and arms for their spread.

    A control that replaces a step runs on the claim's own subjects, and where those cannot be had afresh also on the
    constructed subject of a positive control: there whole verdicts cost seconds.
    """
    own = [item.subject for item in items_of(claim, identity)]
    planted = [named_subject(c.on) for c in claim.controls if c.kind == "positive" and c.on is not None]
    built = [] if any(map(renewable, own)) else [subject for subject in planted if renewable(subject)][:1]
    found = []
    for control in claim.controls:
        if control.kind == "guard":
            continue
        what = "power" if control.kind == "positive" else "null"
        places = [named_subject(control.on)] if control.on is not None else [*own, *(built if what == "null" else [])]
        found += [Trial(claim, identity, what, place, control) for place in places]
    return found + [Trial(claim, identity, "edge", subject, None) for subject in own if subject.kind in ("family", "recipe")]


def block(trial: Trial, session: Session, number: int) -> Block:
    """One whole verdict of a trial on fresh replicates, with the effects that were measured.

    Of a negative control what counts is whether it is SUPPORTED; it ends when that is settled.
    """
    start = _start(trial, session, number)
    standing, replicates = whole_verdict(session, trial.item, start, support_only=trial.what == "null")
    return {"verdict": standing.verdict.value, "effects": _effects(replicates)}


def completed(trial: Trial, session: Session, number: int) -> list[dict[str, Value]]:
    """The effects of a block up to the largest look, whatever its verdict took."""
    most = session.design(trial.item).most
    return _values({"effects": _effects(replicates_from(session, trial.item, _start(trial, session, number), most))})


def _start(trial: Trial, session: Session, number: int) -> int:
    size = trial.item.per_cluster
    return aligned(CALIBRATION, size) + number * session.design(trial.item).most * size


def _effects(replicates: Sequence[Replicate]) -> list[dict[str, Any]]:
    return [_plain(effects_of(one)) for one in replicates if one.passed]


def pool(trial: Trial, session: Session) -> Block:
    """The effects of a trial on all seeds of its subject: those that verdicts use, so nothing fresh.

    Of arms those up to the first look, and further ones as far as they are recorded or stored: a pool is worth no training.
    """
    item, design = trial.item, session.design(trial.item)
    n = next(
        (index for index in range(session.first_look(item), design.most) if not session.measurer.ready(item, index)), design.most
    )
    return {"effects": _effects(replicates_from(session, item, 0, n))}


def _plain(effects: Mapping[str, Value]) -> dict[str, Any]:
    return {name: value.to_json() for name, value in effects.items()}


def _values(block: Block) -> list[dict[str, Value]]:
    return [{name: Value.from_json(ends) for name, ends in one.items()} for one in block["effects"]]


def rates_of(trial: Trial, session: Session, blocks: Sequence[Block]) -> Iterator[dict[str, Any]]:
    """The rates that a trial's measured blocks give, as rows of the calibration."""
    from ..statistics import direct, resampled

    design, regions = session.design(trial.item), trial.claim.holds
    rng = stream(session.options.seed, f"calibrate/{trial.item.id}", 0)
    if trial.what != "edge":
        named = trial.control.name if trial.control else ""
        if trial.direct:
            yield _row(trial, trial.what, named, direct([Verdict(one["verdict"]) for one in blocks]))
        elif values := _values(blocks[0]):
            yield _row(trial, trial.what, named, resampled(values, regions, design, rng=rng, verdicts=DRAWN))
        else:
            yield {**_nothing(trial, named), "note": "no seed meets the preconditions"}
    if (trial.what == "power" and trial.direct) or trial.what == "edge":
        yield from _edges(trial, session, blocks)


def _edges(trial: Trial, session: Session, blocks: Sequence[Block]) -> Iterator[dict[str, Any]]:
    """One row for each effect, with it on the edge of its region and the others where they are."""
    from ..statistics import Seeds, at_the_edge, coins_at_the_edge, direct, resampled, spread

    design, regions = session.design(trial.item), trial.claim.holds
    rng = stream(session.options.seed, f"calibrate/{trial.item.id}", 1)
    values = [_values(one) for one in blocks]
    if trial.direct and not isinstance(design, Seeds):
        values = [completed(trial, session, number) for number in range(len(blocks))]
    together = [one for some in values for one in some]
    for name, region in regions.items():
        if region.of == "rate":
            if trial.what == "power" and isinstance(design, Seeds):
                yield _row(trial, "edge", name, coins_at_the_edge(region, design))
            continue
        if trial.item.per_cluster > 1:
            yield {**_nothing(trial, name, "edge"), "note": "effects are averages of templates, which are not moved"}
            continue
        if not together:
            yield {**_nothing(trial, name, "edge"), "note": "no replicate meets the preconditions"}
            continue
        size = max(abs(region.forward(value)) for value in region.edges) or 1.0
        if spread(together, name, region) < NO_SPREAD * size:
            yield {**_nothing(trial, name, "edge"), "note": "all effects are equal: there is no spread to move"}
            continue
        try:
            if not trial.direct:
                moved = at_the_edge(together, regions, design, only=name)
                yield _row(trial, "edge", name, resampled(moved, regions, design, rng=rng, verdicts=DRAWN))
                continue
            yield _row(trial, "edge", name, direct(list(_moved(trial, session, values, name))))
        except UsageError as error:
            yield {**_nothing(trial, name, "edge"), "note": str(error)}


def _moved(trial: Trial, session: Session, values: Sequence[Sequence[Mapping[str, Value]]], name: str) -> Iterator[Verdict]:
    """The verdict of each block with one effect moved to its edge, by what is typical of all other blocks.

    What is typical is told by as many replicates of each block as all have, those of the first look. Nearly all blocks can
    no longer be SUPPORTED then; only the others are measured on.
    """
    from ..statistics import Seeds, at_the_edge, judge, supportable

    design, regions = session.design(trial.item), trial.claim.holds
    first = session.first_look(trial.item)
    for number, mine in enumerate(values):
        others = [one for other, some in enumerate(values) if other != number for one in some[:first]]
        moved = at_the_edge(mine, regions, design, only=name, typical_of=others)
        if isinstance(design, Seeds) and not supportable(moved, regions, design):
            yield Verdict.INCONCLUSIVE
            continue
        whole = completed(trial, session, number)
        yield judge(at_the_edge(whole, regions, design, only=name, typical_of=others), regions, design).verdict


def _row(trial: Trial, what: str, of: str, rate: SupportRate) -> dict[str, Any]:
    return {
        **_nothing(trial, of, what),
        "share": round(rate.share, 4),
        "low": round(rate.low, 4),
        "high": round(rate.high, 4),
        "independent": rate.independent,
        "tier": rate.tier,
        "meets": rate.powerful if what == "power" else rate.honest,
    }


def _nothing(trial: Trial, of: str, what: str = "") -> dict[str, Any]:
    return {
        "what": what or trial.what, "of": of, "on": trial.subject.name, "share": None, "low": None, "high": None,
        "independent": 0, "tier": "none", "meets": False, "note": "",
    }  # fmt: skip
