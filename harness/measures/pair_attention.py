"""Attention to examples and labels in prompts of pairs [BOS?, a1, b1, ..., an, bn, ai], by layer (Minegishi et al. 2025).

Chunk example: a label attends to the item before it. Label attention: the last token attends to labels. Each beside the same
queries' attention to places of the other kind, so that attention by mere position cancels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import NotApplicable, UsageError
from .tasks import Prompts

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from ..subjects.lm import LM

    Floats = NDArray[np.float64]
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")


@dataclass(frozen=True)
class PairAttention:
    """Attention by layer, mean over heads, prompts and queries, each float64 [layers].

    chunk: from labels to their own items; chunk_elsewhere: from labels to each of the items before, on average. label: from the
    last token to all labels but the one beside it; label_elsewhere: to all items but the first, which are as many and as near.
    """

    chunk: Floats
    chunk_elsewhere: Floats
    label: Floats
    label_elsewhere: Floats

    @property
    def depths(self) -> tuple[float, float]:
        """Relative depth, 0 first layer to 1 last, of chunk-example and of label attention; see `centre_of_depth`."""
        return centre_of_depth(self.chunk - self.chunk_elsewhere), centre_of_depth(self.label - self.label_elsewhere)


def pair_attention(lm: LM, prompts: Prompts) -> PairAttention:
    """Both kinds of attention on prompts of equal length, as `association_prompts` draws them.

    Raises:
        UsageError: prompts of unequal length, or fewer than two pairs.
    """
    width = prompts.ids.shape[1]
    if not prompts.mask.all():
        raise UsageError("prompts of pairs must have equal lengths, so that places mean the same in each")
    items = np.arange((width - 1) % 2, width - 2, 2)  # each with its label behind it
    if len(items) < 2:
        raise UsageError(f"attention to pairs needs two of them at least, found {len(items)}")
    labels = items + 1
    before = np.tri(len(items), k=-1) / np.maximum(np.arange(len(items)), 1)[:, None]
    found = np.zeros((4, lm.layers))

    def read(layer: int, pattern: torch.Tensor, rows: slice) -> None:
        mean = pattern.double().mean(1).sum(0).cpu().numpy()  # [queries, keys], summed over prompts
        own, last = mean[np.ix_(labels, items)], mean[-1]
        found[:, layer] += (
            np.trace(own) / len(items),
            (own * before).sum() / (len(items) - 1),
            last[labels[:-1]].sum(),
            last[items[1:]].sum(),
        )

    lm.attend(torch.from_numpy(prompts.ids), read)
    return PairAttention(*(found / len(prompts)))


def centre_of_depth(excess: Floats) -> float:
    """Mean relative depth of the layers, weighted by their excess where it is above 0; `NotApplicable` where it nowhere is."""
    weights = np.clip(excess, 0.0, None)
    if len(weights) < 2 or not weights.sum() > 0:
        raise NotApplicable(f"a depth needs two layers and some excess attention, found {len(weights)} layers, {excess.max():.2g}")
    return float(weights @ np.linspace(0, 1, len(weights)) / weights.sum())
