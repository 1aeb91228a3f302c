"""alpine: larger graphs are harder (arXiv:2405.09220, section 5)."""

from __future__ import annotations

from claimbench import above, at_least, claim, guard, negative, positive, recipe, step
from claimbench.measures.effects import smallest_gap

SMALL, MIDDLE, LARGE = (recipe(f"paths-of-{nodes}") for nodes in (30, 50, 80))
UNTRAINED = recipe("paths-by-size-untrained")


def solved(run, pairs="paths kept out"):
    """Share of pairs whose target is reached along edges, at the end."""
    return run.values(pairs)[1][-1]


@step
def follows_edges(middle):
    """Share of the steps of a network of one head on 50 nodes that are edges."""
    return solved(middle, "edges")


FOLLOWS = [at_least(0.95, "share", follows_edges)]


@step
def by_size(small, middle, large):
    """Share solved of the pairs kept out, on 30, 50 and 80 nodes."""
    return [solved(run) for run in (small, middle, large)]


@step
def planted_fall(rng):
    """Planted: a tenth less from size to size."""
    return [share + rng.normal(0, 0.02) for share in (0.9, 0.8, 0.7)]


@claim(
    "alpine/size-hurts-heads-neutral",
    arms={"small": SMALL, "middle": MIDDLE, "large": LARGE},
    requires=FOLLOWS,
    holds=above(0.0, unit="share"),
    why="the paper's direction; the ledger asks for a monotone trend",
    documented="accuracy falls from 100 to 500 nodes",
    controls=[
        positive(by_size=planted_fall),
        negative(small=LARGE, label="80 nodes at both ends"),
        guard(middle=UNTRAINED, label="untrained"),
    ],
)
def larger_graphs_are_harder(small, middle, large, by_size, observe):
    """The smaller of two falls of the share of pairs solved that are not trained on: from 30 to 50 nodes, and from 50 to 80.

    Edges with probability 0.1 in all, one layer, one head, width 120, and, as in the paper, as many lines seen whatever the size
    (25,600): of a larger graph that is a smaller part. Up to 256 pairs kept out; shown: those trained on.
    """
    rows = [[nodes, solved(run, "paths"), solved(run)] for nodes, run in ((30, small), (50, middle), (80, large))]
    observe.table("Pairs solved", ["nodes", "trained", "kept out"], rows, unit="share")
    return smallest_gap(list(reversed(by_size)))
