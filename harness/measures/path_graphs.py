"""Graphs, paths on them, and what a set of training paths lets one observe (ALPINE, arXiv:2405.09220).

A line is `s t s u1 ... t end`: source and target, then the path. A target t *observes* a node k where k lies behind the source on
the path of a training line to t.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import EffectError

if TYPE_CHECKING:
    import networkx as nx
    from scipy import stats
else:
    from ..lazy import LazyModule

    nx = LazyModule("networkx")
    stats = LazyModule("scipy.stats")

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

#: Blocks of the waist graph: sources, way stations, waist, way stations, targets.
WAIST = (10, 12, 4, 12, 12)
#: The path of a line begins at this place; source and target stand before it.
PATH = 2


@dataclass(frozen=True)
class PathGraph:
    """A directed graph on nodes 0 to n - 1.

    adjacent: bool [n, n], edges. distance: [n, n], edges on a shortest path, -1 where none leads there. rank: [n], a topological
    order where there is one, else zeros. blocks: nodes by block, for graphs made of blocks.
    """

    adjacent: Mask
    distance: Ints
    rank: Ints
    blocks: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def of(cls, adjacent: Mask, blocks: Iterable[Iterable[int]] = ()) -> PathGraph:
        """The graph of these edges."""
        graph = nx.from_numpy_array(adjacent, create_using=nx.DiGraph)
        distance = np.full(adjacent.shape, -1, np.int64)
        for start, ends in nx.all_pairs_shortest_path_length(graph):
            distance[start, list(ends)] = list(ends.values())
        rank = np.zeros(len(adjacent), np.int64)
        if nx.is_directed_acyclic_graph(graph):
            rank[list(nx.topological_sort(graph))] = np.arange(len(adjacent))
        return cls(adjacent, distance, rank, tuple(tuple(map(int, block)) for block in blocks))

    @property
    def reach(self) -> Mask:
        """[n, n]: a path leads from the one node to the other, which is another."""
        found: Mask = self.distance > 0
        return found

    def __len__(self) -> int:
        return len(self.adjacent)

    @property
    def forward(self) -> Mask:
        """The pairs of nodes that could be an edge: (i, k) with k behind i in the order, or any two where there is none."""
        if not self.rank.any():
            return ~np.eye(len(self), dtype=bool)
        found: Mask = self.rank[:, None] < self.rank[None, :]
        return found

    @property
    def pairs(self) -> Ints:
        """Source and target of every pair that a path joins, [pairs, 2]."""
        return np.argwhere(self.reach)


def random_dag(rng: np.random.Generator, nodes: int, share: float) -> PathGraph:
    """Each pair of nodes joined, in a random order of them, with probability `share`."""
    order = rng.permutation(nodes)
    adjacent = np.zeros((nodes, nodes), bool)
    adjacent[np.ix_(order, order)] = np.triu(rng.random((nodes, nodes)) < share, 1)
    return PathGraph.of(adjacent)


def waist_graph(rng: np.random.Generator, blocks: Sequence[int] = WAIST) -> PathGraph:
    """Sources -> way stations -> waist -> way stations -> targets; each target lies behind one waist node only.

    Way stations and targets are shared out over the waist. A source leads to one way station of each waist node, so that of its
    successors one in as many as there are waist nodes is right for a target; behind the waist all that belongs together is joined.
    """
    sources, before, waist, after, targets = np.split(rng.permutation(sum(blocks)), np.cumsum(blocks)[:-1])
    if any(len(block) % len(waist) for block in (before, after, targets)):
        raise EffectError(f"way stations and targets must be multiples of the waist, found blocks of {tuple(blocks)}")
    adjacent = np.zeros((sum(blocks),) * 2, bool)
    for node, first, second, last in zip(waist, *(np.split(block, len(waist)) for block in (before, after, targets)), strict=True):
        turns = np.concatenate([rng.permutation(first) for _ in range(-(-len(sources) // len(first)))])
        adjacent[sources, turns[: len(sources)]] = True  # each way station from as many sources, or one more
        adjacent[first, node] = adjacent[node, second] = True
        adjacent[np.ix_(second, last)] = True
    return PathGraph.of(adjacent, (sources, before, waist, after, targets))


def random_path(
    rng: np.random.Generator, graph: PathGraph, source: int, target: int, most: int | None = None, shortest: bool = False
) -> list[int]:
    """A path from source to target by uniform choices among the successors that lead there, [nodes].

    For graphs without cycles. shortest: each choice must be nearer to the target. most: a walk of more nodes gives way to a
    shortest path.
    """
    path = [source]
    while path[-1] != target:
        left = graph.distance[:, target]
        leads = graph.adjacent[path[-1]] & ((left == left[path[-1]] - 1) if shortest else (left >= 0))
        path.append(int(rng.choice(np.flatnonzero(leads))))
    if most is not None and len(path) > most and not shortest:
        return random_path(rng, graph, source, target, shortest=True)
    return path


def as_lines(paths: Sequence[Sequence[int]], width: int, end: int, targets: Sequence[int] | None = None) -> tuple[Ints, Ints]:
    """Paths as lines [n, width], filled up with `end`, and how many tokens each has, one `end` among them.

    targets: what stands in the second place, instead of the last node of the path.
    """
    longest = max(map(len, paths)) + PATH + 1
    if longest > width:
        raise EffectError(f"a line needs {longest} tokens, there is room for {width}")
    lines = np.full((len(paths), width), end, np.int64)
    for number, path in enumerate(paths):
        lines[number, :PATH] = path[0], path[-1] if targets is None else targets[number]
        lines[number, PATH : PATH + len(path)] = path
    return lines, np.array([PATH + len(path) + 1 for path in paths])


def observed_reach(lines: Ints, lengths: Ints, nodes: int) -> Mask:
    """[targets, nodes]: the node lies behind the source on the path of some line to the target."""
    found = np.zeros((nodes, nodes), bool)
    for line, length in zip(lines, lengths, strict=True):
        found[line[1], line[PATH + 1 : length - 1]] = True
    return found


def centred(read: Array) -> Array:
    """Each row minus its mean: a softmax over the row does not see its level."""
    found: Array = read - read.mean(1, keepdims=True)
    return found


def separation(read: Array, positive: Mask, negative: Mask) -> float:
    """Probability that an entry of the first kind exceeds one of the second: the area under the ROC curve, ties half."""
    if not positive.any() or not negative.any():
        raise EffectError("a separation needs entries of both kinds")
    ranks = stats.rankdata(np.concatenate([read[positive], read[negative]]))
    n, m = int(positive.sum()), int(negative.sum())
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def share_of_gap(read: Array, cells: Mask, low: Mask, high: Mask) -> float:
    """How far `cells` lie on the way from `low` to `high`: 0 where they are as the low ones, 1 where as the high ones.

    Compared within rows: differences of means in every row that has all three kinds, averaged over rows, then divided.
    """
    rows = cells.any(1) & low.any(1) & high.any(1)
    if not rows.any():
        raise EffectError("no row has entries of all three kinds")
    bottom, middle, top = (np.array([read[row, kind[row]].mean() for row in np.flatnonzero(rows)]) for kind in (low, cells, high))
    return float((middle - bottom).mean() / (top - bottom).mean())


def leading(graph: PathGraph, pairs: Ints) -> Array:
    """For each pair the share of the source's successors from which the target is reached, or which are the target."""
    successors = graph.adjacent[pairs[:, 0]]
    share: Array = (successors & (graph.distance[:, pairs[:, 1]].T >= 0)).sum(1) / successors.sum(1)
    return share


def shuffled_among(rng: np.random.Generator, mask: Mask, places: Mask) -> Mask:
    """The entries of `mask` at `places` in a random order: the same number, elsewhere none."""
    found = np.zeros_like(mask)
    found[places] = rng.permutation(mask[places])
    return found
