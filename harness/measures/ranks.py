"""Rank correlation, for trends over heads and steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from scipy import stats
else:
    from ..lazy import LazyModule

    stats = LazyModule("scipy.stats")


def rank_correlation(x: Sequence[float] | Any, y: Sequence[float] | Any) -> float:
    """Spearman's correlation of two equally long sequences; 0 where either is constant, since then nothing rises or falls."""
    one, other = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(stats.spearmanr(one, other).statistic)
