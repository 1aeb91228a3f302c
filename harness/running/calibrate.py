"""Calibration: how often a claim's own verdicts are right, measured on verdicts whose answer is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..claim import Claim
from ..control import Control
from ..effect import Value
from ..errors import UsageError
from ..verdict import Verdict
from .fresh import CALIBRATION, renewable, replicates_from, whole_verdict
from .item import Item, Subject, items_of, named_subject
from .judging import effects_of
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
        return Item(self.claim, self.identity, self.subject, self.control)

    @property
    def direct(self) -> bool:
        """Whether fresh verdicts can be had; else a pool of the subject's own seeds is drawn from."""
        return renewable(self.subject)

    @property
    def whole(self) -> bool:
        """Whether blocks are measured up to the largest look, for their effects to be moved to the edge."""
        typical = any(region.of == "typical" for region in self.claim.holds.values())
        return self.what != "null" and self.direct and typical


def trials_of(claim: Claim, identity: str) -> list[Trial]:
    """Positive and negative controls, and the claim's own subjects for their spread.

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
    return found + [Trial(claim, identity, "edge", subject, None) for subject in own if subject.kind == "family"]


def block(trial: Trial, session: Session, number: int) -> Block:
    """One whole verdict of a trial on fresh replicates, with the effects that were measured."""
    start = CALIBRATION + number * session.design(trial.item).most
    standing, replicates = whole_verdict(session, trial.item, start, trial.whole)
    return {"verdict": standing.verdict.value, "effects": [_plain(effects_of(one)) for one in replicates if one.passed]}


def pool(trial: Trial, session: Session) -> Block:
    """The effects of a trial on all seeds of its subject: those that verdicts use, so nothing fresh."""
    most = session.design(trial.item).most
    return {"effects": [_plain(effects_of(one)) for one in replicates_from(session, trial.item, 0, most) if one.passed]}


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
    from ..statistics import Seeds, at_the_edge, coins_at_the_edge, direct, judge, resampled, spread

    design, regions = session.design(trial.item), trial.claim.holds
    rng = stream(session.options.seed, f"calibrate/{trial.item.id}", 1)
    values = [_values(one) for one in blocks]
    together = [one for some in values for one in some]
    for name, region in regions.items():
        if region.of == "rate":
            if trial.what == "power" and isinstance(design, Seeds):
                yield _row(trial, "edge", name, coins_at_the_edge(region, design))
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
            verdicts = []
            for i, mine in enumerate(values):
                others = [one for j, some in enumerate(values) if j != i for one in some]
                verdicts.append(judge(at_the_edge(mine, regions, design, only=name, typical_of=others), regions, design).verdict)
            yield _row(trial, "edge", name, direct(verdicts))
        except UsageError as error:
            yield {**_nothing(trial, name, "edge"), "note": str(error)}


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
