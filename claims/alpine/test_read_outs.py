"""alpine: what the weights of a one-layer path-finding network say (arXiv:2405.09220, section 4)."""

from __future__ import annotations

from claimbench import above, at_least, claim, guard, negative, positive, recipe, step

NET, SHUFFLED, NARROW = (recipe(f"paths{name}") for name in ("", "-shuffled-targets", "-narrow"))
BY_HAND, EDGES = recipe("paths-by-hand"), recipe("paths-edges-by-hand")
CONSTRUCTED, UNTRAINED = positive(net=BY_HAND, label="written by hand"), guard(net=recipe("paths-untrained"), label="untrained")
NO_TARGETS = negative(net=SHUFFLED, label="trained with the targets of other lines")


def last(run, name):
    """A measure of a run at its last record."""
    return run.values(name)[1][-1]


@step
def follows_edges(net):
    """Share of the network's own steps that are edges: that much is learned also without targets."""
    return last(net, "edges")


@step
def told_by(net):
    """The read-out of the feed-forward part against the edges."""
    return last(net, "edges told")


@step
def shuffled_edges(net):
    """The same read-out against as many edges, shuffled among the pairs that could be one."""
    return last(net, "shuffled edges told")


@step
def values_instead(net):
    """The read-out of the value path against the edges."""
    return last(net, "edges told by values")


def shown(observe, net, *names):
    """Measures over training."""
    steps, _ = net.values(names[0])
    observe.curve("Over training", steps, {name: net.values(name)[1] for name in names}, x_label="steps", unit="1")


FOLLOWS = [at_least(0.95, "share", follows_edges)]


@claim(
    "alpine/mlp-stores-adjacency",
    arms={"net": NET},
    requires=FOLLOWS,
    holds=above(0.95, unit="probability"),
    why="the ledger's bound",
    documented="the feed-forward weights agree with the adjacency matrix",
    controls=[
        CONSTRUCTED,
        negative(told_by=shuffled_edges),
        negative(told_by=values_instead),
        UNTRAINED,
    ],
)
def the_feed_forward_part_tells_edges(net, told_by, observe):
    """Probability that the read-out of an edge exceeds that of another pair that could be one, in the order of the graph.

    Read-out: logits of the embedding of the current node plus the feed-forward part's answer to it, each row minus its mean.
    50 nodes, edges with probability 0.1, a graph of its own for each seed.
    """
    shown(observe, net, "edges told", "shuffled edges told", "edges told by values", "paths", "paths kept out")
    return told_by


@claim(
    "alpine/value-stores-observed-reach",
    arms={"net": NET},
    requires=FOLLOWS,
    holds=above(0.8, unit="probability"),
    why="the ledger's bound",
    documented="the value weights agree with the observed reachability matrix",
    controls=[CONSTRUCTED, NO_TARGETS, negative(net=EDGES, label="edges by hand, no reach"), UNTRAINED],
)
def the_value_path_tells_observed_reach(net, observe):
    """Probability that the read-out of a node observed from a target exceeds that of one not observed.

    Read-out: logits of what attention writes where all of it is on the target, plus the feed-forward part's answer to it, each
    row minus its mean. Observed: behind the source on a training path to the target; the target itself is left out.
    """
    shown(observe, net, "observed told", "gap")
    return last(net, "observed told")


@claim(
    "alpine/value-stores-observed-reach",
    arms={"net": NET, "narrow": NARROW},
    requires=FOLLOWS,
    holds=above(0.1, unit="standard deviation"),
    why="the paper gives the direction; a tenth of the spread of the read-out is the smallest growth of interest (our choice)",
    documented="the gap grows with the width of the embedding",
    controls=[positive(narrow=EDGES, label="none by hand"), negative(narrow=NET, label="of one width"), UNTRAINED],
)
def the_gap_grows_with_width(net, narrow):
    """Gap of the value read-out between observed and other nodes at width 120, minus that at width 30."""
    return last(net, "gap") - last(narrow, "gap")


@claim(
    "alpine/attention-on-target",
    arms={"net": NET},
    requires=FOLLOWS,
    holds=above(0.0, unit="attention"),
    why="the ledger's bounds: 0.8 on the target, no other peak of 0.2",
    documented="attention at path positions lies on the target",
    controls=[CONSTRUCTED, NO_TARGETS, UNTRAINED],
)
def attention_lies_on_the_target(net, observe):
    """The smaller of two margins: mean attention to the target over 0.8, and 0.2 over that to any other place.

    From the repeated source and the nodes of the path, on 128 training lines. Other places: each position of a line, and each
    distance back (0: the node itself).
    """
    shown(observe, net, "attention", "largest other")
    return min(last(net, "attention") - 0.8, 0.2 - last(net, "largest other"))


@step
def cosines(net):
    """Of the whole with the sum of its own parts."""
    return last(net, "additive")


@step
def parts_of_other_pairs(net):
    """Of the whole with the sum of the parts of another pair."""
    return last(net, "additive, other pairs")


@claim(
    "alpine/mlp-nearly-additive",
    arms={"net": NET},
    requires=FOLLOWS,
    holds=above(0.8, unit="1"),
    why="the ledger's bound, below the paper's table (0.87 to 0.93)",
    documented="cosine 0.87 to 0.93 for 100 to 500 nodes",
    controls=[CONSTRUCTED, negative(cosines=parts_of_other_pairs), UNTRAINED],
)
def the_feed_forward_part_is_nearly_additive(net, cosines, observe):
    """Cosine of the feed-forward part's answer to target and current node together with the sum of its answers to each.

    As logits, minus their mean, over 1,024 random pairs of nodes; input: what attention writes of the target plus the embedding of
    the current node, through the norm. An untrained network has 0.91 (pilot): near linearity needs no training.
    """
    shown(observe, net, "additive", "additive, other pairs")
    return cosines
