"""The two-pair label task of ih-clamp (arXiv 2404.07129): x1 y1 x2 y2 q, predict the label of q, which is x1 or x2.

Items are tokens 0 to 49 (their embeddings are frozen Gaussian exemplars), labels are tokens 50 to 54, assigned anew in every
row. Of the ten unordered label pairs, eight are trained on and two are held out, so a net that copies passes on the held-out
pairs, and one that has learnt by heart which labels go together does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from .networks import random_stream
from .streams import Batch, data_stream

if TYPE_CHECKING:
    from .streams import Ids

_PAIRS = 6
Pairs = tuple[tuple[int, int], ...]


def label_pairs(seed: int, items: int = 50, labels: int = 5, held_out: int = 2) -> tuple[Pairs, Pairs]:
    """(trained, held out) unordered pairs of label ids at a seed. Every label occurs in a trained pair."""
    every = list(combinations(range(items, items + labels), 2))
    rng = random_stream(seed, _PAIRS)
    while True:
        order = rng.permutation(len(every))
        kept_out = sorted(every[i] for i in order[:held_out])
        trained = sorted(every[i] for i in order[held_out:])
        if {label for pair in trained for label in pair} == set(range(items, items + labels)):
            return tuple(trained), tuple(kept_out)


def label_rows(rng: np.random.Generator, n: int, pairs: Sequence[tuple[int, int]], items: int = 50) -> tuple[Ids, Ids]:
    """n rows x1 y1 x2 y2 q as int64 [n, 5], and the right label [n]. Items differ within a row; order and query are random."""
    x1 = rng.integers(0, items, n)
    x2 = (x1 + rng.integers(1, items, n)) % items
    pair = np.asarray(pairs, dtype=np.int64)[rng.integers(0, len(pairs), n)]
    pair = np.where(rng.random(n)[:, None] < 0.5, pair, pair[:, ::-1])
    first = rng.random(n) < 0.5
    ids = np.stack([x1, pair[:, 0], x2, pair[:, 1], np.where(first, x1, x2)], axis=1)
    return ids, np.where(first, pair[:, 0], pair[:, 1])


def _with_answers(ids: Ids, label: Ids) -> Batch:
    """The rows with the answer appended: its place is the only target."""
    full = np.concatenate([ids, label[:, None]], axis=1)
    targets = np.zeros(full.shape, dtype=bool)
    targets[:, -1] = True
    return Batch(full, targets)


def _probe(rng: np.random.Generator, n: int, seed: int = 0, items: int = 50, labels: int = 5) -> Batch:
    trained, held_out = label_pairs(seed, items, labels)
    parts = [_with_answers(*label_rows(rng, n, pairs, items)) for pairs in (trained, held_out)]
    ids = np.concatenate([part.ids for part in parts])
    targets = np.concatenate([part.targets for part in parts])
    is_trained = np.arange(len(ids))[:, None] < n
    return Batch(ids, targets & is_trained, {"trained pairs": targets & is_trained, "held-out pairs": targets & ~is_trained})


@data_stream("labels", probe=_probe)
def labels(rng: np.random.Generator, n: int, seed: int = 0, items: int = 50, labels: int = 5) -> Batch:
    """Rows of the label task with trained pairs; the label at the query is the only target."""
    return _with_answers(*label_rows(rng, n, label_pairs(seed, items, labels)[0], items))
