"""Masks of a layered network as graphs: how far two masks are apart, and how paths, clusters and the spectrum change.

The graph of a chain of weight matrices [inputs, outputs] has a node for each row of the first and each column of every one; a
weight that a mask keeps joins its row to its column. Such a graph has no triangles, so clustering is that of bipartite graphs.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EffectError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def jaccard_distance(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """1 minus the weights that both masks keep over those that either keeps, counted over all layers; 0 to 1."""
    if one.keys() != other.keys():
        raise EffectError(f"masks of different layers: {', '.join(one)} and {', '.join(other)}")
    pairs = [(np.asarray(one[name], dtype=bool), np.asarray(other[name], dtype=bool)) for name in one]
    either = sum(int((a | b).sum()) for a, b in pairs)
    return 1.0 - sum(int((a & b).sum()) for a, b in pairs) / either if either else 0.0


def layered(masks: Sequence[Any]) -> Mask:
    """Adjacency [nodes, nodes] of the undirected graph of masks [inputs, outputs], each layer's outputs the next one's inputs."""
    found = [np.asarray(mask, dtype=bool) for mask in masks]
    if any(one.shape[1] != other.shape[0] for one, other in itertools.pairwise(found)):
        raise EffectError(f"layers that do not fit on each other: shapes {[mask.shape for mask in found]}")
    starts = np.cumsum([0, *(mask.shape[0] for mask in found), found[-1].shape[1]])
    adjacent = np.zeros((starts[-1],) * 2, dtype=bool)
    for number, mask in enumerate(found):
        rows, columns = (slice(starts[number + k], starts[number + k + 1]) for k in (0, 1))
        adjacent[rows, columns] = mask
    return np.asarray(adjacent | adjacent.T)


def path_length(adjacent: Mask) -> float:
    """Mean length of the shortest path between two nodes, over the pairs that a path joins."""
    step = adjacent.astype(np.float32)
    seen = np.eye(len(adjacent), dtype=bool)
    front, length, total, pairs = seen, 0, 0, 0
    while front.any():
        total, pairs, length = total + length * int(front.sum()), pairs + int(front.sum()), length + 1
        front = (front.astype(np.float32) @ step > 0) & ~seen
        seen = seen | front
    if pairs == len(adjacent):
        raise EffectError("a graph without edges has no paths")
    return total / (pairs - len(adjacent))


def clustering(adjacent: Mask) -> float:
    """Mean clustering of a bipartite graph (Latapy et al. 2008): of a node, its neighbours shared with each node two edges away,
    over those that either has, averaged over these nodes; 0 where there are none.
    """
    shared = adjacent.astype(np.float32) @ adjacent.astype(np.float32)
    degree = np.diagonal(shared).copy()
    np.fill_diagonal(shared, 0.0)
    either = degree[:, None] + degree[None, :] - shared
    overlap = np.divide(shared, either, out=np.zeros_like(shared), where=shared > 0)
    others = (shared > 0).sum(1)
    return float(np.divide(overlap.sum(1), others, out=np.zeros(len(adjacent)), where=others > 0).mean())


def spectral_gap(weights: Sequence[Any]) -> float:
    """Difference of the two largest singular values of a layer's weights, over the largest; mean over layers."""
    values = [np.linalg.svd(np.asarray(weight, dtype=float), compute_uv=False)[:2] for weight in weights]
    return float(np.mean([(first - second) / first if first else 0.0 for first, second in values]))
