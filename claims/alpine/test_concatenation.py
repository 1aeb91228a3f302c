"""alpine: pieces of paths that were seen apart are not put together (arXiv:2405.09220, theorem 3 and section 5)."""

from __future__ import annotations

import numpy as np
from claimbench import above, at_least, below, claim, guard, negative, positive, recipe, step
from claimbench.measures.path_graphs import random_path
from claimbench.measures.walks import graph_of_lines, walked

NET, JOINED = recipe("paths-waist"), recipe("paths-waist-joined")
CONTROLS = [
    positive(net=recipe("paths-waist-by-hand"), label="observed reach by hand"),
    negative(net=JOINED, label="pieces joined in the lines of other sources"),
    negative(net=recipe("paths-waist-oracle-by-hand"), label="true reach by hand"),
    guard(net=recipe("paths-waist-untrained"), label="untrained"),
]


def last(run, name):
    """A measure of a run at its last record."""
    return run.values(name)[1][-1]


@step
def solves_pieces(net):
    """Share of trained pairs whose target is reached along edges."""
    return last(net, "paths")


@step(scope="subject")
def way(net, rng, observe):
    """The graph, a path from a source to a target that no line joins, and where the network goes."""
    lines = net.batch(rng, 4096).ids
    graph = graph_of_lines(lines, lines.max())
    source = rng.choice(np.flatnonzero(~graph.adjacent.any(0)))
    target = rng.choice(np.flatnonzero(~graph.adjacent.any(1)))
    ways = {
        "a path that leads there": random_path(rng, graph, source, target),
        "likeliest steps of the network": walked(net.model, graph, source, target, lines.shape[1]),
    }
    told = (
        "Edges lead from left to right. No line of training goes from the left column to the right one, so a way must be put "
        "together in the middle. The network's way ends behind a step that is no edge."
    )
    observe.graph(f"From node {source} to node {target}", np.argwhere(graph.adjacent), ways, told=told)


KNOWS_PIECES = [at_least(0.95, "share", solves_pieces)]


@claim(
    "alpine/no-transitive-planning",
    arms={"net": NET},
    requires=KNOWS_PIECES,
    holds=below(0.1, unit="share"),
    why="the ledger's margin over a walk that follows edges",
    documented="pairs that need a concatenation of observed pieces fail (accuracy falls with their number)",
    controls=CONTROLS,
    shows=[way],
)
def pieces_are_not_concatenated(net, observe):
    """Success on pairs that need concatenation, over the share of the source's successors that lead to the target.

    The graph has a waist of four nodes, each target lies behind one of them, and no training line joins a source to a target:
    lines begin or end at the waist, or are edges. So every edge is known, and the first step alone must be planned, one of four.
    Each step is drawn from the network among the edges (illegal jumps are ruled out); exact probabilities, 60 pairs.
    """
    observe.value("share of first steps that lead to the target", last(net, "chance"), unit="share")
    return last(net, "joined") - last(net, "chance")


@claim(
    "alpine/no-transitive-planning",
    arms={"net": NET},
    requires=KNOWS_PIECES,
    holds=above(0.3, unit="share"),
    why="the ledger's bound on the fall from at most one observed piece to two",
    documented="pairs that need a concatenation of observed pieces fail (accuracy falls with their number)",
    controls=CONTROLS,
    shows=[way],
)
def success_falls_where_pieces_must_be_joined(net, observe):
    """Share of trained pairs solved, minus share of pairs solved that need concatenation, each step the likeliest of all tokens.

    The graph and lines of the claim before; 128 trained pairs, all 60 of the other kind.
    """
    steps, trained = net.values("paths")
    observe.curve(
        "Solved", steps, {"trained": trained, "to be joined": net.values("paths kept out")[1]}, x_label="steps", unit="share"
    )
    return last(net, "paths") - last(net, "paths kept out")
