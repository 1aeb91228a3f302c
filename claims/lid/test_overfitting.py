"""lid: local dimension of a classifier's states while it learns first and overfits later (arXiv:2506.01034)."""

from __future__ import annotations

import numpy as np
from claimbench import above, at_least, below, claim, guard, negative, positive, recipe, step, variant
from claimbench.measures.partial_ranks import partial_rank_correlation

NET, MANY = recipe("noisy-sequences"), recipe("noisy-sequences-many")


def smooth(values):
    """Means of three records, so that the least is no outlier."""
    return np.convolve(values, np.ones(3) / 3, "valid")


def rise(values):
    """Share by which a course has risen from its least value at its end."""
    means = smooth(values)
    return means[-1] / means.min() - 1


@step
def best_accuracy(net):
    """Largest accuracy on fresh sequences."""
    return max(net.values("test")[1])


@step
def course(net, metric="dimension"):
    """Local dimension, accuracy and loss on fresh sequences, at all records; and their steps."""
    steps, dimension = net.values(metric)
    return {
        "steps": np.array(steps),
        "dimension": np.array(dimension),
        "accuracy": np.array(net.values("test")[1]),
        "loss": np.array(net.values("fresh loss")[1]),
    }


@step
def rise_of_control(many, metric="dimension"):
    """The rise where fifty times as many sequences are trained on, which cannot be learned by heart."""
    return rise(np.array(many.values(metric)[1]))


@step
def planted(rng):
    """Planted: dimension falls as accuracy rises and rises as it falls; the loss is least long before."""
    steps = np.arange(40.0)
    skill = 1 - ((steps - 20) / 20) ** 2
    noise = rng.normal(0, 0.02, size=(2, len(steps)))
    loss = 1 + ((steps - 5) / 20) ** 2
    return {"steps": steps, "dimension": 17 - 10 * (skill + noise[0]), "accuracy": 0.25 + 0.5 * skill, "loss": loss + noise[1]}


def shown(observe, course):
    """The courses over steps."""
    for title, names in (("Local dimension", ("dimension",)), ("On fresh sequences", ("accuracy", "loss"))):
        observe.curve(title, course["steps"], {name: course[name] for name in names}, x_label="steps", unit="1")


#: Twice what guessing among four classes gets.
LEARNED = [at_least(0.5, "accuracy", best_accuracy)]
UNTRAINED = guard(net=recipe("noisy-sequences-untrained"), label="untrained")
BY_LIKELIHOOD = [variant("by maximum likelihood", metric="dimension by likelihood")]


@claim(
    "lid/overfitting-lid-rises",
    arms={"net": NET, "many": MANY},
    evidence="analogue",
    requires=LEARNED,
    holds={"fall": above(0.05, unit="share"), "rise": above(0.05, unit="share")},
    why="the ledger's bound on the rise, here beyond that of its control, and the same for the fall before it",
    documented="9.94 to 7.25 after one epoch, then to about 8",
    controls=[
        positive(course=planted),
        negative(net=MANY, label="fifty times as many sequences in both"),
        negative(net=MANY, many=NET, label="exchanged"),
        UNTRAINED,
    ],
    variants=BY_LIKELIHOOD,
)
def dimension_falls_and_rises_again(course, rise_of_control, observe):
    """Share by which mean local dimension falls from its first value to its least, and by which it then rises to its last.

    States that the logits of a small classifier are read from, at 1,000 fresh sequences; TwoNN among the 64 nearest of 400 of them.
    500 sequences of 16 tokens with 40 percent of labels drawn anew. From the rise is taken that of a twin with fifty times as many
    sequences, whose least value lies a little below its last by fluctuation alone (0.04 in the middle).
    """
    shown(observe, course)
    observe.value("rise with fifty times as many sequences", rise_of_control, unit="share")
    dimension = course["dimension"]
    return {"fall": 1 - smooth(dimension).min() / dimension[0], "rise": rise(dimension) - rise_of_control}


@claim(
    "lid/lid-tracks-skill",
    arms={"net": NET},
    evidence="analogue",
    requires=LEARNED,
    holds={"with skill": below(-0.8, unit="correlation"), "beyond the loss": below(0.0, unit="correlation")},
    why="the ledger's bound, with the step partialled out; better than the loss: a direction",
    documented="Spearman of dimension and skill -0.982; validation loss is least far before skill is largest",
    controls=[positive(course=planted), negative(net=MANY, label="fifty times as many sequences"), UNTRAINED],
    variants=BY_LIKELIHOOD,
)
def dimension_follows_skill(course, observe):
    """Rank correlation of local dimension with accuracy on fresh sequences, given the step; and that minus the fresh loss's.

    The network of the claim on overfitting, whose accuracy rises first and falls later, so that not all correlation is drift.
    """
    shown(observe, course)
    steps = course["steps"]
    dimension, loss = (partial_rank_correlation(course[name], course["accuracy"], steps) for name in ("dimension", "loss"))
    return {"with skill": dimension, "beyond the loss": dimension - loss}
