"""Calibrating several claims in several processes: one task is one whole verdict, or one pool."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from datetime import date
from pathlib import Path
from typing import Any

from ..claim import Claim
from ..errors import ClaimbenchError, UsageError
from . import workers
from .calibrate import Trial, block, pool, rates_of, trials_of
from .fresh import fresh_session
from .keep import keep_rates
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
        asked = {identity: [_ask(processes, trial, verdicts) for trial in mine] for identity, mine in trials.items()}
        every = [future for mine in asked.values() for futures in mine for future in futures]
        for done, future in enumerate(as_completed(every), 1):
            _checked(future.result())
            bar.show(done, len(every), "calibrating")
            for identity in [name for name in asked if name not in found and _ready(asked[name])]:
                found[identity] = _rows(trials[identity], asked[identity], session)
                if record:
                    keep_rates(claims[identity], found[identity], date.today().isoformat())
    return {identity: found[identity] for identity in claims}


def _rows(trials: list[Trial], asked: list[list[Future[Any]]], session: Session) -> list[dict[str, Any]]:
    return [
        row
        for trial, futures in zip(trials, asked, strict=True)
        for row in rates_of(trial, session, [future.result() for future in futures])
    ]


def _ready(asked: list[list[Future[Any]]]) -> bool:
    return all(future.done() for futures in asked for future in futures)


def _checked(answer: Any) -> None:
    if isinstance(answer, str):
        raise ClaimbenchError(answer)


def _ask(processes: ProcessPoolExecutor, trial: Trial, verdicts: int) -> list[Future[Any]]:
    control = trial.claim.controls.index(trial.control) if trial.control is not None else None
    order = (trial.claim.file, trial.claim.name, trial.identity, trial.what, trial.subject, control)
    return [processes.submit(_measure, order, number) for number in (range(verdicts) if trial.direct else (-1,))]


_FRESH: Session | None = None


def _start(options: Options, root: Path) -> None:
    global _FRESH
    workers.start(options, [], root)
    _FRESH = fresh_session(options)


def _measure(order: tuple[Any, ...], number: int) -> Any:
    """One block (from 0) or the pool (-1) of a trial; the line of an error, since not every exception survives the way back."""
    from .collecting import claims_in, load_module

    file, name, identity, what, subject, control = order
    assert _FRESH is not None
    try:
        claim = next(c for c in claims_in(load_module(Path(file))) if c.name == name)
        trial = Trial(claim, identity, what, subject, None if control is None else claim.controls[control])
        return pool(trial, workers.session()) if number < 0 else block(trial, _FRESH, number)
    except ClaimbenchError as error:
        return str(error)
