"""The t interval of the mean: shown beside a judged interval, never judged."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy import special
else:
    from ..lazy import LazyModule

    special = LazyModule("scipy.special")


@lru_cache(maxsize=4096)
def _quantile(freedom: int, level: float) -> float:
    return float(special.stdtrit(freedom, 0.5 + level / 2))


def t_interval(lows: NDArray[np.float64], highs: NDArray[np.float64], level: float) -> tuple[float, float] | tuple[None, None]:
    """Student's interval of the mean of the middles; (None, None) below two values, with open ends or on overflow."""
    n = len(lows)
    if n < 2:
        return None, None
    # lists, since n is small; open ends and squares too large for a float end as infinity or NaN
    middles = [low / 2 + high / 2 for low, high in zip(lows.tolist(), highs.tolist(), strict=True)]
    mean = sum(middles) / n
    margin = _quantile(n - 1, level) * math.sqrt(sum((x - mean) * (x - mean) for x in middles) / (n - 1) / n)
    return (mean - margin, mean + margin) if math.isfinite(mean) and math.isfinite(margin) else (None, None)
