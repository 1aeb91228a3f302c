"""The check of a claim for its author: everything a reviewer would ask, one line each, with what to do."""

from __future__ import annotations

import ast
import inspect
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..claim import Claim
from ..control import Control
from ..errors import ClaimbenchError
from ..step import choices_of, reach
from . import committed
from .audit import audit, planted, shared_data
from .audit_faults import FAULTS, SHARED, WATCHING
from .audit_run import excuses_of, finding_of
from .item import Item, items_of
from .pure import impurity
from .session import Session
from .trust import AUDIT, kept
from .trust_commands import speaks_against

LONGEST = 60
#: What belongs into the harness and not into a claim, by what it would be used for.
FOREIGN = {"scipy": "statistics", "statsmodels": "statistics", "pathlib": "files", "os": "files", "torch": "network code"}
CALLS = {
    "open": "files",
    "register_forward_hook": "hooks",
    "register_forward_pre_hook": "hooks",
    "default_rng": "randomness of its own",
    "seed": "global randomness",
}


@dataclass(frozen=True)
class Line:
    """One check. state: "ok", "FAIL" (must be mended), "ask" (a reviewer will), or "skip"."""

    state: str
    name: str
    text: str


#: Minutes that a claim may be measured for, unless more are asked for.
MINUTES = 10.0
Say = Callable[[float, float, str], None]


class _TimeIsUp(Exception):
    """Nothing further may be measured; what is stored is still judged."""


@dataclass
class _Clock:
    """Tells what is being measured, and ends it when the time is up."""

    seconds: float
    say: Say
    began: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        return self.seconds - (time.monotonic() - self.began)

    def __call__(self, what: str) -> None:
        if self.left <= 0:
            raise _TimeIsUp
        self.say(self.seconds - self.left, self.seconds, what)


def check(
    claim: Claim,
    claim_id: str,
    session: Session,
    root: Path,
    *,
    measure: bool = True,
    minutes: float = MINUTES,
    say: Say = lambda *_: None,
) -> Iterator[Line]:
    """Every check of a claim; those that measure come last, and use the session's store.

    Args:
        minutes: how long it may be measured. What is not decided by then is a line of state "skip", and what was measured
            is kept, so that another call goes on from there.
        say: told (seconds gone, seconds in all, what) before every measurement.
    """
    yield from written(claim)
    yield from fixed_in_advance(claim)
    yield from questions(claim)
    if not measure:
        return
    clock = _Clock(60 * minutes, say)
    session.measurer.watch = clock
    for checked in (_purity, _controls, _verdicts, _data, _audit):
        name = checked.__name__.lstrip("_")
        try:
            yield from checked(claim, claim_id, session, root, clock)
        except _TimeIsUp:
            yield Line("skip", name, "the time was up before it was measured")
        except ClaimbenchError as error:
            yield Line("FAIL", name, str(error))


# ---- what is written


def written(claim: Claim) -> Iterator[Line]:
    """Card, docstring, length, and that the claim holds only what belongs into one."""
    try:
        finding = finding_of(claim)
    except ClaimbenchError as error:
        yield Line("FAIL", "card", str(error))
        return
    if finding is None:
        yield Line("FAIL", "card", f"no entry of {claim.finding} in the paper.toml beside it: add a [[finding]]")
    elif finding.reason:
        yield Line("FAIL", "card", f"the card still calls {claim.finding} only registered: take its `reason` away")
    else:
        yield Line("ok", "card", finding.title)
    if claim.protocol:
        yield Line("ok", "docstring", f"estimates: {claim.statement}")
    else:
        yield Line("FAIL", "docstring", "its first line says what is estimated; below it must stand how (data, choice, measure)")
    lines = len(inspect.getsource(claim.function).splitlines())
    state, advice = ("ok", "") if lines <= LONGEST else ("FAIL", ": move computations into steps or measures")
    yield Line(state, "length", f"{lines} lines with its declaration, at most {LONGEST}{advice}")
    foreign = sorted(set(_foreign(claim)))
    if foreign:
        yield Line("FAIL", "contents", f"{'; '.join(foreign)}: a claim has no statistics, hooks, files or randomness of its own")
    else:
        yield Line("ok", "contents", "no statistics, hooks, files or randomness of its own")


def _foreign(claim: Claim) -> Iterator[str]:
    for node in ast.walk(ast.parse(Path(claim.file).read_bytes())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from (f"it imports {name} ({FOREIGN[name.partition('.')[0]]})" for name in names if name.partition(".")[0] in FOREIGN)
    for function in _functions(claim):
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
            if isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if called in CALLS:
                    yield f"{function.__name__} calls {called} ({CALLS[called]})"


def _functions(claim: Claim) -> Iterable[Callable[..., Any]]:
    steps = [requirement.step.function for requirement in claim.requires] + [shown.function for shown in claim.shows]
    return dict.fromkeys(reached for function in (claim.function, *steps) for reached in reach(function))


# ---- what is fixed in advance


def fixed_in_advance(claim: Claim) -> Iterator[Line]:
    """The lock with all its amendments, and the committed verdicts."""
    lock = committed.lock_of(claim)
    if lock is None:
        yield Line("FAIL", "lock", "not locked: run `claimbench lock` before measuring")
    elif lock["hash"] != committed.protocol_hash(claim):
        yield Line("FAIL", "lock", f"changed since it was locked on {lock['date']}: run `claimbench lock --reason '...'`")
    elif committed.others_than_recorded(claim):
        yield Line("FAIL", "lock", str(lock["amended"]))
    else:
        when = "after a measurement existed" if lock["measured_before"] else "before anything was measured"
        yield Line("ask" if lock["measured_before"] else "ok", "lock", f"{lock['hash']} of {lock['date']}, {when}")
    for change in committed.amendments_of(claim):
        what = f" ({', '.join(change['changed'])})" if change.get("changed") else ""
        late = ", after a measurement" if change["measured_before"] else ""
        yield Line("ask", "amendment", f"{change['date']}{what}{late}: {change['reason']}")
    entries = committed.read(committed.folder_of(claim), committed.EXPECTED).get(claim.name, {})
    missing = [name for name in claim.on.names if name not in entries]
    if missing:
        yield Line("FAIL", "expected", f"no committed verdict on {', '.join(missing)}: add it to expected.json with its reason")
    else:
        yield Line("ok", "expected", f"committed for {', '.join(entries) or 'no subject'}")


# ---- what a reviewer asks


def questions(claim: Claim) -> Iterator[Line]:
    """What can be seen from the declaration alone."""
    planted_on = [control for control in claim.controls if control.kind == "positive"]
    for control in planted_on:
        if control.on in claim.on.names and not control.overrides:
            text = f"{control.name!r} is the subject itself: plant the effect (a constructed net, a replaced step)"
            yield Line("FAIL", "positive control", text)
    if not any(control.kind == "negative" and control.overrides for control in claim.controls):
        text = "every negative is another subject: does one exist that meets the preconditions and replaces a step or an arm?"
        yield Line("ask", "negative control", text)
    if not any(control.kind == "guard" for control in claim.controls):
        yield Line("ask", "guard", "none: on which subject must the claim say NOT_APPLICABLE?")
    choices = choices_of(claim.function)
    tried = {name for variant in claim.variants for name in variant.choices}
    for name in ("mode", "bos", "source"):
        if name in choices and name not in tried:
            yield Line("ask", "variants", f"no variant changes {name!r}: would another choice have the same sign?")
    for name, region in claim.holds.items():
        yield Line("ask", "region", f"{'' if name == 'effect' else f'{name} '}{region}: {claim.why}")


# ---- what is measured


def _own(claim: Claim, claim_id: str) -> list[Item]:
    return [item for item in items_of(claim, claim_id) if item.control is None]


def _purity(claim: Claim, claim_id: str, session: Session, root: Path, clock: _Clock) -> Iterator[Line]:
    item = _own(claim, claim_id)[0]
    clock(f"{item.label}, three replicates in two fresh processes")
    try:
        found = impurity(item, session.options, root, clock.left)
    except TimeoutError:
        raise _TimeIsUp from None
    if found:
        yield Line("FAIL", "purity", f"{found}: use only the arguments, no clock, no state of the module, no file")
    else:
        yield Line("ok", "purity", "three replicates are the same in a fresh process and in another order")


def _run(item: Item, session: Session) -> dict[str, Any] | str:
    """The result of an item, or how far it came."""
    try:
        return session.run(item)
    except _TimeIsUp:
        standing, replicates = session.replay(item)
        return f"the time was up after {len(replicates)} of the {standing.wants} replicates that it wants next"


def _controls(claim: Claim, claim_id: str, session: Session, root: Path, clock: _Clock) -> Iterator[Line]:
    for item in items_of(claim, claim_id, with_controls=True):
        control: Control | None = item.control
        if control is None:
            continue
        result = _run(item, session)
        if isinstance(result, str):
            yield Line("skip", "control", f"{control.kind} {control.name!r}: {result}")
            continue
        state = {True: "ok", False: "FAIL", None: "ask"}[result["control"]["ok"]]
        said = f"{control.kind} {control.name!r}: {result['verdict']}"
        advice = "" if state == "ok" else f", expected {control.expected}: {result['reason']}"
        yield Line(state, "control", said + advice)


def _verdicts(claim: Claim, claim_id: str, session: Session, root: Path, clock: _Clock) -> Iterator[Line]:
    for item in _own(claim, claim_id):
        result = _run(item, session)
        if isinstance(result, str):
            yield Line("skip", "verdict", f"on {item.subject.name}: {result}")
            continue
        state = "FAIL" if result["unexpected"] or result["verdict"] in ("INVALID", "ERROR") else "ok"
        wanted = f", committed is {result['expected']['verdict']}" if result["unexpected"] else ""
        yield Line(state, "verdict", f"{result['verdict']} on {item.subject.name}{wanted}: {result['reason']}")


def _data(claim: Claim, claim_id: str, session: Session, root: Path, clock: _Clock) -> Iterator[Line]:
    step, part = shared_data(_own(claim, claim_id)[0], planted(session, WATCHING))
    if part > SHARED:
        text = f"{100 * part:.0f} % of the effect's rows were run in the step {step!r} too: is anything chosen on them?"
        yield Line("ask", "data", text)
    else:
        yield Line("ok", "data", "no step ran the model on the data that the effect is measured on")


def _audit(claim: Claim, claim_id: str, session: Session, root: Path, clock: _Clock) -> Iterator[Line]:
    """The committed audit where it is of this code and protocol, else a new one."""
    from ..reporting import words

    begun: list[str] = []
    entry, made = kept(claim, AUDIT), ""
    if entry is not None and not entry["stale"]:
        made = " (as committed)"
    else:
        try:
            entry = audit(claim, claim_id, session, excuses_of(claim), begun.append)
        except _TimeIsUp:
            planted_so_far = f"{max(len(begun) - 2, 0)} of {len(FAULTS)} faults"
            yield Line("skip", "audit", f"the time was up after {planted_so_far}; `claimbench audit` takes its time")
            return
    yield Line("FAIL" if speaks_against(entry) else "ok", "audit", words.trust(entry) + made)
    for name, found in entry["faults"].items():
        if found["outcome"] == "unnoticed":
            advice = f"mend it, or say why in the card under [finding.unnoticed], {name} = '...'"
            yield Line("FAIL", "audit", f"{found['title']}: {found['reason']}; {advice}")
