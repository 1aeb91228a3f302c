"""Rows in which a span comes back in reverse: [bos, prefix, R, more, separator, reverse(R)].

Without the tokens `more`, which do not come back, the next token is always the last one of R that has not come back yet. Nets
find that: they attend to the place before the first occurrence by elimination, and need no match of tokens at all.
"""

from __future__ import annotations

import numpy as np

from .data_natural import uniform_spans
from .streams import Batch, data_stream


@data_stream("reversal")
def reversal(
    rng: np.random.Generator, n: int, seed: int = 0, tokens: int = 126, bos: int = 126, separator: int = 127,
    lengths: tuple[int, int] = (4, 50), prefix: int = 8, more: float = 0.5,
) -> Batch:  # fmt: skip
    """Half of the rows begin with `bos`; 0 to `prefix` random tokens come before R; its length is drawn from `lengths`.

    In a share `more` of the rows a part of random size at the end of that span does not come back. All ids in it differ and lie
    below `tokens`. Targets: the reversed copy, without its first token where it does not begin at the separator. What follows
    it is filler.
    """
    low, high = lengths
    ids = rng.integers(0, tokens, (n, 2 + prefix + 2 * high))
    spans = uniform_spans(rng, n, high, tokens)
    length = rng.integers(low, high + 1, n)
    back = np.where(rng.random(n) < more, rng.integers(2, np.maximum(length, 3)), length)
    with_bos = rng.random(n) < 0.5
    start = rng.integers(0, prefix + 1, n) + with_bos
    ids[with_bos, 0] = bos
    for row in range(n):
        begin, size, again = int(start[row]), int(length[row]), int(back[row])
        second = begin + size + 1
        ids[row, begin : second - 1] = spans[row, :size]
        ids[row, second - 1] = separator
        ids[row, second : second + again] = spans[row, :again][::-1]
    first = start + length + 1
    place = np.arange(ids.shape[1])
    targets = (place >= (first + (back < length))[:, None]) & (place < (first + back)[:, None])
    whole = targets & (back == length)[:, None]
    return Batch(ids, targets, {"reversed copy": whole, "reversed part": targets & ~whole})
