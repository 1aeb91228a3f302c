"""The permutation null of a head score: the same attention read at a wrong place of the first half."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Ids = NDArray[np.int64]

DRAWS = 199
QUANTILE = 0.99


def wrong_keys(key: Ids, low: Ids, high: Ids, rng: Generator, draws: int = DRAWS) -> Ids:
    """For each query, `draws` keys uniform in [low, high) but never the true `key`; [queries, draws].

    Queries are drawn independently, so a draw's mean over queries has the spread that chance alone gives the score.
    Every range holds at least two keys.
    """
    inside = (key >= low) & (key < high)
    others = high - low - inside
    keys = low[:, None] + np.floor(rng.random((len(key), draws)) * others[:, None]).astype(np.int64)
    return keys + (inside[:, None] & (keys >= key[:, None]))


def quantiles(draws: NDArray[np.float64], quantile: float = QUANTILE) -> tuple[NDArray[np.float64], float]:
    """Of mean scores [draws, layers, heads]: each head's quantile, and that of the largest head (family-wise)."""
    each = np.quantile(draws, quantile, axis=0, method="higher")
    largest = float(np.quantile(draws.reshape(len(draws), -1).max(1), quantile, method="higher"))
    return each, largest
