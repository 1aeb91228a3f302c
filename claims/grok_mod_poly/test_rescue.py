"""grok-mod-poly: a linear expression that is learned only with a part of another network (arXiv:2402.16726)."""

from __future__ import annotations

from claimbench import above, at_least, below, claim, negative, positive, recipe, step

SCRATCH, WITH_EMBEDDING = recipe("operation-2a+b"), recipe("operation-2a+b-with-embedding-of-sum")
NEVER = recipe("operation-random-labels")


def last(run, metric="test"):
    """A metric at the end of a run."""
    return run.values(metric)[1][-1]


@step
def memorised(scratch):
    """Train accuracy from scratch at the end."""
    return last(scratch, "train")


@claim(
    "grok-mod-poly/pretrained-parts-rescue-linear",
    arms={"scratch": SCRATCH, "with_part": WITH_EMBEDDING},
    requires=[at_least(0.95, "accuracy", memorised)],
    holds={"with the part": above(0.95, unit="accuracy"), "from scratch": below(0.5, unit="accuracy")},
    why="the ledger's two levels",
    documented="2a + b and its like fail from scratch and succeed with addition's embedding; quadratics mostly get no such help",
    controls=[
        positive(with_part=recipe("operation-sum-with-embedding-of-sum"), scratch=NEVER, label="addition; random labels"),
        negative(with_part=SCRATCH, label="no part"),
        negative(with_part=recipe("operation-2a+b-with-embedding-of-random-labels"), label="embedding of random labels"),
        negative(with_part=recipe("operation-a^2+ab+b^2-with-embedding-of-sum"), label="a quadratic expression"),
    ],
)
def an_embedding_rescues_a_linear_expression(scratch, with_part, observe):
    """Test accuracy of 2a + b with the held embedding of a network that learned a + b, and from scratch.

    The network of the claim on subtraction, three quarters of the ordered pairs modulo 43. With the embedding until test accuracy
    is above 0.95 three times in a row, at most 600 steps; from scratch 1,000 steps, five times what it took in a pilot. The other
    half, ab + b with multiplication's body, is not judged: in a pilot 0.89 after 600 steps, and 0.06 after 900 from scratch.
    """
    for name, run in {"with addition's embedding": with_part, "from scratch": scratch}.items():
        steps, accuracy = run.values("test")
        lines = {"train": run.values("train")[1], "test": accuracy}
        observe.curve(f"2a + b, {name}", steps, lines, x_label="steps", unit="accuracy")
    return {"with the part": last(with_part), "from scratch": last(scratch)}
