"""Which way the two-pair label task goes through a network: who looks at the item before a label, and right answers in log odds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .labels import Episodes

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from ..subjects.lm import LM

    Floats = NDArray[np.float64]
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

ITEM_AT, LABEL_AT = (0, 2), (1, 3)


def previous_item_attention(lm: LM, shown: Episodes) -> Floats:
    """Attention from the two labels to the items before them, mean over episodes and both, [layers, heads]."""
    found = np.zeros((lm.layers, lm.heads))

    def read(layer: int, pattern: torch.Tensor, rows: slice) -> None:
        found[layer] += pattern[:, :, LABEL_AT, ITEM_AT].double().sum((0, 2)).cpu().numpy()

    lm.attend(torch.from_numpy(shown.ids), read)
    mean: Floats = found / (len(LABEL_AT) * len(shown))
    return mean


def log_odds(accuracies: Floats, episodes: int) -> Floats:
    """Log odds of a right answer; half an answer is added to each side, so that all or none right has a value too."""
    right = np.asarray(accuracies) * episodes
    found: Floats = np.log((right + 0.5) / (episodes - right + 0.5))
    return found
