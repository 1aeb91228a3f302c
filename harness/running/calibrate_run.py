"""Calibrating several claims in several processes: one task is one whole verdict, or one pool, of trials that share steps."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from ..claim import Claim
from ..errors import ClaimbenchError, UsageError
from . import workers
from .calibrate import Trial, block, pool, rates_of, trials_of
from .fresh import fresh_session
from .keep import keep_rates
from .measure import sharing
from .options import Options
from .progress import Bar
from .session import Session


def calibrate(
    claims: Mapping[str, Claim], options: Options, *, verdicts: int, jobs: int, root: Path, record: bool
) -> dict[str, list[dict[str, Any]]]:
    """Rows of calibration by claim id, in the order of the claims; what is measured is stored, so a killed run goes on.

    Args:
        verdicts: whole verdicts of each direct trial; chosen before anything is measured.
        record: commit each claim's rows in `calibration.json` as soon as they are complete.
    """
    from ..statistics.calibration import WHOLE_VERDICTS

    if verdicts < 1:
        raise UsageError(f"--verdicts {verdicts}: use at least 1, and {WHOLE_VERDICTS} or more to meet a bound")
    session, found = fresh_session(options), dict[str, list[dict[str, Any]]]()
    trials = {identity: trials_of(claim, identity) for identity, claim in claims.items()}
    with workers.processes(jobs, _start, options, root) as processes, Bar(unit="verdict") as bar:
        every, asked = _ask(processes, trials, verdicts)
        done, known = 0, sum(every.values())
        for future in as_completed(every):
            for answer in future.result():
                _checked(answer)
            done += every[future]
            bar.show(done, known, "calibrating")
            for identity in [name for name in asked if name not in found and _ready(asked[name])]:
                found[identity] = _rows(trials[identity], asked[identity], session)
                if record:
                    keep_rates(claims[identity], found[identity], date.today().isoformat())
    return {identity: found[identity] for identity in claims}


@dataclass(frozen=True)
class _Answer:
    """One trial's answer among those of a task."""

    future: Future[list[Any]]
    place: int

    def get(self) -> Any:
        return self.future.result()[self.place]


def _rows(trials: list[Trial], asked: list[list[_Answer]], session: Session) -> list[dict[str, Any]]:
    return [
        row
        for trial, answers in zip(trials, asked, strict=True)
        for row in rates_of(trial, session, [answer.get() for answer in answers])
    ]


def _ready(asked: list[list[_Answer]]) -> bool:
    return all(answer.future.done() for answers in asked for answer in answers)


def _checked(answer: Any) -> None:
    if isinstance(answer, str):
        raise ClaimbenchError(answer)


def _ask(
    processes: ProcessPoolExecutor, trials: Mapping[str, list[Trial]], verdicts: int
) -> tuple[dict[Future[list[Any]], int], dict[str, list[list[_Answer]]]]:
    """Every task with its number of verdicts, and each trial's answers.

    A task is one verdict of all trials whose steps have something in common: at the same indices it is computed once.
    """
    alike: dict[tuple[bool, Hashable], list[Trial]] = {}
    for mine in trials.values():
        for trial in mine:
            alike.setdefault((trial.direct, sharing(trial.item)), []).append(trial)
    every: dict[Future[list[Any]], int] = {}
    answers: dict[int, list[_Answer]] = {}
    for (direct, _), group in alike.items():
        orders = [_order(trial) for trial in group]
        for number in range(verdicts) if direct else (-1,):
            future = processes.submit(_measure, orders, number)
            every[future] = len(group)
            for place, trial in enumerate(group):
                answers.setdefault(id(trial), []).append(_Answer(future, place))
    return every, {identity: [answers[id(trial)] for trial in mine] for identity, mine in trials.items()}


def _order(trial: Trial) -> tuple[Any, ...]:
    control = trial.claim.controls.index(trial.control) if trial.control is not None else None
    return (trial.claim.file, trial.claim.name, trial.identity, trial.what, trial.subject, control)


_FRESH: Session | None = None


def _start(options: Options, root: Path) -> None:
    global _FRESH
    workers.start(options, [], root)
    _FRESH = fresh_session(options)
    for session in (_FRESH, workers.session()):
        session.measurer.memory = session.options.profile.looks[-1]


def _measure(orders: Sequence[tuple[Any, ...]], number: int) -> list[Any]:
    """One block (from 0) or the pool (-1) of each trial; the line of an error, since not every exception survives the way back."""
    from .collecting import claims_in, load_module

    assert _FRESH is not None
    found: list[Any] = []
    for file, name, identity, what, subject, control in orders:
        try:
            claim = next(c for c in claims_in(load_module(Path(file))) if c.name == name)
            trial = Trial(claim, identity, what, subject, None if control is None else claim.controls[control])
            found.append(pool(trial, workers.session()) if number < 0 else block(trial, _FRESH, number))
        except ClaimbenchError as error:
            found.append(str(error))
    return found
