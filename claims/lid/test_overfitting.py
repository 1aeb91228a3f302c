"""lid: local dimension of a classifier's states while it learns first and overfits later (arXiv:2506.01034)."""

from __future__ import annotations

import numpy as np
from claimbench import above, at_least, below, claim, guard, negative, positive, recipe, step, variant
from claimbench.measures.partial_ranks import partial_rank_correlation

NET, MANY = recipe("noisy-sequences"), recipe("noisy-sequences-many")


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


LEARNED = [at_least(0.7, "accuracy", best_accuracy)]
UNTRAINED = guard(net=recipe("noisy-sequences-untrained"), label="untrained")
BY_LIKELIHOOD = [variant("by maximum likelihood", metric="dimension by likelihood")]
MANY_SEQUENCES = negative(net=MANY, label="fifty times as many sequences")


@claim(
    "lid/overfitting-lid-rises",
    arms={"net": NET},
    evidence="analogue",
    requires=LEARNED,
    holds={"fall": above(0.05, unit="share"), "rise": above(0.05, unit="share")},
    why="the ledger's bound on the rise, and the same for the fall before it",
    documented="9.94 to 7.25 after one epoch, then to about 8",
    controls=[positive(course=planted), MANY_SEQUENCES, UNTRAINED],
    variants=BY_LIKELIHOOD,
)
def dimension_falls_and_rises_again(course, observe):
    """Share by which mean local dimension falls from its first value to its least, and by which it then rises to its last.

    States that the logits of a small classifier are read from, at 1,000 fresh sequences; TwoNN among the 64 nearest of 400 of them;
    means of three records, so that the least is no outlier. 500 sequences of 16 tokens with 40 percent of labels drawn anew.
    """
    shown(observe, course)
    smooth = np.convolve(course["dimension"], np.ones(3) / 3, "valid")
    return {"fall": 1 - smooth.min() / course["dimension"][0], "rise": smooth[-1] / smooth.min() - 1}


@claim(
    "lid/lid-tracks-skill",
    arms={"net": NET},
    evidence="analogue",
    requires=LEARNED,
    holds={"with skill": below(-0.8, unit="correlation"), "beyond the loss": below(0.0, unit="correlation")},
    why="the ledger's bound, with the step partialled out; better than the loss: a direction",
    documented="Spearman of dimension and skill -0.982; validation loss is least far before skill is largest",
    controls=[positive(course=planted), MANY_SEQUENCES, UNTRAINED],
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
