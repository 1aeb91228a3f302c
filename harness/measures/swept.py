"""Measures of many views of one subject, which a sweep runs at once: what they share is computed once.

A view that is the subject itself is the plain run. Values equal those of a loop over the views, within rounding.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidMeasurement, NotApplicable, UsageError
from ..sweeps.exact import plain, sweep
from ..sweeps.reading import Measure, of_logits, token_losses
from .gains import row_means
from .prompts import Repeats

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from ..subjects.lm import LM

    Floats = NDArray[np.float64]

Head = tuple[int, int]
#: A gain below this has no shares worth speaking of, nats.
SOME = 0.01


def of_views(lm: LM, views: Sequence[LM], ids: Any, measure: Measure) -> Floats:
    """The measure under each view of `lm`, [views, n] or [views, n, m]; ids as for `lm.logits`."""
    changed = [view for view in views if view is not lm]
    if not changed:
        return np.stack([plain(lm, ids, measure)] * len(views))
    swept = sweep(lm, changed, ids, measure)
    values = iter(swept.values)
    return np.stack([swept.plain if view is lm else next(values) for view in views])


def without_each(lm: LM, sets: Iterable[Sequence[Head]], mode: str, rng: Generator | None = None) -> list[LM]:
    """A view without each of the sets of heads; the subject itself where a set is empty."""
    return [lm.without(heads, mode=mode, rng=rng) if heads else lm for heads in map(list, sets)]


def copy_losses(lm: LM, views: Sequence[LM], prompts: Repeats) -> Floats:
    """`gains.copy_loss` of each view: NLL of the second copy after the ordered first half, nats a token, [views]."""
    return _scored(_losses(lm, views, prompts.ordered), prompts.scored)


def copy_accuracies(lm: LM, views: Sequence[LM], prompts: Repeats) -> Floats:
    """Share of the second copy's tokens, but for its first, that have the largest logit under each view, [views]."""
    named = of_logits(lambda logits, ids, _: (logits[:, :-1].argmax(-1) == ids[:, 1:]).float(), name="tokens named")
    return np.array([hit[prompts.scored].mean() for hit in of_views(lm, views, prompts.ordered, named)])


def order_gains(lm: LM, views: Sequence[LM], prompts: Repeats, gain: str = "order") -> Floats:
    """`gains.order_gain` of each view, nats, [views]; with `gain` "swap" or "naive", that one."""
    if gain not in ("order", "swap", "naive"):
        raise UsageError(f'gain "{gain}" is unknown: use "order", "swap" or "naive"')
    prompts.check()
    ordered = _losses(lm, views, prompts.ordered)
    if gain == "naive":
        before = _scored(ordered, prompts.scored_first)
    else:
        before = _scored(_losses(lm, views, prompts.shuffled if gain == "order" else prompts.unrelated), prompts.scored)
    return before - _scored(ordered, prompts.scored)


def shares_lost(
    lm: LM, sets: Iterable[Sequence[Head]], prompts: Repeats, mode: str, rng: Generator | None = None, gain: str = "order"
) -> Floats:
    """Share of the gain that is lost without each set of heads, on the same sequences, [sets].

    Raises:
        NotApplicable: there is no gain to lose.
    """
    whole, *left = order_gains(lm, [lm, *without_each(lm, sets, mode, rng)], prompts, gain)
    if whole < SOME:
        raise NotApplicable(f"there is no gain to lose in {lm.name}: {whole:.3g} nat")
    lost: Floats = 1 - np.array(left) / whole
    return lost


def _losses(lm: LM, views: Sequence[LM], ids: Any) -> Floats:
    loss = of_views(lm, views, ids, token_losses())
    if not np.isfinite(loss).all():
        raise InvalidMeasurement(f"losses were to be finite; {int((~np.isfinite(loss)).sum())} of {loss.size} are not")
    return loss


def _scored(losses: Floats, mask: Any) -> Floats:
    """Mean over sequences of the mean of the masked entries, [views]."""
    return np.array([row_means(loss, mask).mean() for loss in losses])
