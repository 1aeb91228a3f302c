"""icml-circuits: with more than one head the curve is smooth (arXiv:2505.16694, on several heads)."""

from __future__ import annotations

import math

import numpy as np
from claimbench import at_least, below, claim, negative, positive, recipe, step

ONE = recipe("circuits-many-classes")
TWO = recipe("circuits-many-classes-two-heads").with_(name="circuits-many-classes-two-heads-longer", steps=4000)
NEAR, SHORTEST = 0.05, 0.01


@step
def lengths(one, two):
    """Decades of steps for which each net stays on a lower ceiling, the longer of both ceilings, with one head and with two."""
    return [longest(run) for run in (one, two)]


def longest(run):
    """Decades within 0.05 of the query-only or of the label-bag ceiling, whichever is longer, along straight lines in log steps."""
    steps, accuracy = (np.array(part, dtype=float) for part in run.values("accuracy"))
    fine = np.linspace(math.log10(steps[0]), math.log10(steps[-1]), 2001)
    found = np.interp(fine, np.log10(steps), accuracy)
    ceilings = (run.values(f"{name} ceiling")[1][-1] for name in ("query", "bag"))
    return max(float((np.abs(found - level) <= NEAR).mean()) for level in ceilings) * (fine[-1] - fine[0])


@step
def length_of_one(lengths):
    """The same, with one head."""
    return lengths[0]


@step
def solved(one, two):
    """Best accuracy of the worse net."""
    return min(max(run.values("accuracy")[1]) for run in (one, two))


@step
def halved():
    """Planted: a third of the length."""
    return [0.45, 0.15]


@step
def kept():
    """Planted: nine tenths of the length."""
    return [0.45, 0.4]


@claim(
    "icml-circuits/multi-head-smooths",
    arms={"one": ONE, "two": TWO},
    requires=[at_least(0.2, "decades", length_of_one, name="plateau with one head"), at_least(0.8, "accuracy", solved)],
    holds=below(math.log(0.5), unit="log ratio"),
    why="the ledger's: the longest plateau is half as long at most",
    documented="with two heads or more the curve has no plateaus; one head takes the query, another the whole context",
    controls=[positive(lengths=halved), negative(lengths=kept), negative(two=ONE, label="one head twice")],
)
def two_heads_leave_the_plateau(lengths, one, two, observe):
    """Log of how long a net with two heads stays on a lower ceiling, over that with one head, in decades of steps.

    The longest stay within 0.05 of the query-only or the label-bag ceiling. 128 classes, where one head stays longest on the
    first. Two heads share the layer's width and are trained for twice as long, since some of these nets are late. Which head
    takes what, and the hidden second phase, are not tested.
    """
    curves = {name: run.values("accuracy") for name, run in (("one head", one), ("two heads", two))}
    steps = curves["one head"][0]
    lines = {name: np.interp(steps, *values) for name, values in curves.items()}
    observe.curve("Accuracy, 128 classes", steps, lines, x_label="step", unit="share")
    return math.log(max(lengths[1], SHORTEST) / max(lengths[0], SHORTEST))
