"""alpine: pieces of paths that were seen apart are not put together (arXiv:2405.09220, theorem 3 and section 5)."""

from __future__ import annotations

from claimbench import above, at_least, below, claim, guard, negative, positive, recipe, step

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


KNOWS_PIECES = [at_least(0.95, "share", solves_pieces)]


@claim(
    "alpine/no-transitive-planning",
    arms={"net": NET},
    requires=KNOWS_PIECES,
    holds=below(0.1, unit="share"),
    why="the ledger's margin over a walk that follows edges",
    documented="pairs that need a concatenation of observed pieces fail (accuracy falls with their number)",
    controls=CONTROLS,
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
