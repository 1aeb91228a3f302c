"""grok-mod-poly: linear expressions that are learned only with a part of another network (arXiv:2402.16726)."""

from __future__ import annotations

from claimbench import above, at_least, below, claim, negative, positive, recipe, step

LINEAR, MIXED = recipe("operation-2a+b"), recipe("operation-ab+b")
WITH_EMBEDDING, WITH_BODY = recipe("operation-2a+b-with-embedding-of-sum"), recipe("operation-ab+b-with-body-of-product")
OWN_EMBEDDING, OWN_BODY = recipe("operation-sum-with-embedding-of-sum"), recipe("operation-product-with-body-of-product")
NEVER = recipe("operation-random-labels")


def last(run, metric="test"):
    """A metric at the end of a run."""
    return run.values(metric)[1][-1]


@step
def least_memorised(linear, mixed):
    """Train accuracy from scratch, of the worse of two networks."""
    return min(last(linear, "train"), last(mixed, "train"))


@claim(
    "grok-mod-poly/pretrained-parts-rescue-linear",
    arms={"linear": LINEAR, "mixed": MIXED, "linear_with_part": WITH_EMBEDDING, "mixed_with_part": WITH_BODY},
    requires=[at_least(0.95, "accuracy", least_memorised)],
    holds={"with the part": above(0.95, unit="accuracy"), "from scratch": below(0.5, unit="accuracy")},
    why="the ledger's two levels",
    documented="2a + b and its like fail from scratch and succeed with addition's embedding, ab + b with multiplication's body",
    controls=[
        positive(linear_with_part=OWN_EMBEDDING, mixed_with_part=OWN_BODY, linear=NEVER, mixed=NEVER, label="own parts"),
        negative(linear_with_part=LINEAR, mixed_with_part=MIXED, label="no part"),
        negative(
            linear_with_part=recipe("operation-2a+b-with-embedding-of-random-labels"),
            mixed_with_part=recipe("operation-ab+b-with-body-of-random-labels"),
            label="parts of a network that learned random labels",
        ),
        negative(linear_with_part=recipe("operation-a^2+ab+b^2-with-embedding-of-sum"), label="a quadratic expression"),
    ],
)
def parts_rescue_linear_expressions(linear, mixed, linear_with_part, mixed_with_part, observe):
    """Test accuracy of 2a + b with addition's embedding and of ab + b with multiplication's body, the lesser; the greater without.

    The network of the claim on subtraction, three quarters of the ordered pairs modulo 43. With a part: until test accuracy is
    above 0.95 three times in a row, at most 1,200 steps; from scratch 1,500 and 3,500 steps, five times what pilots took.
    """
    pairs = {"2a + b": (linear_with_part, linear), "ab + b": (mixed_with_part, mixed)}
    for name, runs in pairs.items():
        for kind, run in zip(("with the part", "from scratch"), runs, strict=True):
            steps, accuracy = run.values("test")
            observe.curve(f"{name}, {kind}", steps, {"test accuracy": accuracy}, x_label="steps", unit="accuracy")
    return {"with the part": min(last(linear_with_part), last(mixed_with_part)), "from scratch": max(last(linear), last(mixed))}
