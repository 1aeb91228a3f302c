"""Ctrl-C that waits until it is asked for, so that it cuts short no import and no write."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType


class Interruption:
    """While it is entered, a first Ctrl-C is noted and raised by `heed`; a second one is raised where it comes.

    Python remembers a `KeyboardInterrupt` that passed through `exec` of a string, as where a `dataclass` is made, and
    `python -m` then ends by the signal even where it was caught: the exit code would not be ours. Outside the main thread,
    where signals do not arrive, it does nothing.
    """

    def __init__(self) -> None:
        self.came = False

    def heed(self) -> None:
        """Raise the Ctrl-C that came.

        Raises:
            KeyboardInterrupt: if one came.
        """
        if self.came:
            raise KeyboardInterrupt

    def __enter__(self) -> Interruption:
        self.main = threading.current_thread() is threading.main_thread()
        if self.main:
            self.before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.main:
            signal.signal(signal.SIGINT, self.before)
        if error is None:
            self.heed()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.came:
            raise KeyboardInterrupt
        self.came = True
