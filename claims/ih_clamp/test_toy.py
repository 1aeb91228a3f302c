"""ih-clamp: the product of three vectors, the smallest model of subcircuits that must come together (arXiv:2404.07129)."""

from __future__ import annotations

import math

import numpy as np
from claimbench import above, at_least, claim, guard, negative, positive, simulation, step, variant
from claimbench.measures.effects import log_time_ratio
from claimbench.simulations.three_vectors import Beginning, begin, losses, steps_to_learn

BUDGET = 10_000  # steps of gradient descent


@step
def start(rng, scale=0.1):
    """Targets of length one in 20 dimensions, factors with entries of standard deviation 0.1."""
    return begin(rng, scale=scale)


@step
def none(start, rate=0.02):
    """Steps with all three factors learning."""
    return steps_to_learn(start, rate=rate, steps=BUDGET)


@step
def one(start, rate=0.02, clamped=1):
    """Steps with one factor held at its target."""
    return steps_to_learn(start, clamped=clamped, rate=rate, steps=BUDGET)


@step
def two(start, rate=0.02, clamped_more=2):
    """Steps with two factors held at their targets."""
    return steps_to_learn(start, clamped=clamped_more, rate=rate, steps=BUDGET)


@step
def learns(start, rate=0.02):
    """Share of the loss that is gone in the end, all factors learning."""
    return 1 - losses(start, rate=rate, steps=BUDGET)[-1] / 0.5


@step
def under_way(rng):
    """Rival: factors that begin at seven tenths of their targets, so that there is no plateau to remove."""
    targets = begin(rng).targets
    return Beginning(targets, 0.7 * targets)


LEARNS = [at_least(0.95, "share", learns)]


@claim(
    "ih-clamp/three-vector-toy",
    on=simulation("three vectors"),
    requires=LEARNS,
    holds={"none over one": above(math.log(2), unit="log ratio"), "one over two": above(math.log(1.5), unit="log ratio")},
    why="the ledger's ratios (2 and 1.5); steps themselves depend on the scale of the beginning, so they are not judged",
    documented="a plateau that shortens with one factor clamped and is gone with two (ledger's check: 369, 111.5, 48 steps)",
    controls=[
        positive(scale=0.04, rate=0.05, label="smaller beginnings, larger steps"),
        negative(start=under_way),
        negative(clamped=0, clamped_more=0, label="nothing clamped"),
        guard(rate=1e-6),
    ],
    variants=[variant("smaller beginnings", scale=0.05, binding=True), variant("larger beginnings", scale=0.2, binding=True)],
)
def each_clamped_factor_shortens_the_plateau(start, none, one, two, observe):
    """Log of the steps to learn a product of three vectors: none clamped over one, and one clamped over two.

    Gradient descent (rate 0.02) on half the squared distance of two rank-one tensors, until a twentieth of the loss at zero
    is left; the same beginning in all three. A run that is not there after 10,000 steps is open.
    """
    lines = {f"{k} clamped": losses(start, clamped=k, steps=2000)[:2000] for k in range(3)}
    observe.curve("Loss", np.arange(1, 2001), lines, x_label="step", unit="1")
    observe.times("Steps to learn", {"none": none, "one clamped": one, "two clamped": two}, budget=BUDGET, unit="steps")
    ratio = {"none over one": (none, one), "one over two": (one, two)}
    return {name: log_time_ratio(slow, fast, budget=BUDGET) for name, (slow, fast) in ratio.items()}
