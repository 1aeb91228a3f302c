"""Rows in which a span comes back: [bos, prefix, R, R], R uniform or natural-like, between rows of plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .data_natural import natural_text, uniform_spans
from .streams import Batch, data_stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .streams import Ids


def _rows(
    rng: np.random.Generator, n: int, tokens: int, bos: int, pool: int, lengths: tuple[int, int], prefix: int, natural: bool
) -> tuple[Ids, Ids, Ids]:
    """(ids, start of the first copy, length of a copy): rows of one kind, filled up behind the second copy."""
    low, high = lengths
    width = 1 + prefix + 2 * high
    length = rng.integers(low, high + 1, n)
    with_bos = rng.random(n) < 0.5
    start = rng.integers(0, prefix + 1, n) + with_bos
    if natural:
        spans, ids = natural_text(rng, n, high, tokens), natural_text(rng, n, width, tokens)
    else:
        spans, ids = uniform_spans(rng, n, high, pool), rng.integers(0, pool, (n, width))
    ids[with_bos, 0] = bos
    for row in range(n):
        begin, size = int(start[row]), int(length[row])
        ids[row, begin : begin + size] = spans[row, :size]
        ids[row, begin + size : begin + 2 * size] = spans[row, :size]
    return ids, start, length


def _marked(ids: Ids, start: Ids, length: Ids, natural: bool, weight_first: bool) -> Batch:
    place = np.arange(ids.shape[1])
    end = (start + 2 * length)[:, None]
    copy = (place > (start + length)[:, None]) & (place < end)  # nothing predicts the first token of a copy
    targets = (place > 0) & (place < end) if natural or weight_first else copy
    return Batch(ids, targets, {"natural copy" if natural else "copy": copy})


def _joined(parts: list[Batch]) -> Batch:
    """Batches of one width below each other; a mark that a part lacks is empty there."""
    width = max(part.ids.shape[1] for part in parts)

    def wide(array: NDArray[Any]) -> NDArray[Any]:
        return np.pad(array, ((0, 0), (0, width - array.shape[1])))

    names = {name for part in parts for name in part.marks}
    return Batch(
        np.concatenate([wide(part.ids) for part in parts]),
        np.concatenate([wide(part.targets) for part in parts]),
        {
            name: np.concatenate([wide(part.marks.get(name, np.zeros(part.ids.shape, dtype=bool))) for part in parts])
            for name in sorted(names)
        },
    )


def _probe(
    rng: np.random.Generator, n: int, seed: int = 0, tokens: int = 127, bos: int = 127, pool: int = 127,
    lengths: tuple[int, int] = (4, 50), prefix: int = 8, natural: float = 0.5, plain: float = 0.2, first: bool = True,
) -> Batch:  # fmt: skip
    """Ordered rows of both kinds; marked "shuffled" or "natural shuffled", the same rows with the first copy in another order."""
    parts = []
    for kind, rows in ((False, n - n // 2), (True, n // 2)):
        ids, start, length = _rows(rng, rows, tokens, bos, pool, lengths, prefix, kind)
        ordered = _marked(ids, start, length, kind, first)
        broken = ids.copy()
        for row in range(rows):
            span = slice(int(start[row]), int(start[row] + length[row]))
            broken[row, span] = rng.permutation(broken[row, span])
        mark = ordered.marks["natural copy" if kind else "copy"]
        parts += [ordered, Batch(broken, np.zeros_like(mark), {"natural shuffled" if kind else "shuffled": mark})]
    return _joined(parts)


@data_stream("copying", probe=_probe)
def copying(
    rng: np.random.Generator, n: int, seed: int = 0, tokens: int = 127, bos: int = 127, pool: int = 127,
    lengths: tuple[int, int] = (4, 50), prefix: int = 8, natural: float = 0.5, plain: float = 0.2, first: bool = True,
) -> Batch:  # fmt: skip
    """Rows [bos?, 0 to `prefix` tokens, R, R]: half begin with `bos`; the length of R is drawn from `lengths`, both ends included.

    A share `natural` of the rows is in the language of `data_natural`, and of these a share `plain` has no repeat. The others
    hold uniform ids below `pool`. Targets: all tokens up to the end of the second copy; with `first` False, of uniform rows
    only the second copy.
    """
    natural_rows = int(rng.binomial(n, natural))
    parts = []
    if uniform_rows := n - natural_rows:
        parts.append(_marked(*_rows(rng, uniform_rows, tokens, bos, pool, lengths, prefix, False), False, first))
    if natural_rows:
        repeated = _marked(*_rows(rng, natural_rows, tokens, bos, pool, lengths, prefix, True), True, first)
        without = rng.random(natural_rows) < plain
        repeated.ids[without, 1:] = natural_text(rng, natural_rows, repeated.ids.shape[1], tokens)[without, 1:]
        repeated.marks["natural copy"][without] = False
        parts.append(repeated)
    return _joined(parts)
