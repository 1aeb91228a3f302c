"""What a one-layer GPT-2 that was trained on path lines stores and does (ALPINE, arXiv:2405.09220).

Read-outs are logits of nodes, each row minus its mean, since a softmax does not see the level. The norms of the network are
applied: before attention to what values are made of, before the feed-forward part, and at the end. Positions are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .path_graphs import PATH, PathGraph, as_lines, centred

if TYPE_CHECKING:
    import networkx as nx
    import torch

    from ..subjects.lm import LM
else:
    from ..lazy import LazyModule

    nx = LazyModule("networkx")
    torch = LazyModule("torch")

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


def forward_read_out(model: Any, nodes: int) -> Array:
    """[nodes, nodes]: logits of the embedding of each node plus what the feed-forward part makes of it (W_M in the paper)."""
    embedded = model.transformer.wte.weight[:nodes]
    return _logits(model, embedded + _fed(model, embedded), nodes)


def value_read_out(model: Any, nodes: int) -> Array:
    """[nodes, nodes]: logits of what attention to each node writes, plus what the feed-forward part makes of it (W_V)."""
    written = _written(model, model.transformer.wte.weight[:nodes])
    return _logits(model, written + _fed(model, written), nodes)


def additivity(model: Any, targets: Ints, currents: Ints, nodes: int, shift: int = 0) -> float:
    """Mean cosine of what the feed-forward part makes of two inputs together with the sum of what it makes of each, as logits.

    The inputs are what attention writes of a target, and the embedding of the current node. The last norm's scale is left out,
    which is a factor in each term. shift: the sum is taken of the inputs so many pairs later: a baseline.
    """
    written = _written(model, model.transformer.wte.weight[torch.from_numpy(targets)])
    current = model.transformer.wte.weight[torch.from_numpy(currents)]
    unembedding = (model.lm_head.weight[:nodes] * model.transformer.ln_f.weight).double()
    whole, first, second = (_fed(model, part).double() @ unembedding.T for part in (written + current, written, current))
    parts = (first + second).roll(-shift, 0)
    whole, parts = (each - each.mean(1, keepdim=True) for each in (whole, parts))
    return float(torch.nn.functional.cosine_similarity(whole, parts).mean())


def attention_of_steps(lm: LM, lines: Ints, lengths: Ints) -> tuple[float, float]:
    """Mean attention to the target from the places at which a next node is chosen, and the largest of any other place.

    Other places: each position of a line, and each distance back from where it is attended from; the mean is over the queries that
    have the place (for a position or distance that at least half of the queries have).
    """
    width = lines.shape[1]
    queries = (np.arange(width) >= PATH) & (np.arange(width) < lengths[:, None] - 1)
    by_place, by_distance, counts = np.zeros((2, width)), np.zeros((2, width)), 0

    def read(layer: int, pattern: torch.Tensor, rows: slice) -> None:
        nonlocal counts
        weights = pattern[:, 0].double().cpu().numpy()
        for row, place in np.argwhere(queries[rows]):
            seen = weights[row, place, : place + 1]
            by_place[:, : place + 1] += seen, np.ones(place + 1)
            by_distance[:, : place + 1] += seen[::-1] * (np.arange(place + 1)[::-1] != 1), np.ones(place + 1)
            counts += 1

    lm.attend(torch.from_numpy(lines), read)
    others = np.concatenate([np.delete(by_place, 1, 1), by_distance], 1)
    often = others[1] >= counts / 2
    return float(by_place[0, 1] / by_place[1, 1]), float((others[0, often] / others[1, often]).max())


def free_paths(model: Any, graph: PathGraph, pairs: Ints, width: int) -> tuple[float, float]:
    """(share of pairs whose target is reached along edges, share of the steps to a node that are edges), the likeliest token each.

    A path ends at its target, where its line is full, at the first step that is no edge, and where the network ends it.
    """
    rows = torch.from_numpy(np.column_stack([pairs, pairs[:, 0]]))
    alive, arrived, steps, legal = np.ones(len(pairs), bool), np.zeros(len(pairs), bool), 0, 0
    while rows.shape[1] < width and alive.any():
        chosen = model(input_ids=rows, use_cache=False).logits[:, -1].argmax(1)
        now, after = rows[:, -1].numpy(), chosen.numpy()
        edge = np.zeros(len(pairs), bool)
        real = (now < len(graph)) & (after < len(graph))
        edge[real] = graph.adjacent[now[real], after[real]]
        steps, legal = steps + int((alive & (after < len(graph))).sum()), legal + int((alive & edge).sum())
        alive &= edge
        arrived |= alive & (after == pairs[:, 1])
        alive &= ~arrived
        rows = torch.cat([rows, chosen[:, None]], 1)
    return float(arrived.mean()), legal / max(steps, 1)


def legal_success(model: Any, graph: PathGraph, pairs: Ints, width: int) -> Array:
    """For each pair the probability to come to the target where each step is drawn from the network among the edges, [pairs].

    Exact: the probabilities of all paths from source to target are added up. For graphs without cycles.
    """
    tree = nx.from_numpy_array(graph.adjacent, create_using=nx.DiGraph)
    ways = [(row, path) for row, (s, t) in enumerate(pairs) for path in nx.all_simple_paths(tree, int(s), int(t))]
    paths = [path for _, path in ways]
    lines, _ = as_lines(paths, width, end=len(graph))
    logits = model(input_ids=torch.from_numpy(lines), use_cache=False).logits.double()[..., : len(graph)]
    found = np.zeros(len(pairs))
    for (row, path), scores in zip(ways, logits, strict=True):
        steps = scores[PATH : PATH + len(path) - 1].masked_fill(~torch.from_numpy(graph.adjacent[path[:-1]]), -torch.inf)
        found[row] += float(steps.log_softmax(-1)[range(len(path) - 1), path[1:]].sum().exp())
    return found


def _fed(model: Any, stream: torch.Tensor) -> torch.Tensor:
    block = model.transformer.h[0]
    found: torch.Tensor = block.mlp(block.ln_2(stream))
    return found


def _written(model: Any, embedded: torch.Tensor) -> torch.Tensor:
    """What attention writes where all of it is on a token of this embedding."""
    attention, width = model.transformer.h[0].attn, embedded.shape[1]
    values = attention.c_attn(model.transformer.h[0].ln_1(embedded))[:, 2 * width :]
    found: torch.Tensor = attention.c_proj(values)
    return found


def _logits(model: Any, stream: torch.Tensor, nodes: int) -> Array:
    read = model.lm_head(model.transformer.ln_f(stream))[:, :nodes]
    return centred(read.detach().double().numpy())
