"""grok-mod-poly: subtraction against addition, in a small transformer (arXiv:2402.16726)."""

from __future__ import annotations

import math

from claimbench import above, at_least, below, claim, guard, log_ratio, negative, positive, recipe, step, steps_to
from claimbench.measures.fourier import frequency_density, phase_balance, product_table, sum_table

SUM, DIFFERENCE = recipe("operation-sum"), recipe("operation-difference")
RANDOM_LABELS, SHORT = recipe("operation-random-labels"), recipe("operation-difference-short")
MODULUS = 43


def last(run, metric="test"):
    """A metric at the end of a run."""
    return run.values(metric)[1][-1]


def generalised(run):
    """Steps until test accuracy is above 0.95 at three records in a row."""
    return steps_to(run, "test", above=0.95, times=3)


@step
def worse_accuracy(difference, addition):
    """Test accuracy at the end, of the worse of two nets."""
    return min(last(difference), last(addition))


@step
def figures(difference, addition):
    """After subtraction the density of the embedding; of the neuron-logit map the balance, and that after addition."""
    return last(difference, "density"), last(difference, "balance of logits"), last(addition, "balance of logits")


@step
def exact(rng):
    """Planted: an exact embedding for addition, a map to logits that is all cosine, and one for addition."""
    noise = rng.normal(0, 0.01, size=(3, MODULUS, 128))
    cosines = product_table(rng, MODULUS, columns=128)
    first, second, third = (table + more for table, more in zip((sums(rng), cosines, sums(rng)), noise, strict=True))
    return frequency_density(first), phase_balance(second), phase_balance(third)


def sums(rng):
    """An exact table for addition."""
    return sum_table(rng, MODULUS, columns=128)


@step
def times_to_generalise(difference, addition, observe):
    """Steps until each net generalises, over seeds."""
    times = {"subtraction": generalised(difference), "addition": generalised(addition)}
    observe.times("Steps to generalise: test accuracy above 0.95 three times in a row", times, budget=1200, unit="steps")


@claim(
    "grok-mod-poly/subtraction-asymmetric",
    arms={"difference": DIFFERENCE, "addition": SUM},
    requires=[at_least(0.95, "accuracy", worse_accuracy)],
    holds={
        "density": below(0.4, unit="share"),
        "balance of logits": below(-0.15, unit="ratio"),
        "steps": above(math.log(1.3), unit="log steps"),
    },
    why="the ledger's bounds; for the density those of the claim on addition",
    documented="an embedding as sparse as addition's, a neuron-logit map with a cosine bias, and a later generalisation",
    controls=[
        positive(figures=exact, label="exact tables, and the times as measured"),
        negative(difference=SUM, label="addition against itself"),
        guard(difference=SHORT, label="memorised only"),
        guard(addition=RANDOM_LABELS, label="random labels"),
    ],
    shows=[times_to_generalise],
)
def subtraction_is_asymmetric(difference, addition, figures, observe):
    """After subtraction: density of the embedding, balance of the neuron-logit map minus addition's, log ratio of both times.

    Density: FFD, balance: FCR. A transformer of one layer without positions, read at b, modulo 43, three quarters of the ordered
    pairs, 1,200 steps, for addition 600. Times are those at which test accuracy is above 0.95 three times in a row.
    """
    density, balance, of_addition = figures
    for name, run in (("subtraction", difference), ("addition", addition)):
        steps, accuracy = run.values("test")
        lines = {name: run.values(name)[1] for name in ("density", "balance", "balance of logits")}
        observe.curve(name.capitalize(), steps, {"test accuracy": accuracy, **lines}, x_label="steps", unit="1")
    times = log_ratio(generalised(difference), generalised(addition))
    return {"density": density, "balance of logits": balance - of_addition, "steps": times}
