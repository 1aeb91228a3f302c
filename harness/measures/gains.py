"""What a model gains from an earlier copy, in nats: the order gain first, the swap and naive gains beside it.

order gain: NLL(R given R shuffled) minus NLL(R given R). Only knowledge of order can lower the second term against
the first. swap gain: against an unrelated first half; a model that only knows which tokens are present gains here
too. naive gain: first copy minus second, in one row; it also counts everything that makes later tokens easier.

Each is a mean over sequences of the mean over scored positions; the first token of the second copy is left out, since
nothing predicts it. Targets and positions are the same on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InvalidMeasurement, UsageError
from .prompts import Repeats

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from ..subjects.lm import LM

    Nats = NDArray[np.float64]
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")


@dataclass(frozen=True)
class Gains:
    """One value a sequence, nats, float64 [n]."""

    order: Nats
    swap: Nats
    naive: Nats
    copy_loss: Nats


def gains(lm: LM, prompts: Repeats) -> Gains:
    """All gains of every sequence from three forward passes a row."""
    prompts.check()
    ordered = token_loss(lm, prompts.ordered)
    shuffled = token_loss(lm, prompts.shuffled)
    unrelated = token_loss(lm, prompts.unrelated)
    scored = prompts.scored
    copy = row_means(ordered, scored)
    return Gains(
        order=row_means(shuffled, scored) - copy,
        swap=row_means(unrelated, scored) - copy,
        naive=row_means(ordered, prompts.scored_first) - copy,
        copy_loss=copy,
    )


def order_gain(lm: LM, prompts: Repeats) -> float:
    """NLL of the second copy after the shuffled first half minus after the ordered one, nats."""
    return float(order_gains(lm, prompts).mean())


def order_gains(lm: LM, prompts: Repeats) -> Nats:
    """`order_gain` of each sequence, [n]."""
    prompts.check()
    return _second(lm, prompts, prompts.shuffled) - _second(lm, prompts, prompts.ordered)


def swap_gain(lm: LM, prompts: Repeats) -> float:
    """NLL of the second copy after an unrelated first half minus after the ordered one, nats."""
    return float(swap_gains(lm, prompts).mean())


def swap_gains(lm: LM, prompts: Repeats) -> Nats:
    """`swap_gain` of each sequence, [n]."""
    prompts.check()
    return _second(lm, prompts, prompts.unrelated) - _second(lm, prompts, prompts.ordered)


def naive_gain(lm: LM, prompts: Repeats) -> float:
    """NLL of the first copy minus NLL of the second in the ordered rows, nats: shown, never judged."""
    return float(naive_gains(lm, prompts).mean())


def naive_gains(lm: LM, prompts: Repeats) -> Nats:
    """`naive_gain` of each sequence, [n]."""
    prompts.check()
    loss = token_loss(lm, prompts.ordered)
    return row_means(loss, prompts.scored_first) - row_means(loss, prompts.scored)


def copy_loss(lm: LM, prompts: Repeats) -> float:
    """NLL of the second copy after the ordered first half, nats a token."""
    return float(_second(lm, prompts, prompts.ordered).mean())


def reverse_copy_loss(lm: LM, prompts: Repeats) -> float:
    """NLL of the reversed second copy, nats a token; prompts from `reversed_copies`."""
    return copy_loss(lm, _reversed(prompts))


def reverse_order_gain(lm: LM, prompts: Repeats) -> float:
    """`order_gain` for a second copy in reverse: the same reversed targets after a shuffled first half, nats."""
    return order_gain(lm, _reversed(prompts))


def token_loss(lm: LM, ids: NDArray[np.int64]) -> Nats:
    """-log p of each token after the first, [n, t - 1], float64; InvalidMeasurement if one is not finite."""
    loss: Nats = lm.nll(torch.from_numpy(ids)).double().cpu().numpy()
    if not np.isfinite(loss).all():
        raise InvalidMeasurement(f"losses were to be finite; {int((~np.isfinite(loss)).sum())} of {loss.size} are not")
    return loss


def row_means(values: Nats, mask: NDArray[np.bool_]) -> Nats:
    """Mean of the masked entries of each row, [n]."""
    means: Nats = np.where(mask, values, 0.0).sum(1) / mask.sum(1)
    return means


def _second(lm: LM, prompts: Repeats, ids: NDArray[np.int64]) -> Nats:
    return row_means(token_loss(lm, ids), prompts.scored)


def _reversed(prompts: Repeats) -> Repeats:
    if not prompts.reverse:
        raise UsageError("reverse copying was asked of prompts that repeat forwards; build them with reversed_copies")
    return prompts
