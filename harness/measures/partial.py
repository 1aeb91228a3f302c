"""Rank correlation of two curves beyond what both have to do with a third quantity, such as the step number."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..errors import EffectError
from .ranks import rank_correlation


def partial_rank_correlation(x: Sequence[float], y: Sequence[float], given: Sequence[float]) -> float:
    """Spearman's correlation of x and y with `given` partialled out, -1 to 1.

    (r_xy - r_xz r_yz) / sqrt((1 - r_xz^2) (1 - r_yz^2)). 0 where x or y is constant or follows `given` without exception,
    since then it does nothing of its own.
    """
    if not len(x) == len(y) == len(given) or len(x) < 4:
        raise EffectError(
            f"a partial correlation needs three sequences of one length, at least 4, found {len(x)}, {len(y)}, {len(given)}"
        )
    both, one, other = rank_correlation(x, y), rank_correlation(x, given), rank_correlation(y, given)
    left = (1 - one**2) * (1 - other**2)
    return (both - one * other) / math.sqrt(left) if left > 1e-12 else 0.0
