"""abrupt-icl: four numbers in the place of both attention layers (arXiv:2312.03002, the minimal induction head)."""

from __future__ import annotations

import numpy as np
from claimbench import above, claim, negative, positive, recipe, step
from claimbench.measures.ranks import rank_correlation

CELLS = ("few-classes", "some-classes", "some-classes-noisy", "some-classes-noisiest", "some-classes-twice", "many-classes")
SHORT = ("few", "some", "noisy", "noisiest", "twice", "many")
FULL = {name: recipe(f"bursty-{cell}") for name, cell in zip(SHORT, CELLS, strict=True)}
MINIMAL = {f"minimal_{name}": recipe(f"minimal-{cell}") for name, cell in zip(SHORT, CELLS, strict=True)}
STEPS = 800


def at_end(run):
    """Accuracy on novel classes at the last record up to step 800."""
    return [value for when, value in zip(*run.values("in context"), strict=True) if when <= STEPS][-1]


@step
def of_network(few, some, noisy, noisiest, twice, many):
    """In-context accuracy of the network in six cells of classes, noise and bursts."""
    return [at_end(run) for run in (few, some, noisy, noisiest, twice, many)]


@step
def of_minimal(minimal_few, minimal_some, minimal_noisy, minimal_noisiest, minimal_twice, minimal_many):
    """The same of the minimal model."""
    return [at_end(run) for run in (minimal_few, minimal_some, minimal_noisy, minimal_noisiest, minimal_twice, minimal_many)]


@step
def same_order():
    """Planted: other accuracies in the same order."""
    return [0.1, 0.2, 0.3, 0.5, 0.8, 0.9]


@step
def shuffled(of_minimal, rng):
    """The minimal model's accuracies, each in the cell after its own, by a random number of cells."""
    return list(np.roll(of_minimal, int(rng.integers(2, 5))))


@claim(
    "abrupt-icl/minimal-model-suffices",
    arms=FULL | MINIMAL,
    holds=above(0.8, unit="correlation"),
    why="the ledger's bound on the rank correlation over cells",
    documented="the minimal model depends on classes, burstiness and noise as the network does",
    controls=[positive(of_minimal=same_order), negative(of_minimal=shuffled)],
)
def it_depends_on_the_data_as_the_network_does(of_network, of_minimal, observe):
    """Rank correlation over six cells of in-context accuracy of the minimal model and of the network after 800 steps.

    Cells: 32, 256 and 1,024 classes; 256 with noise 0.5 and 1.0, and with two of each class in a context. Accuracy on novel
    classes; onset times, which the ledger asks for, do not exist where nothing is learned in context. The minimal model
    attends by four numbers (previous token, match, label, read-out); the classifier is the network's.
    """
    rows = zip(CELLS, of_network, of_minimal, strict=True)
    observe.table("Accuracy on novel classes", ["cell", "network", "minimal"], [list(row) for row in rows])
    return rank_correlation(of_network, of_minimal)
