"""How many variants share a pass: measured on the first passes of a sweep, which count like all others."""

from __future__ import annotations

#: A larger batch takes more memory, so it must be faster by this share.
GAIN = 0.03
#: How often a size is timed before it is judged, by the least of its times.
TIMES = 2


class Pace:
    """Chooses among batches of 1, 2, 4, ... up to `most` variants the smallest that is within `GAIN` of the fastest."""

    def __init__(self, most: int) -> None:
        self.sizes = [1]
        while 2 * self.sizes[-1] <= most:
            self.sizes.append(2 * self.sizes[-1])
        self.times: dict[int, list[float]] = {size: [] for size in self.sizes}

    def size(self, left: int) -> int:
        """How many of the `left` variants the next pass takes."""
        fits = [size for size in self.sizes if size <= left]
        untried = [size for size in fits if len(self.times[size]) < TIMES]
        return untried[0] if untried and not self._hopeless(untried[0]) else min(left, self._best(fits))

    def took(self, size: int, seconds: float) -> None:
        """A pass of `size` variants took so long for each unit of its work."""
        if size in self.times:
            self.times[size].append(seconds)

    @property
    def chosen(self) -> int:
        """The size that is best so far."""
        return self._best(self.sizes)

    def _best(self, sizes: list[int]) -> int:
        timed = {size: min(self.times[size]) for size in sizes if self.times[size]}
        if not timed:
            return 1
        least = min(timed.values())
        return min(size for size, seconds in timed.items() if seconds <= (1 + GAIN) * least)

    def _hopeless(self, size: int) -> bool:
        """Whether the two next smaller sizes got slower one after the other, so that this one need not be tried."""
        below = [min(self.times[other]) for other in self.sizes if other < size and self.times[other]]
        return len(below) >= 2 and below[-1] > (1 + GAIN) * min(below[:-1])
