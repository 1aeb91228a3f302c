"""The audit: a claim under planted faults. Each must cost it its verdict, break a control, or leave a receipt that says so."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..claim import Claim
from ..subjects.lm import LM
from ..verdict import Verdict
from .audit_faults import FAULTS, HALF_MISSING, MEASURED, OUTLIER, SHARED, WATCHING, Fault, Log, wild
from .inject import Injector
from .item import Item, Subject, items_of
from .judging import Standing
from .keys import Keys
from .measure import Measurer, Part, Replicate, Shared
from .result import control_ok
from .session import Session
from .subjects import Subjects
from .trust import digests

Say = Callable[[str], None]


@dataclass(frozen=True)
class Found:
    """What came of one fault. outcome: "noticed", "kept" (an outlier that turned nothing), "unnoticed", "exempt" or "absent"."""

    outcome: str
    by: str
    reason: str
    verdict: str | None = None

    def to_json(self) -> dict[str, Any]:
        """For the committed file and the report."""
        return {"outcome": self.outcome, "by": self.by, "verdict": self.verdict, "reason": self.reason}

    @property
    def defect(self) -> bool:
        """Whether it speaks against the claim."""
        return self.outcome == "unnoticed"


class _Subjects(Subjects):
    """Subjects handed out with a fault; shares what the plain ones have loaded."""

    def __init__(self, plain: Subjects, fault: Fault, log: Log) -> None:
        self.__dict__.update(vars(plain))
        self._fault, self._log = fault, log

    def get(self, subject: Subject, index: int) -> LM | None:
        lm = super().get(subject, index)
        return lm and self._fault.lm(lm, self._log)


class Planted(Measurer):
    """Measures under a fault, by the same path as ever, into entries of its own."""

    def __init__(self, plain: Measurer, fault: Fault) -> None:
        self.log = Log()
        super().__init__(plain.store, _Subjects(plain.subjects, fault, self.log), plain.root)
        self.keys = Keys(self.subjects, self.runs, self.root, {"fault": [fault.name, fault.digest]})
        self.fault, self.watch = fault, plain.watch

    def _measure(self, item: Item, part: Part, index: int, shared: Shared) -> dict[str, Any]:
        self.log.reached, self.log.frame = 0, ""
        self.log.rows.clear()
        body = super()._measure(item, part, self.fault.index(index), shared)
        return {**body, "index": index, "planted": self.log.reached, "shared_rows": self.log.shared()}

    def _evaluate(self, item: Item, part: Part, injector: Injector) -> dict[str, Any]:
        found = super()._evaluate(item, part, self.fault.injector(injector, item.claim, self.log))
        if "effects" in found:
            found["effects"] = dict(self.fault.effects(found["effects"], item.claim, self.log))
        return found


def planted(session: Session, fault: Fault) -> Session:
    """A session that measures under the fault."""
    made = copy.copy(session)
    made.measurer = Planted(session.measurer, fault)
    return made


def audit(claim: Claim, claim_id: str, session: Session, excuses: Mapping[str, str], say: Say = lambda _: None) -> dict[str, Any]:
    """Audit one claim where it is SUPPORTED: on a subject of its own, else on a positive control.

    Args:
        excuses: by name of a fault, why the claim's verdict may survive it.
        say: told what is being done.

    Returns:
        JSON: subject, honest verdict, the digests of what was measured, and by fault what came of it.
    """
    say(f"{claim.name}: without a fault")
    base, honest = _base(claim, claim_id, session)
    about = {
        "subject": base.subject.name,
        "as": _role(base),
        "verdict": honest.verdict.value,
        "n": honest.n,
        "profile": session.options.profile.name,
        "digests": digests(claim, session.measurer.keys.code([claim.function])),
    }
    if honest.verdict is not Verdict.SUPPORTED:
        return {**about, "faults": {}, "reason": f"SUPPORTED nowhere, so there is nothing to lose: {honest.reason}"}
    found = {}
    for fault in FAULTS:
        say(f"{claim.name}: {fault.title}")
        came = _under(fault, base, honest, session)
        if came.defect and fault.name in excuses:
            came = replace(came, outcome="exempt", by="card", reason=excuses[fault.name])
        found[fault.name] = {"title": fault.title, **came.to_json()}
    return {**about, "faults": found, "reason": ""}


@dataclass(frozen=True)
class _Honest:
    verdict: Verdict
    reason: str
    n: int
    replicates: tuple[Replicate, ...]


def judged_alone(claim: Claim) -> Claim:
    """The claim without what cannot turn its verdict: pictures and variants that bind nothing."""
    return replace(claim, variants=tuple(v for v in claim.variants if v.binding), shows=())


def _base(claim: Claim, claim_id: str, session: Session) -> tuple[Item, _Honest]:
    """The item that is audited, judged as a run judges it, binding variants included, and how it comes out by itself."""
    items = items_of(judged_alone(claim), claim_id, with_controls=True)
    places = [item for item in items if item.control is None or item.control.kind == "positive"]
    first: tuple[Item, _Honest] | None = None
    for item in sorted(places, key=lambda item: item.control is not None):
        standing, replicates = _settled(session, item)
        found = item, _Honest(standing.verdict, standing.reason, len(replicates), tuple(replicates))
        if standing.verdict is Verdict.SUPPORTED:
            return found
        first = first or found
    assert first is not None
    return first


def _role(item: Item) -> str:
    return "the claim itself" if item.control is None else f"the positive control {item.control.name}"


def _settled(session: Session, item: Item) -> tuple[Standing, list[Replicate]]:
    """As `settle`, but binding variants are measured only where the rest is SUPPORTED: they can take that, and give nothing."""
    alone = replace(item, claim=replace(item.claim, variants=()))
    found = settle(session, alone)
    return settle(session, item) if item.claim.variants and found[0].verdict is Verdict.SUPPORTED else found


def settle(session: Session, item: Item, replicates: Sequence[Replicate] = ()) -> tuple[Standing, list[Replicate]]:
    """Measure an item until it is decided, after the replicates given; where it stands and on which replicates.

    Beyond the first look nothing is trained for it: it stands as it does there.
    """
    have = list(replicates)
    standing = session.stand(item, have)
    while standing.wants > len(have) and (session.measurer.ready(item, len(have)) or len(have) < session.first_look(item)):
        replicate = session.measurer.replicate(item, len(have))
        assert replicate is not None
        have.append(replicate)
        standing = session.stand(item, have)
    return standing, have


def _under(fault: Fault, base: Item, honest: _Honest, session: Session) -> Found:
    if fault is OUTLIER:
        return _outlier(base, honest, session)
    if fault is HALF_MISSING:
        standing = session.stand(base, honest.replicates[::2])
        return _verdict(standing) or Found("unnoticed", "", f"{standing.reason}, on half of the replicates", "SUPPORTED")
    assert fault in MEASURED
    faulty = planted(session, fault)
    if fault.name == "leak":
        return _leak(fault, base, session, faulty)
    if not _takes_hold(replace(base, claim=replace(base.claim, variants=())), faulty):
        return Found("absent", "", fault.absent)
    standing, _ = _settled(faulty, base)
    return _verdict(standing) or _by_controls(base, faulty) or _stands(standing)


def _takes_hold(base: Item, faulty: Session) -> bool:
    """Whether the fault changes anything in the first two replicates; a part that ends in a problem counts as one that did."""
    for index in range(2):
        replicate = faulty.measurer.replicate(base, index)
        assert replicate is not None
        if replicate.fatal or replicate.parts.get("effect:", {}).get("planted"):
            return True
    return False


def _stands(standing: Standing) -> Found:
    return Found("unnoticed", "", standing.reason, standing.verdict.value)


_BY = {
    Verdict.INVALID: "receipt",
    Verdict.ERROR: "error",
    Verdict.NOT_APPLICABLE: "precondition",
    Verdict.REFUTED: "verdict",
    Verdict.INCONCLUSIVE: "verdict",
}


def _verdict(standing: Standing) -> Found | None:
    """How the verdict gives a fault away; None where it is SUPPORTED still."""
    if standing.verdict is Verdict.SUPPORTED:
        return None
    return Found("noticed", _BY[standing.verdict], standing.reason, standing.verdict.value)


def _by_controls(base: Item, faulty: Session) -> Found | None:
    """The first positive or negative control that does not come out as it must under the fault."""
    for item in items_of(base.claim, base.claim_id, with_controls=True):
        control = item.control
        if control is None or control.kind == "guard" or (control.on is None and item.subject != base.subject):
            continue
        standing, _ = settle(faulty, item)
        profile = faulty.options.profile.name
        if control_ok(control.expected, standing.verdict, profile, item.subject.kind, control.on) is False:
            said = f"the {control.kind} control {control.name!r} comes out {standing.verdict}: {standing.reason}"
            return Found("noticed", "control", said, Verdict.SUPPORTED.value)
    return None


def _leak(fault: Fault, base: Item, session: Session, faulty: Session) -> Found:
    """Choosing on the data that is measured: the receipt of data tells, whatever the verdict."""
    leaked, healthy = shared_data(base, faulty), shared_data(base, planted(session, WATCHING))
    if healthy[1] > SHARED:
        return Found("unnoticed", "", f"{_share(healthy)}: also without the fault", Verdict.SUPPORTED.value)
    if leaked[1] <= SHARED:
        return Found("absent", "", fault.absent)
    return Found("noticed", "receipt of data", _share(leaked))


def shared_data(item: Item, watched: Session) -> tuple[str, float]:
    """The step that shares most of its data with the effect, and the part shared, in the first replicate of an item."""
    alone = replace(item, claim=replace(item.claim, variants=(), shows=()))
    replicate = watched.measurer.replicate(alone, 0)
    assert replicate is not None
    return _most_shared(replicate.parts.get("effect:", {}))


def _most_shared(body: Mapping[str, Any]) -> tuple[str, float]:
    shared: Mapping[str, float] = body.get("shared_rows", {})
    return max(shared.items(), key=lambda found: found[1], default=("", 0.0))


def _share(found: tuple[str, float]) -> str:
    return f"the model was run on {100 * found[1]:.0f} % of the effect's rows in the step {found[0]!r} too"


def _outlier(base: Item, honest: _Honest, session: Session) -> Found:
    """One replicate that speaks wildly against the verdict, and as many further ones as the schedule then asks for."""
    first = honest.replicates[0]
    effects = {name: wild(region, against=True) for name, region in base.claim.holds.items()}
    taken = [name for name in first.parts if name in ("effect:", "rerun:")]
    changed = {name: {**first.parts[name], "effects": effects} for name in taken}
    outlier = Replicate(first.index, {**first.parts, **changed})
    standing, have = settle(session, base, [outlier, *honest.replicates[1:]])
    if standing.verdict is Verdict.INCONCLUSIVE and standing.wants > len(have):
        return Found("absent", "", f"with an outlier it takes {standing.wants} seeds, of which {len(have)} are recorded")
    if standing.verdict is honest.verdict:
        return Found("kept", "verdict", standing.reason, standing.verdict.value)
    said = f"one outlier turned {honest.verdict} into {standing.verdict}: {standing.reason}"
    return Found("unnoticed", "verdict", said, standing.verdict.value)
