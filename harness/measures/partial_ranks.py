"""Rank correlation of two courses with what both owe to a third, such as the step, taken out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import EffectError

if TYPE_CHECKING:
    from scipy import stats
else:
    from ..lazy import LazyModule

    stats = LazyModule("scipy.stats")


def partial_rank_correlation(x: Sequence[float] | Any, y: Sequence[float] | Any, given: Sequence[float] | Any) -> float:
    """Spearman's correlation of x and y given a third: Pearson's of what a line in the third's ranks leaves of their ranks.

    -1 to 1; 0 where either is a straight line in those ranks, since then nothing is left of it. Raises EffectError for fewer than
    four values or sequences of different lengths.
    """
    one, other, third = (np.asarray(values, dtype=float) for values in (x, y, given))
    if not len(one) == len(other) == len(third) or len(one) < 4:
        raise EffectError(f"a partial correlation needs three equally long sequences of at least 4, found {len(one)}, {len(other)}")
    basis = np.column_stack([np.ones(len(third)), stats.rankdata(third)])
    left = []
    for values in (one, other):
        ranks = stats.rankdata(values)
        left.append(ranks - basis @ np.linalg.lstsq(basis, ranks, rcond=None)[0])
    sizes = [float(np.linalg.norm(rest)) for rest in left]
    if min(sizes) < 1e-9 * len(one):
        return 0.0
    return float(np.clip(left[0] @ left[1] / (sizes[0] * sizes[1]), -1.0, 1.0))
