"""momentum-attn: copying by one layer of attention whose queries and keys have momentum, and by its rivals (arXiv:2602.04902)."""

from __future__ import annotations

from claimbench import above, at_least, claim, negative, positive, recipe, step

VANILLA, MOMENTUM, STRONG = recipe("copying-vanilla"), recipe("copying-momentum-one"), recipe("copying-momentum")
SHIFT, AVERAGE = recipe("copying-key-shift"), recipe("copying-key-average")


def copying(run):
    """Accuracy on the second copy at the end of training."""
    return run.values("copy accuracy")[1][-1]


@step
def rival_copies(rival):
    """Accuracy of the net whose keys alone see the token before: whether the task can be learned by one layer."""
    return copying(rival)


def shown(observe, **runs):
    """Accuracy over training, on the second copy and on as many places after a shuffled first copy."""
    for name, run in runs.items():
        lines = {kind: run.values(f"{kind} accuracy")[1] for kind in ("copy", "shuffled")}
        observe.curve(f"Accuracy: {name}", run.values("copy accuracy")[0], lines, x_label="step", unit="accuracy")


@claim(
    "momentum-attn/single-layer-induction",
    arms={"momentum": MOMENTUM, "strong": STRONG, "vanilla": VANILLA, "rival": SHIFT},
    requires=[at_least(0.9, "accuracy", rival_copies)],
    holds=above(0.5, unit="accuracy"),
    why="between the ledger's levels: above 0.8 with momentum, below 0.3 without",
    documented="one layer with momentum on queries and keys learns induction, one vanilla layer does not",
    controls=[
        positive(momentum=SHIFT, label="keys of the token before"),
        positive(momentum=AVERAGE, label="keys averaged with the token before"),
        negative(momentum=VANILLA, label="no momentum"),
    ],
)
def one_layer_with_momentum_copies(momentum, strong, vanilla, rival, observe):
    """Accuracy on the second copy of a repeated span with momentum on queries and keys, minus that without.

    One layer of two heads over 32 words, [up to 8 words, R, R], R of 6 to 14 different words, so that no fixed lag helps. Momentum
    of strength 1 behind the rotary positions, values untouched, 800 steps; strength 4, near the paper's for one layer, is
    shown. The vanilla layer has 4,000 steps, five times as many: that it does not learn needs time. The rival, whose keys are
    those of the token before, has 200. 64 rows of uniform words, the first word of a copy left out.
    """
    shown(observe, momentum=momentum, strong_momentum=strong, vanilla=vanilla, rival=rival)
    return copying(momentum) - copying(vanilla)


@claim(
    "momentum-attn/single-layer-induction",
    arms={"momentum": MOMENTUM, "rival": AVERAGE},
    holds=above(0.05, unit="accuracy"),
    why="0.05 is our smallest effect of interest; the ledger names the rival as decisive",
    documented="the high-pass filter on queries and keys is what makes one layer learn induction",
    controls=[
        positive(rival=VANILLA, label="no access to the token before"),
        negative(momentum=VANILLA, label="no momentum"),
        negative(momentum=AVERAGE, rival=SHIFT, label="keys averaged, over keys shifted"),
    ],
)
def momentum_does_better_than_access_to_the_token_before(momentum, rival, observe):
    """Accuracy on the second copy with momentum, minus that of a layer whose keys are averaged with those of the token before.

    The average is a low-pass filter, momentum a high-pass one; both give keys access to the token before. Nets and data of the
    first claim; momentum has 800 steps, the average 300.
    """
    shown(observe, momentum=momentum, average=rival)
    return copying(momentum) - copying(rival)
