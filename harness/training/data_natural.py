"""A natural-like source: a fixed first-order language with Zipf frequencies, and plain text in it without repetition.

Nothing in a row but the token before it tells what comes next, so a net that has learnt the language gains nothing from order
in an earlier copy of a span unless it copies.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from .streams import Batch, data_stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .streams import Ids

_FOLLOWERS = 12


@lru_cache(maxsize=8)
def language(tokens: int, exponent: float = 0.7) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(frequency [tokens], cumulative transitions [tokens, tokens]) of the language over `tokens` ids; always the same one.

    From each token nine tenths of the mass go to twelve followers, drawn by frequency, with weights falling as 1/rank; the rest
    goes to all tokens by frequency. No token follows itself. About 3 nats a token.
    """
    rng = np.random.default_rng([tokens, 20260])
    frequency: NDArray[np.float64] = np.power(1.0 + rng.permutation(tokens).astype(np.float64), -exponent)
    frequency /= frequency.sum()
    transitions = np.tile(0.1 * frequency, (tokens, 1))
    for token in range(tokens):
        followers = rng.choice(tokens, min(_FOLLOWERS, tokens), replace=False, p=frequency)
        weights = 1.0 / (1.0 + np.arange(len(followers)))
        transitions[token, followers] += 0.9 * weights / weights.sum()
    np.fill_diagonal(transitions, 0.0)
    transitions /= transitions.sum(1, keepdims=True)
    cumulative: NDArray[np.float64] = transitions.cumsum(1)
    return frequency, cumulative


def natural_text(rng: np.random.Generator, n: int, length: int, tokens: int) -> Ids:
    """n spans of the language, int64 [n, length]."""
    frequency, cumulative = language(tokens)
    ids = np.empty((n, length), dtype=np.int64)
    draws = rng.random((n, max(length, 1)))
    if length:
        ids[:, 0] = np.searchsorted(frequency.cumsum(), draws[:, 0] * frequency.sum())
    for place in range(1, length):
        ids[:, place] = (cumulative[ids[:, place - 1]] < draws[:, place, None]).sum(1)
    return np.minimum(ids, tokens - 1)


def uniform_spans(rng: np.random.Generator, n: int, length: int, pool: int) -> Ids:
    """n spans of ids below `pool`, int64 [n, length]; all different within a span while they last."""
    rounds = -(-length // pool)
    orders = [rng.permuted(np.tile(np.arange(pool), (n, 1)), axis=1) for _ in range(max(rounds, 1))]
    return np.concatenate(orders, axis=1)[:, :length]


@data_stream("text")
def text(
    rng: np.random.Generator, n: int, seed: int = 0, tokens: int = 127, bos: int = 127, width: int = 96, uniform: float = 0.3
) -> Batch:
    """Rows without a repeated span: the language, and in a share `uniform` of rows independent uniform tokens.

    Half of the rows begin with `bos`. Every token but the first is a target.
    """
    ids = natural_text(rng, n, width, tokens)
    random = rng.random(n) < uniform
    ids[random] = rng.integers(0, tokens, (int(random.sum()), width))
    begins = rng.random(n) < 0.5
    ids[begins] = np.concatenate([np.full((int(begins.sum()), 1), bos), ids[begins, :-1]], axis=1)
    targets = np.ones(ids.shape, dtype=bool)
    targets[:, 0] = False
    return Batch(ids, targets, {"natural": targets & ~random[:, None], "uniform": targets & random[:, None]})
