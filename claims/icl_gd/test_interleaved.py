"""icl-gd: inputs and targets in tokens of their own, which a first layer must bring together (arXiv:2212.07677, section 5)."""

from __future__ import annotations

import numpy as np
from claimbench import at_least, claim, guard, interval, negative, positive, recipe, step
from claimbench.measures.curves import time_to
from claimbench.measures.effects import log_time_ratio

NET, UNIFORM = recipe("interleaved"), recipe("interleaved-uniform")
SIDES = ("partner at x", "partner at y")


@step
def course(net):
    """Steps, loss in units of that of answering 0, that of a gradient step, and how much tokens depend on their partners."""
    found = {name: np.array(net.values(name)[1]) for name in ("loss", "zero", "gradient step", *SIDES)}
    side = max(SIDES, key=lambda name: found[name][-1])
    scaled = {name: found[name] / found["zero"] for name in ("loss", "gradient step")}
    return {"step": np.array(net.values("loss")[0], dtype=float), **scaled, "partner": found[side]}


@step
def done_away(course):
    """Share of what a gradient step does away with of the loss of answering 0 that the network does away with in the end."""
    return (1 - course["loss"][-1]) / (1 - course["gradient step"][-1])


def planted_course(copied, dropped):
    """Smooth steps in log time: dependence on the partner at `copied`, loss at `dropped`."""
    steps = np.arange(25.0, 3001.0, 25.0)
    risen, fallen = 1 / (1 + (copied / steps) ** 12), 1 / (1 + (dropped / steps) ** 12)
    return {"step": steps, "loss": 1 - 0.7 * fallen, "gradient step": np.full(len(steps), 0.3), "partner": 0.05 + 0.5 * risen}


@step
def copied_before():
    """Planted: the partner at step 350, the drop at 450."""
    return planted_course(350, 450)


@step
def copied_after():
    """Planted: the partner at twice the step of the drop."""
    return planted_course(900, 450)


@step
def copied_long_before():
    """Planted: the partner at a quarter of the step of the drop, with which it then has nothing to do."""
    return planted_course(112, 450)


@step
def times_of_changes(course, observe):
    """Steps until dependence and loss are halfway, over seeds."""
    steps, partner, loss = course["step"], course["partner"], course["loss"]
    copied = time_to(steps, partner, (partner[0] + partner[-1]) / 2)
    dropped = time_to(steps, loss, (1 + loss[-1]) / 2, falling=True)
    observe.times("Steps until halfway", {"dependence on the partner": copied, "loss": dropped}, budget=steps[-1], unit="steps")


@claim(
    "icl-gd/copy-layer-precedes-drop",
    arms={"net": NET},
    requires=[at_least(0.8, "share", done_away)],
    holds=interval(-0.5, 0.0, unit="log steps"),
    why="the ledger's: copying first, and no further before the drop than half a unit of log steps",
    documented="tokens behind the first layer come to depend on their neighbours, then the loss drops to that of a gradient step",
    controls=[
        positive(course=copied_before),
        negative(course=copied_after),
        negative(course=copied_long_before),
        guard(net=UNIFORM, label="first layer attends to all tokens alike"),
    ],
    shows=[times_of_changes],
)
def copying_comes_before_the_drop(course, observe):
    """Log of the step at which tokens depend on their partner half as much as in the end, over that of the half drop of the loss.

    Dependence: norm of the derivative of a token behind layer 1 by its partner (of an x its y, or the reverse, whichever is
    more in the end) over the sum of such norms by all other tokens. The drop is from the loss of answering 0 to the last. Ten
    pairs in five dimensions, 21 tokens with codes of their positions, softmax in layer 1.
    """
    lines = {name: course[name] for name in ("loss", "gradient step", "partner")}
    observe.curve(
        "Loss over that of answering 0, and dependence on the partner", course["step"], lines, x_label="step", unit="share"
    )
    partner, loss = course["partner"], course["loss"]
    copied = time_to(course["step"], partner, (partner[0] + partner[-1]) / 2)
    dropped = time_to(course["step"], loss, (1 + loss[-1]) / 2, falling=True)
    return log_time_ratio(copied, dropped, budget=float(course["step"][-1]))
