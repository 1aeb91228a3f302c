"""repeated-data: what documents that are seen again and again do to a small language model (arXiv:2205.10487)."""

from __future__ import annotations

import math

import numpy as np
from claimbench import above, at_least, below, claim, negative, positive, recipe, step
from claimbench.measures.matching import last_mean

UNREPEATED = recipe("documents")
NUMBERS = (1, 25, 100, 400, 1600)  # times that a document of the repeated share is seen
ARMS = {
    "r1": UNREPEATED,
    "r25": recipe("documents-repeated-256"),
    "r100": recipe("documents-repeated"),
    "r400": recipe("documents-repeated-16"),
    "r1600": recipe("documents-repeated-4"),
}
NAMES = ("test loss", "more test loss", "repeated loss", "prose loss", "recall loss")


def late(run, name):
    """Where a curve ends."""
    return last_mean(run.values(name)[1])


@step
def ends(r1, r25, r100, r400, r1600):
    """Losses at the end of training by number of repeats, each (5,)."""
    return {name: np.array([late(run, name) for run in (r1, r25, r100, r400, r1600)]) for name in NAMES}


@step
def heads_without_repeats(r1):
    """Induction score of the top head without repeats."""
    return late(r1, "induction")


def planted_ends(worst, memorised):
    """Losses with a peak of 0.3 nat at one place of the grid and the repeated documents known from another on."""
    place = np.arange(len(NUMBERS))
    loss = 2.6 + 0.3 * np.exp(-((place - worst) ** 2))
    known = np.where(place >= memorised, 0.1, 2.0)
    return {"test loss": loss, "more test loss": loss, "repeated loss": known, "prose loss": loss, "recall loss": loss}


@step
def peaked():
    """Planted: worst at 100 repeats, where the repeated documents begin to be known."""
    return planted_ends(worst=2, memorised=2)


@step
def known_before():
    """Planted: worst at 400 repeats, and the repeated documents known at 25."""
    return planted_ends(worst=3, memorised=1)


def shown(observe, ends):
    """Losses over the number of repeats."""
    observe.curve("Loss at the end, by number of repeats", NUMBERS, ends, x_label="repeats", unit="nat")


@claim(
    "repeated-data/interior-damage-peak",
    arms=ARMS,
    requires=[at_least(0.4, "attention", heads_without_repeats)],
    holds=above(0.02, unit="nat"),
    why="the ledger's smallest effect; that it exceeds three standard deviations over seeds is left to the interval",
    documented="with a tenth of the tokens repeated, held-out loss is worst at an intermediate number of repeats; an 800M model "
    "falls to the loss of one half as large",
    controls=[
        positive(ends=peaked),
        negative(r25=UNREPEATED, r100=UNREPEATED, r400=UNREPEATED, label="no repeats in between"),
        negative(r25=ARMS["r1600"], r100=ARMS["r1600"], r400=ARMS["r1600"], label="most repeats in between"),
    ],
)
def damage_peaks_in_between(ends, observe):
    """Held-out loss at the worst number of repeats in between, minus that at the worse end of the range.

    Half of the rows are documents of a fixed subset, the other half new ones; 800 steps of 16 documents of 40 tokens throughout,
    so that a smaller subset is seen more often: 25, 100 and 400 times, and at the ends once (all new) and 1,600 times. The worst
    number is chosen on one half of the held-out documents and measured on the other. The paper's main share is a tenth.
    """
    shown(observe, ends)
    worst = 1 + int(ends["test loss"][1:-1].argmax())
    return ends["more test loss"][worst] - max(ends["more test loss"][0], ends["more test loss"][-1])


@claim(
    "repeated-data/peak-at-memorisation",
    arms=ARMS,
    requires=[at_least(0.4, "attention", heads_without_repeats)],
    holds=below(1.5 * math.log(4), unit="log ratio"),
    why="the ledger's bound, at most one step of the grid of repeats, which is a factor of 4; 'in most seeds' is the typical one",
    documented="the number of repeats that does most damage is the one where the loss on the repeated subset approaches zero",
    controls=[
        positive(ends=peaked),
        negative(ends=known_before),
        negative(subset="test loss", label="documents never seen"),
    ],
)
def the_peak_is_where_repeats_are_memorised(ends, observe, subset="repeated loss"):
    """Distance of the number of repeats that does most damage from the first at which repeats are memorised, as a log ratio.

    Memorised: the loss on the repeated documents is below a tenth of the held-out loss without repeats; where it never is, the
    next number behind the grid counts. Grid and nets of the peak itself.
    """
    shown(observe, ends)
    known = np.flatnonzero(ends[subset][1:] < 0.1 * ends["test loss"][0])
    first = NUMBERS[1 + int(known[0])] if len(known) else 4 * NUMBERS[-1]
    return abs(math.log(NUMBERS[int(ends["test loss"].argmax())] / first))
