"""Worker processes: fresh ones of one thread, each with a session of its own, that leave with the process that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ClaimbenchError
from .options import Options

if TYPE_CHECKING:
    from .session import Session

_SESSION: Session | None = None


def start(options: Options, organisms: Sequence[Path], root: Path) -> None:
    """Begin a worker: organisms and a session; Ctrl-C is left to the process that waits."""
    global _SESSION
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C reaches every process; the one that waits ends the others

    import torch

    from .collecting import load_all_organisms
    from .session import Session

    follow_parent()
    torch.set_num_threads(1)
    load_all_organisms(organisms, root)
    _SESSION = Session(options)


def session() -> Session:
    """The session of this worker."""
    assert _SESSION is not None, "only in a process that began with start()"
    return _SESSION


def follow_parent() -> None:
    """End this process when the one that started it is gone: a killed run must not go on using the machine."""
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


@contextmanager
def processes(
    jobs: int, start: Callable[..., None], *arguments: Any, environment: Mapping[str, str] | None = None
) -> Iterator[ProcessPoolExecutor]:
    """Fresh processes of one thread that each begin with `start(*arguments)`; abandoned at once when the block fails.

    Raises:
        ClaimbenchError: one of them died.
    """
    variables = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", **(environment or {})}
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=start, initargs=arguments)
    for _ in range(jobs):  # a process begins with what it is first given: they load their libraries while this one plans
        pool.submit(_nothing)
    try:
        yield pool
    except BaseException as error:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        pool.shutdown(wait=False, cancel_futures=True)
        if isinstance(error, BrokenProcessPool):
            raise ClaimbenchError("a measuring process died (killed, or out of memory): run again to go on") from None
        raise
    finally:
        _restore(before)
    pool.shutdown()


def _nothing() -> None:
    """Begin, and wait."""


def _restore(environment: Mapping[str, str | None]) -> None:
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
