"""What single heads of the induction layers do for copying: alone, left out, added back; on any causal language model.

Induction layers are those that hold a head above null. "Alone" removes every other head of these layers that is above null,
and no more: what other heads do there is not the finding's matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .prompts import Repeats
from .swept import copy_accuracies, copy_losses

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..subjects.lm import LM

    Floats = NDArray[np.float64]

Head = tuple[int, int]


def copy_accuracy(lm: LM, prompts: Repeats) -> float:
    """Share of the second copy's tokens, but for its first, that have the largest logit; of a subject or a view."""
    return float(copy_accuracies(lm, [lm], prompts)[0])


def induction_layers(heads: Sequence[Head]) -> list[int]:
    """Layers that hold one of these heads, in order."""
    return sorted({layer for layer, _ in heads})


def keeping(lm: LM, heads: Sequence[Head], kept: Sequence[Head], mode: str) -> LM:
    """The subject without those of `heads` that are not in `kept`; the subject itself where all are."""
    gone = [head for head in heads if head not in set(kept)]
    return lm.without(gone, mode=mode) if gone else lm


def losses_keeping(lm: LM, prompts: Repeats, heads: Sequence[Head], sets: Sequence[Sequence[Head]], mode: str) -> Floats:
    """Copy loss in nats without those of `heads` that are not in a set, for each set, [sets]."""
    return copy_losses(lm, [keeping(lm, heads, kept, mode) for kept in sets], prompts)
