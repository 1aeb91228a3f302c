"""lid: local dimension of a small net's states while it memorises and later generalises modular addition (arXiv:2506.01034)."""

from __future__ import annotations

import math

import numpy as np
from claimbench import above, at_least, below, claim, guard, log_ratio, negative, positive, recipe, step, variant
from claimbench.measures.curves import time_to
from claimbench.measures.times import lasting_fall

NET, RANDOM_LABELS = recipe("modular-followed"), recipe("modular-followed-random-labels")
FEW, SHORT = recipe("modular-followed-few-rows"), recipe("modular-followed-short")


@step
def memorised(net):
    """Train accuracy at the end."""
    return net.values("train")[1][-1]


@step
def course(net, metric="dimension"):
    """Steps, mean local dimension on the rows trained on, and test accuracy, of all records but that before training."""
    return tuple(np.array(values[1:]) for values in (*net.values(metric), net.values("test")[1]))


@step
def course_of_control(control, net, metric="dimension"):
    """The dimension where labels are random, beside the test accuracy of the net with true ones."""
    steps, dimension = control.values(metric)
    return np.array(steps[1:]), np.array(dimension[1:]), np.array(net.values("test")[1][1:])


@step
def planted(rng):
    """Planted: from 13 up to 15 and, from step 300, down to 6, while accuracy rises around step 450."""
    steps = np.array(sorted({min(1200, max(10 * (k + 1), round(10 * 1.12**k))) for k in range(50)}), dtype=float)
    rise = 1 / (1 + (450 / steps) ** 6)
    dimension = 13 + 2 * np.minimum(steps / 100, 1) - 9 * rise + rng.normal(0, 0.05, size=len(steps))
    return steps, dimension, rise


def shown(observe, course):
    """Dimension and accuracy over steps."""
    steps, dimension, accuracy = course
    observe.curve("Local dimension", steps, {"dimension": dimension}, x_label="steps", unit="dimensions")
    observe.curve("Test accuracy", steps, {"accuracy": accuracy}, x_label="steps", unit="accuracy")


LEARNED = [at_least(0.95, "accuracy", memorised)]
BY_LIKELIHOOD = [variant("by maximum likelihood", metric="dimension by likelihood")]


@claim(
    "lid/grokking-lowers-lid",
    arms={"net": NET},
    evidence="analogue",
    requires=LEARNED,
    holds=above(0.4, unit="share"),
    why="the ledger's bound",
    documented="from about 18 to 5 or 7 where a transformer groks; without it a rise and a plateau",
    controls=[
        positive(course=planted),
        negative(net=RANDOM_LABELS, label="random labels"),
        negative(net=FEW, label="a quarter of the rows, too few to generalise"),
        guard(net=recipe("modular-untrained"), label="untrained"),
    ],
    variants=BY_LIKELIHOOD,
)
def dimension_falls_where_it_generalises(course, observe):
    """Share by which mean local dimension has fallen from its largest value at the end of training.

    States that the unembedding of an MLP reads, at the 1,062 pairs of a + b modulo 59 that it is trained on; TwoNN among the
    64 nearest states of 60 of them. 1,200 steps, twice as many as generalising takes. The paper's nets are transformers.
    """
    shown(observe, course)
    _, dimension, _ = course
    return 1 - dimension[-1] / dimension.max()


@step
def times_of_changes(course, observe):
    """Steps until dimension falls for good and until test accuracy is 0.5, over seeds."""
    steps, dimension, accuracy = course
    times = {"fall of dimension": lasting_fall(steps, dimension), "accuracy of 0.5": time_to(steps, accuracy, 0.5)}
    observe.times("Steps until the fall and until the rise", times, budget=steps[-1], unit="steps")


@claim(
    "lid/lid-drop-marks-onset",
    arms={"net": NET, "control": RANDOM_LABELS},
    evidence="analogue",
    requires=LEARNED,
    holds=below(math.log(1.12), unit="log steps"),
    why="no later: within the 12 percent between two records",
    documented="the fall's onset coincides with, or precedes, the rise of validation accuracy",
    controls=[
        positive(course=planted),
        negative(course=course_of_control, label="dimension under random labels, which does not fall"),
    ],
    shows=[times_of_changes],
    variants=BY_LIKELIHOOD,
)
def the_fall_comes_no_later_than_the_rise(course, observe):
    """Log of the step from which dimension stays below 95 percent of its largest value, over that at which test accuracy is 0.5.

    The nets and states of the claim on the fall. That both times correlate over runs is no effect of one run and is not judged.
    """
    shown(observe, course)
    steps, dimension, accuracy = course
    return log_ratio(lasting_fall(steps, dimension), time_to(steps, accuracy, 0.5))
