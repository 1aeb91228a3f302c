"""icml-circuits: what attention restricted to the edges of one phase reaches, beside what can be known there (arXiv:2505.16694)."""

from __future__ import annotations

import numpy as np
from claimbench import above, below, claim, negative, positive, recipe, step, within
from claimbench.measures.curves import plateau_index
from claimbench.measures.effects import off_level
from claimbench.measures.label_bags import best_accuracies, query_ceiling

QUERY, BAG, CHUNK, ITEMS = (recipe(f"circuits-{edges}") for edges in ("query", "bag", "chunk", "items"))
BAG_8, BAG_16, BAG_32 = (recipe(f"circuits-bag-{classes}") for classes in (8, 16, 32))
QUERY_8, QUERY_16, QUERY_32 = (recipe(f"circuits-query-{classes}") for classes in (8, 16, 32))
PAIRS, QUERIES = 4, 4096
SIZES = (8, 16, 32)
THEORY = [p + (1 - p) / 2 for p in (PAIRS / (size - 1) for size in SIZES)]


def at_end(run, name):
    """A measure of a run at its last record."""
    return run.values(name)[1][-1]


def farthest(measured, predicted):
    """The largest of the distances of levels from those predicted, with its sign."""
    return max((off_level(*pair, queries=QUERIES) for pair in zip(measured, predicted, strict=True)), key=lambda off: abs(off.low))


@step
def levels(query, bag):
    """Accuracy and ceiling of the query-only and of the label-bag circuit."""
    return (at_end(query, "accuracy"), at_end(bag, "accuracy")), (at_end(query, "query ceiling"), at_end(bag, "bag ceiling"))


@step
def levels_of_bayes(rng):
    """Planted: the best answers by the query alone and by the bag of labels, to as many queries of random tasks."""
    tables = rng.integers(16, size=(3, 32))
    alone, by_bag, ceiling = best_accuracies(rng, tables, QUERIES, PAIRS)
    return (alone, by_bag), (query_ceiling(tables), ceiling)


@claim(
    "icml-circuits/masked-circuits-hit-ceilings",
    arms={"query": QUERY, "bag": BAG},
    holds=within(0.04, unit="accuracy"),
    why="the ledger's margin; 4,096 queries know a level to about 0.015",
    documented="with the edges of the first and of the second circuit alone, accuracy ends on the plateau of that phase",
    controls=[
        positive(levels=levels_of_bayes),
        negative(bag=ITEMS, label="items in the place of labels"),
        negative(query=CHUNK, label="edges of the third circuit in the place of the first"),
    ],
)
def masked_circuits_end_on_their_ceilings(levels, observe):
    """Accuracy minus the exact ceiling of what the edges let through, the farther of both circuits.

    Query only: the query attends to itself in both layers. Label bag: to labels in layer 1, to itself in layer 2. Three random
    tasks of 32 classes and 16 labels, four pairs, the asked class never among them. Ceilings are exact for each seed's tasks:
    the commonest label of the asked class, and the posterior by the labels without their items. 4,096 fresh queries.
    """
    rows = zip(("query only", "label bag"), *levels, strict=True)
    observe.table("Accuracy and ceiling", ["edges", "accuracy", "ceiling"], [list(row) for row in rows])
    return farthest(*levels)


@claim(
    "icml-circuits/masked-circuits-hit-ceilings",
    arms={"net": CHUNK},
    holds=above(0.97, unit="accuracy"),
    why="the ledger's bound",
    documented="with the edges of the third circuit alone, accuracy reaches 1",
    controls=[positive(net=recipe("circuits-free"), label="all edges"), negative(net=BAG, label="edges of the second circuit")],
)
def the_third_circuit_alone_solves_the_task(net):
    """Accuracy with labels attending to their items in layer 1 and the query to labels in layer 2, on 4,096 fresh queries."""
    return at_end(net, "accuracy")


@step
def curve(net):
    """Steps and accuracy, with both ceilings."""
    return *map(np.array, net.values("accuracy")), at_end(net, "query ceiling"), at_end(net, "bag ceiling")


def planted_curve(*jumps):
    """Accuracy that jumps from 0.1 to 0.35, 0.8 and 1 at these steps, within a tenth of the time."""
    steps = np.array([*range(10, 200, 10), *np.geomspace(200, 800, 30).round()])
    rise = sum(height / (1 + (jump / steps) ** 25) for jump, height in zip(jumps, (0.25, 0.45, 0.2), strict=True))
    return steps, 0.1 + rise, 0.35, 0.8


@step
def one_jump():
    """Planted: all at step 200."""
    return planted_curve(200, 200, 200)


@step
def three_jumps():
    """Planted: at steps 60, 200 and 500."""
    return planted_curve(60, 200, 500)


@claim(
    "icml-circuits/masked-circuits-hit-ceilings",
    arms={"net": CHUNK},
    holds=below(0.03, unit="share"),
    why="3 percent of the log steps is what the ledger allows a net with one jump",
    documented="with the edges of the third circuit alone there is one jump",
    controls=[positive(curve=one_jump), negative(curve=three_jumps)],
)
def the_third_circuit_alone_takes_one_jump(curve, observe):
    """Share of log steps within 0.05 of the label-bag ceiling, minus that of a steady curve.

    Counted from the query-only ceiling to an accuracy of 0.95.
    """
    observe.curve("Accuracy", curve[0], {"accuracy": curve[1]}, x_label="step", unit="accuracy")
    steps, accuracy, low, middle = curve
    return plateau_index(steps, accuracy, level=middle, within=0.05, leaving=low, reaching=0.95)


@step
def accuracies(few, some, many):
    """Accuracy of the label-bag circuit by the number of classes."""
    return [at_end(run, "accuracy") for run in (few, some, many)]


@step
def accuracies_of_bayes(rng):
    """Planted: the best answers by the bag of labels, to as many queries."""
    tables = [np.stack([np.arange(size), np.roll(np.arange(size), 1)]) for size in SIZES]
    return [best_accuracies(rng, each, QUERIES, PAIRS)[1] for each in tables]


@claim(
    "icml-circuits/semi-context-theory",
    arms={"few": BAG_8, "some": BAG_16, "many": BAG_32},
    holds=within(0.03, unit="accuracy"),
    why="the ledger's margin",
    documented="semi-context accuracy is p + (1 - p) / 2 with p = N / (K - 1) for two tasks",
    controls=[positive(accuracies=accuracies_of_bayes), negative(few=QUERY_8, label="query only, K = 8")],
)
def the_label_bag_has_the_accuracy_of_the_theory(accuracies, observe):
    """Accuracy of the label-bag circuit minus p + (1 - p) / 2, p = 4 / (K - 1), the farthest of K = 8, 16 and 32.

    Two bijective tasks without a shared pair, as many labels as classes: whenever the other task's label of the asked class is
    in the context the answer is known, else both are alike likely. The levels are 0.786, 0.633 and 0.565. 4,096 queries.
    """
    rows = zip(SIZES, accuracies, THEORY, strict=True)
    observe.table("Accuracy and theory", ["classes", "accuracy", "theory"], [list(row) for row in rows])
    return farthest(accuracies, THEORY)


@step
def accuracies_of_the_query(rng):
    """Planted: either label of the asked class, at random."""
    return list(rng.binomial(QUERIES, 0.5, len(SIZES)) / QUERIES)


@claim(
    "icml-circuits/masked-circuits-hit-ceilings",
    arms={"few": QUERY_8, "some": QUERY_16, "many": QUERY_32},
    holds=within(0.04, unit="accuracy"),
    why="the ledger's margin; 4,096 queries know a level to about 0.015",
    documented="with the edges of the first circuit alone accuracy ends on the plateau of the first phase",
    controls=[positive(accuracies=accuracies_of_the_query), negative(few=BAG_8, label="labels seen too, K = 8")],
)
def the_query_alone_has_its_ceiling_at_every_size(accuracies, observe):
    """Accuracy of the query-only circuit minus its exact ceiling, one half, the farthest of 8, 16 and 32 classes.

    The two bijective tasks of the claim before, whose label-bag circuit that one judges; a query of 4,096 that sees itself alone is
    right by one of its two labels.
    """
    observe.table(
        "Accuracy", ["classes", "accuracy", "ceiling"], [[size, found, 0.5] for size, found in zip(SIZES, accuracies, strict=True)]
    )
    return farthest(accuracies, [0.5] * len(SIZES))
