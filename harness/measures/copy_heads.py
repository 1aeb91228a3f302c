"""What single heads of the induction layers do for copying: alone, left out, added back; on any causal language model.

Induction layers are those that hold a head above null. "Alone" removes every other head of these layers that is above null,
and no more: what other heads do there is not the finding's matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .gains import copy_loss
from .prompts import Repeats

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from ..subjects.lm import LM

    Floats = NDArray[np.float64]
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

Head = tuple[int, int]
ROWS = 4  # sequences whose logits are held at once


def copy_accuracy(lm: LM, prompts: Repeats) -> float:
    """Share of the second copy's tokens, but for its first, that have the largest logit; of a subject or a view."""
    scored, right = prompts.scored, []
    for begin in range(0, len(prompts), ROWS):
        rows = slice(begin, begin + ROWS)
        ids = torch.from_numpy(prompts.ordered[rows])
        hit = (lm.logits(ids)[:, :-1].argmax(-1) == ids[:, 1:]).numpy()
        right.append(hit[scored[rows]])
    return float(np.concatenate(right).mean())


def induction_layers(heads: Sequence[Head]) -> list[int]:
    """Layers that hold one of these heads, in order."""
    return sorted({layer for layer, _ in heads})


def keeping(lm: LM, heads: Sequence[Head], kept: Sequence[Head], mode: str) -> LM:
    """The subject without those of `heads` that are not in `kept`; the subject itself where all are."""
    gone = [head for head in heads if head not in set(kept)]
    return lm.without(gone, mode=mode) if gone else lm


def losses_added_back(lm: LM, prompts: Repeats, heads: Sequence[Head], order: Sequence[Head], mode: str) -> Floats:
    """Copy loss in nats with the first k heads of `order` kept and the rest of `heads` removed, k = 0 .. all of `order`."""
    return np.array([copy_loss(keeping(lm, heads, order[:k], mode), prompts) for k in range(len(order) + 1)])
