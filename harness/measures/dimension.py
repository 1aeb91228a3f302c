"""Local intrinsic dimension: of how many dimensions a cloud of points is around each of its points. Two estimators.

Both look at distances to nearest neighbours, are blind to scale, and run low where the dimension is high for the number of
points: what they give for two clouds compares only at equal numbers of points and neighbours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EffectError

if TYPE_CHECKING:
    from scipy import spatial
else:
    from ..lazy import LazyModule

    spatial = LazyModule("scipy.spatial")

Array = NDArray[np.float64]


def two_nearest(points: Any, neighbours: int = 64, at: Any = None, discard: float = 0.1) -> Array:
    """Dimension around each point by TwoNN (Facco et al. 2017) within its neighbourhood, [points asked for].

    A neighbourhood is a point's nearest ones and itself. In it the ratio of the second to the first neighbour's distance is
    Pareto with the dimension as exponent; it is fitted to the empirical distribution without the largest `discard`.

    Args:
        at: indices of the points to estimate at; default all.
    """
    cloud, chosen = _cloud(points, neighbours), slice(None) if at is None else np.asarray(at)
    _, nearest = spatial.cKDTree(cloud).query(cloud[chosen], neighbours + 1)
    return np.array([_pareto(cloud[rows], discard) for rows in nearest])


def nearest_likelihood(points: Any, neighbours: int = 20, at: Any = None) -> Array:
    """Dimension around each point by maximum likelihood (Levina and Bickel 2004, unbiased form), [points asked for].

    (k - 2) / sum over j < k of log(r_k / r_j), where r_j is the distance to the j-th of k nearest neighbours.
    """
    cloud, chosen = _cloud(points, neighbours), slice(None) if at is None else np.asarray(at)
    distances, _ = spatial.cKDTree(cloud).query(cloud[chosen], neighbours + 1)
    logs = np.log(distances[:, -1:] / distances[:, 1:-1])
    return np.asarray((neighbours - 2) / logs.sum(axis=1))


def distinct(points: Any) -> Array:
    """The points without repetitions (rows equal to six digits of the largest entry), in their order."""
    found = np.asarray(points, dtype=float)
    scale = np.abs(found).max() or 1.0
    _, first = np.unique(np.round(found / scale, 6), axis=0, return_index=True)
    return found[np.sort(first)]


def _pareto(cloud: Array, discard: float) -> float:
    distances = spatial.distance.cdist(cloud, cloud)
    np.fill_diagonal(distances, np.inf)
    two = np.partition(distances, 1, axis=1)[:, :2]
    logs = np.sort(np.log(two[:, 1] / two[:, 0]))
    kept = logs[: int(len(logs) * (1 - discard))]
    beyond = -np.log(1 - np.arange(1, len(kept) + 1) / len(logs))
    return float(kept @ beyond / (kept @ kept))


def _cloud(points: Any, neighbours: int) -> Array:
    cloud = np.asarray(points, dtype=float)
    if cloud.ndim != 2 or not np.isfinite(cloud).all() or neighbours < 4:
        raise EffectError(f"local dimensions need finite points by rows and at least 4 neighbours, found shape {cloud.shape}")
    if len(np.unique(cloud, axis=0)) < len(cloud):
        raise EffectError("two points are the same, so a distance is 0; leave repetitions out with distinct()")
    if len(cloud) <= neighbours:
        raise EffectError(f"{neighbours} neighbours need more points than that, found {len(cloud)}")
    return cloud
