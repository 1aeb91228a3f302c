"""grokking-tickets: how the mask and its graph change while a net generalises (arXiv:2310.19470)."""

from __future__ import annotations

import numpy as np
from claimbench import above, at_least, below, claim, guard, negative, positive, recipe, step

NET, RANDOM_LABELS = recipe("modular-structure"), recipe("modular-structure-random-labels")
UNTRAINED = guard(net=recipe("modular-structure-untrained"), label="untrained")


@step
def memorised(net):
    """Train accuracy at the end."""
    return net.values("train")[1][-1]


LEARNED = [at_least(0.95, "accuracy", memorised)]


def first(run, metric, above=0.95):
    """The first record of a metric above a level, or the last record."""
    values = np.array(run.values(metric)[1])
    return int(np.argmax(values > above)) if values.max() > above else len(values) - 1


@step
def change(net):
    """Distance of each record's mask from that of the record before."""
    return np.array(net.values("change")[1])


@step
def change_of_control(control):
    """The same of the net that learns random labels."""
    return np.array(control.values("change")[1])


@step
def planted_change(net, rng):
    """Planted: falls from 0.2, with a bump of 0.1 at the steepest rise of accuracy."""
    rise = np.diff(net.values("test")[1], prepend=0.0)
    records = np.arange(len(rise))
    bump = 0.1 * np.exp(-(((records - rise.argmax()) / 2.0) ** 2))
    return 0.2 * np.exp(-records / 3) + bump + rng.normal(0, 0.001, size=len(rise))


@claim(
    "grokking-tickets/mask-change-peaks",
    arms={"net": NET, "control": RANDOM_LABELS},
    requires=LEARNED,
    holds=below(45, unit="steps"),
    why="the ledger's one interval of a twentieth of the time to generalise, here 30 steps, and half of one for reading",
    documented="the Jaccard distance of successive masks peaks where test accuracy rises",
    controls=[
        positive(change=planted_change),
        negative(change=change_of_control, label="masks along a training on random labels"),
        UNTRAINED,
    ],
)
def the_mask_changes_most_where_accuracy_rises(net, change, control, observe):
    """Steps between the largest change of the mask and the steepest rise of test accuracy, read every 30 steps.

    Masks of the largest 40 percent of the weights, as in the paper; from twice the time of memorisation on, since the change that
    memorising makes is larger.
    """
    steps, accuracy = net.values("test")
    observe.curve("Change of the mask", steps, {"true labels": change, "random labels": control.values("change")[1]},
                  x_label="steps", unit="Jaccard distance")  # fmt: skip
    observe.curve("Test accuracy", steps, {"true labels": accuracy}, x_label="steps", unit="accuracy")
    start = 2 * first(net, "train")
    return abs(steps[int(np.argmax(change[start:])) + start] - steps[int(np.argmax(np.diff(accuracy, prepend=0.0)))])


@step
def graph(net):
    """Path length and clustering beyond those of random masks, and spectral gap: first, memorised, generalised."""
    at = (0, first(net, "train"), first(net, "test"))
    excess = {name: np.subtract(net.values(name)[1], net.values(f"{name} at random")[1]) for name in ("path length", "clustering")}
    return {name: [float(values[k]) for k in at] for name, values in (excess | {"gap": net.values("gap")[1]}).items()}


def levels(rng, sign):
    """Figures of a graph at three times, times a sign, with a little noise."""
    found = sign * np.array([[0, 0, 0.05], [0, 0, -0.02], [0.02, 0.05, 0.02]]) + rng.normal(0, 0.001, size=(3, 3))
    return dict(zip(("path length", "clustering", "gap"), found.tolist(), strict=True))


@step
def planted_graph(rng):
    """Planted: longer paths, fewer clusters, a gap that rises and falls."""
    return levels(rng, 1)


@step
def planted_opposite(rng):
    """Planted: shorter paths, more clusters, a gap that falls and rises."""
    return levels(rng, -1)


#: Where labels are random nothing changes, which a region that begins at 0 cannot refute: so the negative is the opposite, planted.
GRAPH_CONTROLS = [positive(graph=planted_graph), negative(graph=planted_opposite), UNTRAINED]


def shown(observe, net):
    """The figures of the graph over steps."""
    for name, unit in (("path length", "1"), ("clustering", "share")):
        lines = {"mask": net.values(name)[1], "random mask": net.values(f"{name} at random")[1]}
        observe.curve(name.capitalize(), net.values(name)[0], lines, x_label="steps", unit=unit)
    observe.curve("Spectral gap", net.values("gap")[0], {"weights": net.values("gap")[1]}, x_label="steps", unit="share")


@claim(
    "grokking-tickets/graph-properties",
    arms={"net": NET},
    requires=LEARNED,
    holds={"path length": above(0.0, unit="1"), "clustering": below(0.0, unit="share")},
    why="the paper's directions; the ledger has no region",
    documented="average path length rises and clustering falls around generalisation",
    controls=GRAPH_CONTROLS,
)
def paths_lengthen_and_clusters_dissolve(net, graph, observe):
    """Change of mean path length and of clustering, beyond random masks of equal layer densities, from memorised to generalised.

    Graph: units of all layers, joined where the mask keeps a weight (the largest 40 percent). It has no triangles, so clustering
    is that of bipartite graphs (shared neighbours over all neighbours of two nodes); which one the paper takes is not recorded.
    """
    shown(observe, net)
    return {name: graph[name][2] - graph[name][1] for name in ("path length", "clustering")}


@claim(
    "grokking-tickets/graph-properties",
    arms={"net": NET},
    requires=LEARNED,
    holds=above(0.0, unit="share"),
    why="the paper's direction; the ledger has no region",
    documented="the weighted spectral gap rises in memorisation and falls after",
    controls=GRAPH_CONTROLS,
)
def the_spectral_gap_rises_and_falls(net, graph, observe):
    """The smaller of two: how much the gap rises while the net memorises, and how much it then falls until it generalises.

    Gap: difference of the two largest singular values of a layer's weights over the largest, mean over four layers.
    """
    shown(observe, net)
    before, memorised, after = graph["gap"]
    return min(memorised - before, memorised - after)
