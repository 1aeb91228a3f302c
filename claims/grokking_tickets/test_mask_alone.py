"""grokking-tickets: a mask alone, learned over weights that memorised, generalises (arXiv:2310.19470)."""

from __future__ import annotations

from claimbench import above, at_least, claim, negative, positive, recipe, step

MASK, MEMORISED = recipe("modular-mask-alone"), recipe("modular-memorised")


def last(run, metric="test"):
    """A metric at the end of a run."""
    return run.values(metric)[1][-1]


@step
def memorised_in_full(memorised):
    """Train accuracy of the network whose weights are held."""
    return last(memorised, "train")


@claim(
    "grokking-tickets/edge-popup-generalises",
    arms={"mask": MASK, "memorised": MEMORISED},
    requires=[at_least(0.95, "accuracy", memorised_in_full)],
    holds=above(0.3, unit="accuracy"),
    why="the ledger's bound",
    documented="0.68, 0.80, 0.84 and 0.92 after 600, 1,000, 1,400 and 2,000 epochs",
    controls=[
        positive(mask=recipe("modular-addition"), label="weights trained until they generalise"),
        negative(mask=recipe("modular-mask-alone-random"), label="a random mask over the same weights"),
        negative(mask=MEMORISED, label="no mask"),
    ],
)
def a_mask_alone_generalises(mask, memorised, observe):
    """Test accuracy when only a mask over the held weights of a memorising network was learned, minus that network's own.

    Edge-popup: each pass keeps the 40 percent of weights with the highest scores, and scores alone are trained, 1,500 steps, more
    than twice as many as training the weights takes. The MLP of the other claims; the paper's has 500 columns instead of 128, at
    which a pilot was slower (0.12 after 500 steps).
    """
    steps, accuracy = mask.values("test")
    observe.curve(
        "Learning the mask", steps, {"train": mask.values("train")[1], "test": accuracy}, x_label="steps", unit="accuracy"
    )
    return last(mask) - last(memorised)
