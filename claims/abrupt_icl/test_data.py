"""abrupt-icl: which data make the network learn in context and which in weights (arXiv:2312.03002, figures 2 and A.5)."""

from __future__ import annotations

import math

from claimbench import above, at_least, claim, log_ratio, negative, positive, recipe, step, steps_to, yours
from claimbench.measures.effects import smallest_gap

MANY, FEW = recipe("bursty-many-classes"), recipe("bursty-few-classes")
SOME, TWICE = recipe("bursty-some-classes"), recipe("bursty-some-classes-twice")
NOISY, NOISIEST = recipe("bursty-some-classes-noisy"), recipe("bursty-some-classes-noisiest")
NOVEL, ABSENT = recipe("bursty-novel"), recipe("bursty-absent")
ABSENT_LONGER = ABSENT.with_(name="bursty-absent-longer", steps=2400)  # an open time counts from its last step only


def at_end(run, name, step=math.inf):
    """A measure of a run at its last record, or its last up to a step."""
    return [value for when, value in zip(*run.values(name), strict=True) if when <= step][-1]


@step
def either_way(few, some, twice, many):
    """The worst of the arms, each by the better of its two accuracies."""
    arms = ((few, 800), (some, 1200), (twice, 1200), (many, 800))
    return min(max(at_end(run, "swapped", step), at_end(run, "in weights", step)) for run, step in arms)


@claim(
    "abrupt-icl/burstiness-and-classes",
    arms={"few": FEW, "some": SOME, "twice": TWICE, "many": MANY},
    requires=[at_least(0.5, "accuracy", either_way)],
    holds={
        "in context, by classes": above(0.3, unit="accuracy"),
        "in context, by bursts": above(0.3, unit="accuracy"),
        "in weights": above(0.2, unit="accuracy"),
    },
    why="0.3 and 0.2 are the ledger's bounds on the differences from end to end",
    documented="in-context accuracy rises and in-weights accuracy falls with the number of classes and with burstiness",
    controls=[
        positive(few=ABSENT, some=ABSENT, twice=NOVEL, many=NOVEL, label="arms in which one way alone is possible"),
        negative(many=FEW, twice=SOME, label="the same classes and bursts twice"),
        negative(few=MANY, some=TWICE, twice=SOME, many=FEW, label="arms exchanged"),
    ],
)
def classes_and_bursts_favour_context(few, some, twice, many):
    """Accuracy with swapped labels, more classes or bursts minus fewer, and the smaller of both falls of in-weights accuracy.

    Classes: 1,024 against 32, each once in its sequence. Bursts: two of each against one, with 256 classes. Swapped labels:
    known classes with other labels than in training, so that only the context helps; in weights: the class asked for is not
    in the context. After 800 steps (classes) and 1,200 (bursts), on 512 queries of each kind or more.
    """
    by_classes = {name: (at_end(few, name, 800), at_end(many, name, 800)) for name in ("swapped", "in weights")}
    by_bursts = {name: (at_end(some, name, 1200), at_end(twice, name, 1200)) for name in ("swapped", "in weights")}
    return {
        "in context, by classes": by_classes["swapped"][1] - by_classes["swapped"][0],
        "in context, by bursts": by_bursts["swapped"][1] - by_bursts["swapped"][0],
        "in weights": min(before - after for before, after in (by_classes["in weights"], by_bursts["in weights"])),
    }


@claim(
    "abrupt-icl/noise-favours-icl",
    arms={"clean": SOME, "noisy": NOISY, "noisiest": NOISIEST},
    holds={
        "in context": above(0.15, unit="accuracy"),
        "in weights": above(0.15, unit="accuracy"),
        "smallest step": above(-0.05, unit="accuracy"),
    },
    why="0.15 from end to end is the ledger's; between levels a trend must not turn back by more than the noise of 512 queries",
    documented="raising the noise within classes moves the network from in-weights to in-context learning",
    controls=[
        positive(clean=ABSENT, noisy=SOME, noisiest=NOVEL, label="arms in which one way alone is possible at the ends"),
        negative(noisy=SOME, noisiest=SOME.with_(options={"test_noise": 1.0}), label="noise at test only"),
        negative(clean=NOISIEST, noisiest=SOME, label="levels exchanged"),
    ],
)
def noise_favours_context(clean, noisy, noisiest):
    """Rise of swapped-label accuracy and fall of in-weights accuracy from noise 0.1 to 1.0, and their smallest step.

    256 classes, each once in its sequence, where the least noise gives in-weights learning; noise 0.1, 0.5, 1.0 in training
    and test. After 1,200 steps, on 512 queries of each kind.
    """
    swapped, weights = ([at_end(run, name) for run in (clean, noisy, noisiest)] for name in ("swapped", "in weights"))
    steps = (smallest_gap(swapped), smallest_gap([-value for value in weights]))
    return {
        "in context": swapped[-1] - swapped[0],
        "in weights": weights[0] - weights[-1],
        "smallest step": min(gap.low for gap in steps),
    }


@step
def learns_with_spare(spare):
    """Best accuracy on novel classes with labels to spare."""
    return max(spare.values("in context")[1])


@step
def times_to_learn(none, spare, observe):
    """Steps until each net learns in context, over seeds."""
    times = {name: steps_to(run, "in context", above=0.9) for name, run in (("4 labels", none), ("16 labels", spare))}
    observe.times("Steps to 90 % accuracy on novel classes", times, budget=none.recipe.steps, unit="steps")


@claim(
    "abrupt-icl/more-labels-than-pairs",
    arms={"none": recipe("bursty-no-spare-labels"), "spare": MANY},
    requires=[at_least(0.9, "accuracy", learns_with_spare)],
    holds=above(math.log(2), unit="log steps"),
    why="the same bound as for the theory: not learned, or in more than twice the steps",
    documented="the full net learns for L > N and not for L = N (N = 2, 4, 8, six seeds)",
    controls=[
        positive(none=ABSENT_LONGER, label="never in context"),
        negative(none=MANY, spare=NOVEL, label="labels to spare in both"),
    ],
    shows=[times_to_learn],
    yours=[yours("optimiser", none=recipe("bursty-no-spare-labels"), spare=MANY)],
)
def the_net_learns_later_without_spare_labels(none, spare):
    """Log steps to 90 % accuracy on novel classes with as many labels as pairs (four), over that with sixteen.

    A run that never gets there is open. The arms share initial weights but for the classifier's last layer, and classes.
    """
    return log_ratio(steps_to(none, "in context", above=0.9), steps_to(spare, "in context", above=0.9))
