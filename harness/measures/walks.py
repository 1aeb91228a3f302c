"""Where a network that was trained on path lines goes, and the graph that its lines show (ALPINE, arXiv:2405.09220)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import EffectError
from .path_graphs import PATH, Ints, PathGraph

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")


def graph_of_lines(lines: Ints, nodes: int) -> PathGraph:
    """The graph on so many nodes whose edges are the steps of these lines [n, width]; other tokens are no nodes."""
    before, after = lines[:, PATH:-1].ravel(), lines[:, PATH + 1 :].ravel()
    real = (before < nodes) & (after < nodes)
    adjacent = np.zeros((nodes, nodes), bool)
    adjacent[before[real], after[real]] = True
    return PathGraph.of(adjacent)


def walked(model: Any, graph: PathGraph, source: int, target: int, width: int) -> list[int]:
    """The nodes that a network writes from a source on, the likeliest each, in a line of `width` tokens.

    It ends at the target, at a token that is no node, behind the first step that is no edge, and where the line is full.
    """
    if max(source, target) >= len(graph):
        raise EffectError(f"source {source} and target {target} must be nodes of a graph of {len(graph)}")
    line, path = [source, target, source], [source]
    while len(line) < width and path[-1] != target:
        following = int(model(input_ids=torch.tensor([line]), use_cache=False).logits[0, -1].argmax())
        if following >= len(graph):
            break
        line, path = [*line, following], [*path, following]
        if not graph.adjacent[path[-2], following]:
            break
    return path
