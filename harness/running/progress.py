"""Progress: a bar for who watches; in a log file, a line now and then. Both say how much time is left."""

from __future__ import annotations

import sys
import time

from ..reporting import words

#: Seconds between two lines of progress where nobody watches a bar.
LINES = 10.0


class Bar:
    """A progress bar over replicates (or another unit), with the time that is left; in a log file, a line now and then.

    What is left is said to take as long, for each unit, as what was done so far.
    """

    def __init__(self, unit: str = "replicate") -> None:
        self.unit = unit
        self.watched = sys.stderr.isatty()
        self.began = self.told = time.monotonic()

    def __enter__(self) -> Bar:
        from tqdm import tqdm

        self.bar = tqdm(unit=self.unit, dynamic_ncols=True, file=sys.stderr, mininterval=0.5, disable=not self.watched)
        return self

    def show(self, done: int, known: int, what: str) -> None:
        """Say how many units are done of those that are known so far, and what is at hand."""
        if not self.watched:
            self._line(done, known, what)
            return
        self.bar.total = known
        self.bar.set_description_str(what[:60], refresh=done == self.bar.n)
        self.bar.update(done - self.bar.n)

    def _line(self, done: int, known: int, what: str) -> None:
        now = time.monotonic()
        if done == known or now - self.told >= LINES:
            self.told = now
            left = f" (about {words.duration((now - self.began) / done * (known - done))} left)" if 0 < done < known else ""
            print(f"{done} of {words.count(known, self.unit)}{left}: {what}", file=sys.stderr, flush=True)

    def __exit__(self, *_: object) -> None:
        self.bar.close()
