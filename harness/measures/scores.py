"""Scores of attention heads on repeated spans: induction, anti-induction, duplicate-token and previous-token.

The query is a token of the second copy; the key is the place after (induction), before (anti) or of (duplicate) its
aligned first occurrence, or the place before the query itself (previous). A score is the mean over sequences of the
mean over queries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UsageError
from .null import DRAWS, quantiles, wrong_keys
from .prompts import Repeats

if TYPE_CHECKING:
    import torch
    from numpy.random import Generator
    from numpy.typing import NDArray

    from ..subjects.lm import LM

    Heads = NDArray[np.float64]
    Ids = NDArray[np.int64]
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

KINDS = ("induction", "anti", "duplicate", "previous")
SINKS = 4
"""The first positions (BOS among them) draw attention that means nothing: they are left out as keys."""
_LEAST = 0.01  # a query with less weight than this beyond the sinks scores 0: what is left of it is noise


@dataclass(frozen=True)
class HeadScores:
    """Attention shares by kind, each float64 [layers, heads].

    raw: attention to the key. sink_excluded: keys at BOS and the first four positions left out, the rest
    renormalised. broken: the same, at the same places of the rows with the shuffled first half. excess: sink_excluded
    minus broken, so that attention by position cancels; for "previous", which *is* a position, minus the mean of the
    permutation null instead. null: 0.99 quantile of each head's score at random other places of the first half.
    ceiling: the same quantile of the largest head of all, so that the chance that any head passes it is 1 in 100
    (family-wise); this is what selection uses.
    """

    raw: Mapping[str, Heads]
    sink_excluded: Mapping[str, Heads]
    broken: Mapping[str, Heads]
    excess: Mapping[str, Heads]
    null: Mapping[str, Heads]
    ceiling: Mapping[str, float]


def head_scores(lm: LM, prompts: Repeats, rng: Generator | None = None, draws: int = DRAWS) -> HeadScores:
    """Scores of every head of every kind from two forward passes a row; no attention pattern is kept.

    `rng` draws the permutation null; by default a generator of its own with a fixed seed, so equal prompts give equal
    scores.
    """
    prompts.check()
    rng = np.random.default_rng(0) if rng is None else rng
    rows, query, first = prompts.queries()
    keys = {"induction": first + 1, "anti": first - 1, "duplicate": first, "previous": query - 1}
    begin, end = prompts.start[rows], (prompts.start + prompts.length)[rows]
    here = {kind: kind == "previous" or (key >= begin) & (key < end) for kind, key in keys.items()}
    wrong = {kind: wrong_keys(key, np.maximum(begin, SINKS), end, rng, draws) for kind, key in keys.items()}

    repeat = _Sums(lm, prompts.ordered, rows, query, keys, here, wrong)
    broken = _Sums(lm, prompts.shuffled, rows, query, keys, here, None)
    excess = {kind: repeat.sinkless[kind] - broken.sinkless[kind] for kind in KINDS}
    excess["previous"] = repeat.sinkless["previous"] - repeat.null["previous"].mean(0)
    nulls = {kind: quantiles(repeat.null[kind]) for kind in KINDS}
    return HeadScores(
        raw=repeat.raw,
        sink_excluded=repeat.sinkless,
        broken=broken.sinkless,
        excess=excess,
        null={kind: each for kind, (each, _) in nulls.items()},
        ceiling={kind: largest for kind, (_, largest) in nulls.items()},
    )


def heads_above_null(scores: HeadScores, kind: str = "induction", excess: float = 0.1) -> list[tuple[int, int]]:
    """(layer, head) of the heads with at least this excess whose score passes the family-wise null; strongest first."""
    if kind not in KINDS:
        raise UsageError(f'heads above null of kind "{kind}" asked; known kinds are {", ".join(KINDS)}')
    passed = (scores.excess[kind] >= excess) & (scores.sink_excluded[kind] > scores.ceiling[kind])
    layer, head = np.nonzero(passed)
    order = np.argsort(-scores.excess[kind][layer, head], kind="stable")
    return [(int(layer[i]), int(head[i])) for i in order]


def top_heads_per_layer(scores: HeadScores, kind: str = "induction", share: float = 0.02) -> list[tuple[int, int]]:
    """The `share` of heads with the largest raw score in *every* layer, at least one each, whatever the score (arXiv
    2509.22947: "top 2 %", which rounds to less than one head of twelve, so it is rounded up)."""
    raw = scores.raw[kind]
    count = max(1, ceil(share * raw.shape[1]))
    return [(layer, int(h)) for layer, row in enumerate(raw) for h in np.argsort(-row, kind="stable")[:count]]


class _Sums:
    """One pass over the rows: mean scores by kind, raw and sink-excluded, and of null draws where keys are given."""

    def __init__(
        self,
        lm: LM,
        ids: Ids,
        rows: Ids,
        query: Ids,
        keys: Mapping[str, Ids],
        here: Mapping[str, NDArray[np.bool_] | bool],
        wrong: Mapping[str, Ids] | None,
    ) -> None:
        n, width = ids.shape
        kept = np.arange(width)[None, :] >= SINKS
        if lm.tokens.bos is not None:
            kept = kept & (ids != lm.tokens.bos)
        kept = np.broadcast_to(kept, ids.shape)
        self._rows, self._query, self._kept = rows, query, kept
        self._keys = {kind: np.clip(key, 0, width - 1) for kind, key in keys.items()}
        self._weights = {kind: _weights(rows, np.broadcast_to(here[kind], rows.shape), n) for kind in KINDS}
        self._sinkless_weights = {kind: _weights(rows, here[kind] & kept[rows, self._keys[kind]], n) for kind in KINDS}
        self._wrong = wrong
        shape = (lm.layers, lm.heads)
        # one column a row: the sum over rows is taken at the end, in one order, whatever the batches were
        self._raw = {kind: np.zeros((n, *shape)) for kind in KINDS}
        self._sinkless = {kind: np.zeros((n, *shape)) for kind in KINDS}
        draws = 0 if wrong is None else next(iter(wrong.values())).shape[1]
        self.null = {kind: np.zeros((draws, *shape)) for kind in KINDS}
        lm.attend(torch.from_numpy(ids), self._add)
        self.raw = {kind: values.sum(0) for kind, values in self._raw.items()}
        self.sinkless = {kind: values.sum(0) for kind, values in self._sinkless.items()}

    def _add(self, layer: int, pattern: torch.Tensor, batch: slice) -> None:
        start, stop, _ = batch.indices(len(self._kept))
        span = slice(*np.searchsorted(self._rows, [start, stop]))
        if span.start == span.stop:
            return

        def tensor(array: NDArray[np.generic]) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(pattern.device)

        local = tensor(self._rows[span] - start)
        attention = pattern[local, :, tensor(self._query[span])]  # [queries, heads, keys]
        beyond = attention * tensor(self._kept[self._rows[span]])[:, None, :]
        left = beyond.sum(-1, keepdim=True)
        beyond = torch.where(left > _LEAST, beyond / left.clamp_min(_LEAST), torch.zeros_like(beyond))
        for kind in KINDS:
            key = tensor(self._keys[kind][span])[:, None, None].expand(-1, attention.shape[1], 1)
            for values, weights, sums in (
                (attention, self._weights, self._raw),
                (beyond, self._sinkless_weights, self._sinkless),
            ):
                share = values.gather(-1, key)[..., 0].double() * tensor(weights[kind][span])[:, None]
                total = torch.zeros(stop - start, attention.shape[1], dtype=torch.float64, device=pattern.device)
                sums[kind][start:stop, layer] = total.index_add_(0, local, share).cpu().numpy()
            if self._wrong is not None:
                other = tensor(self._wrong[kind][span])[:, None, :].expand(-1, attention.shape[1], -1)
                weight = tensor(self._sinkless_weights[kind][span])
                drawn = torch.einsum("qhd,q->dh", beyond.gather(-1, other).double(), weight)
                self.null[kind][:, layer] += drawn.cpu().numpy()


def _weights(rows: Ids, valid: NDArray[np.bool_], n: int) -> Heads:
    """Weight of each query so that the sum is the mean over rows of the mean over a row's valid queries."""
    counts = np.bincount(rows, valid, minlength=n)
    weights: Heads = valid / np.maximum(counts[rows] * (counts > 0).sum(), 1)
    return weights
