"""grokking-tickets: when a mask is taken decides what its ticket is worth (arXiv:2310.19470)."""

from __future__ import annotations

from claimbench import above, at_least, claim, negative, positive, recipe, step, steps_to
from claimbench.measures.effects import trend
from claimbench.measures.mask_graphs import jaccard_distance
from claimbench.measures.times import ratio_of, to_rank

DENSE, LAST = recipe("modular-addition"), recipe("modular-ticket")
STEPS, BUDGET = (150, 300, 450, 600), 1500
MASKS = {"memorised": recipe("modular-ticket-of-memorised")}
MASKS |= {f"at_{steps}": recipe(f"modular-ticket-at-{steps}") for steps in STEPS}
OF_RANDOM_LABELS = {"memorised": recipe("modular-ticket-of-random-labels-at-75"), "last": recipe("modular-ticket-of-random-labels")}
OF_RANDOM_LABELS |= {f"at_{steps}": recipe(f"modular-ticket-of-random-labels-at-{steps}") for steps in STEPS}


def generalised(run):
    """Steps until test accuracy is above 0.95 at three records in a row."""
    return steps_to(run, "test", above=0.95, times=3)


def memorised(run):
    """Steps until train accuracy is above 0.95."""
    return steps_to(run, "train", above=0.95)


@step
def delay(dense):
    """Times that the dense net takes longer to generalise than to memorise, at least."""
    return ratio_of(generalised(dense), memorised(dense)).low


@step
def taken(dense):
    """Steps after which the six masks are taken; the last when the dense net has generalised, which may be before 600."""
    return [to_rank(memorised(dense), BUDGET), *STEPS, dense.steps]


@step
def times(memorised, at_150, at_300, at_450, at_600, last):
    """Steps that the tickets of the six masks take to generalise, at most 1,500."""
    return [to_rank(generalised(run), BUDGET) for run in (memorised, at_150, at_300, at_450, at_600, last)]


@step
def planted_times(taken, rng):
    """Planted: each mask's ticket is a little faster than that of the mask before."""
    return [1500 / step**0.3 * rng.uniform(0.95, 1.05) for step in taken]


@step
def times_to_generalise(arms, observe):
    """Steps until the ticket of each mask generalises, over seeds."""
    tickets = {name.replace("_", " "): generalised(run) for name, run in arms.items() if name != "dense"}
    observe.times("Steps to generalise, by when the mask was taken", tickets, budget=BUDGET, unit="steps")


@step(scope="subject")
def overlaps(memorised, at_150, at_300, last, observe):
    """How many weights the masks share; those in between are left out, whose networks would have to be trained for it."""
    kept = {"memorised": memorised, "at 150": at_150, "at 300": at_300, "last": last}
    masks = [{layer: weight != 0 for layer, weight in run.initial.named_parameters()} for run in kept.values()]
    names = list(kept)
    told = "Weights that both masks keep over those that either keeps; random masks of this size have 0.43."
    shares = [[1 - jaccard_distance(one, other) for other in masks] for one in masks]
    observe.matrix("Overlap of the masks, by when they were taken", shares, names, names, unit="Jaccard index", told=told)


@claim(
    "grokking-tickets/late-masks-better",
    arms={"dense": DENSE, **MASKS, "last": LAST},
    requires=[at_least(4, "ratio", delay)],
    holds=above(0.6, unit="correlation"),
    why="the ledger's bound, over six masks",
    documented="masks from memorisation or the transition give no full speed; tickets get better with the epoch of the mask",
    controls=[
        positive(times=planted_times),
        negative(**OF_RANDOM_LABELS, label="masks taken along a training on random labels"),
        negative(**dict.fromkeys(MASKS, LAST), label="the last mask at all times"),
    ],
    shows=[times_to_generalise, overlaps],
)
def later_masks_make_better_tickets(taken, times, observe):
    """Rank correlation, over six masks, of the step at which a mask is taken with how soon its ticket generalises.

    Masks of the largest 60 percent of the weights at the end of memorisation, after 150, 300, 450 and 600 steps, and when the
    dense net has generalised. Tickets that do not generalise in 1,500 steps, at least five times as long as those of the last
    mask take in the middle, share the last rank.
    """
    observe.curve(
        "Steps to generalise",
        sorted(taken),
        {"ticket": [time for _, time in sorted(zip(taken, times, strict=True))]},
        x_label="step of the mask",
        unit="steps",
    )
    return trend(taken, [-time for time in times])
