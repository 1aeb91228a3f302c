"""The t interval of the mean: shown beside a judged interval, never judged."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..region import Region

if TYPE_CHECKING:
    from scipy import special
else:
    from ..lazy import LazyModule

    special = LazyModule("scipy.special")


@lru_cache(maxsize=4096)
def _quantile(freedom: int, level: float) -> float:
    return float(special.stdtrit(freedom, 0.5 + level / 2))


def t_interval(
    lows: NDArray[np.float64], highs: NDArray[np.float64], region: Region, level: float
) -> tuple[float | None, float | None]:
    """Student's interval of the mean on the region's scale, of the middles; (None, None) below two or with open ends."""
    n = len(lows)
    middles = np.array([region.forward(float(x)) for x in (lows + highs) / 2])
    if n < 2 or not np.isfinite(middles).all():
        return None, None
    mean = float(middles.mean())
    margin = _quantile(n - 1, level) * float(middles.std(ddof=1)) / n**0.5
    return region.backward(mean - margin), region.backward(mean + margin)
