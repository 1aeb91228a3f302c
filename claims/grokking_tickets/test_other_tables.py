"""grokking-tickets: tickets of other operations, and of a transformer (arXiv:2310.19470)."""

from __future__ import annotations

import math

from claimbench import at_least, below, claim, log_ratio, negative, positive, recipe, step, steps_to
from claimbench.measures.times import least, ratio_of

DENSE = {
    "product": recipe("modular-product"),
    "cubes": recipe("modular-cubes"),
    "transformer": recipe("operation-difference-dense"),
}
BUDGETS = {"product": 1500, "cubes": 1500, "transformer": 1200}


def tickets(kind=""):
    """The arms of the tickets; kind "-shuffled": random masks with each layer's density."""
    found = {f"{name}_ticket": recipe(f"modular-ticket-of-{name}{kind}") for name in ("product", "cubes")}
    return found | {"transformer_ticket": recipe(f"operation-difference-ticket{kind}")}


def generalised(run):
    """Steps until test accuracy is above 0.95 at three records in a row."""
    return steps_to(run, "test", above=0.95, times=3)


@step
def least_delay(product, cubes, transformer):
    """Times that a dense net takes longer to generalise than to memorise, at least, of the net with the least."""
    delays = (ratio_of(generalised(run), steps_to(run, "train", above=0.95)) for run in (product, cubes, transformer))
    return least(delays).low


@step
def times_to_generalise(arms, observe):
    """Test accuracy over steps, and the steps until each net generalises, over seeds."""
    for name in DENSE:
        both = {"ticket": arms[f"{name}_ticket"], "dense": arms[name]}
        for kind, run in both.items():
            steps, accuracy = run.values("test")
            observe.curve(f"Test accuracy, {name}, {kind}", steps, {kind: accuracy}, x_label="steps", unit="accuracy")
        times = {kind: generalised(run) for kind, run in both.items()}
        observe.times(f"Steps to generalise, {name}", times, budget=BUDGETS[name], unit="steps")


@claim(
    "grokking-tickets/holds-on-other-tasks",
    arms={**DENSE, **tickets()},
    requires=[at_least(2, "ratio", least_delay)],
    holds={name: below(math.log(0.7), unit="log steps") for name in DENSE},
    why="the ledger's ratio of the first finding, in each task",
    documented="tickets are faster in a transformer, for other operations, polynomials, parity and MNIST",
    controls=[
        positive(
            **{f"{name}_ticket": recipe("modular-ticket-transplanted") for name in DENSE}, label="trained weights of a ticket"
        ),
        negative(**tickets("-shuffled"), label="random masks, density of each layer matched"),
        negative(**{f"{name}_ticket": run for name, run in DENSE.items()}, label="dense nets against themselves"),
    ],
    shows=[times_to_generalise],
)
def tickets_of_other_tasks_generalise_sooner(product, cubes, transformer, product_ticket, cubes_ticket, transformer_ticket):
    """Log ratio of steps to generalise, ticket over dense: of a b and of a^3 + b^3 in the MLP, of a - b in a transformer.

    The MLP modulo 59 of the other claims; a transformer of one layer modulo 43, three quarters of the ordered pairs. Tickets keep
    60 percent of the weights. Sparse parity, polynomial regression and MNIST, which the paper has too, are not tried.
    """
    pairs = {"product": (product_ticket, product), "cubes": (cubes_ticket, cubes), "transformer": (transformer_ticket, transformer)}
    return {name: log_ratio(generalised(ticket), generalised(dense)) for name, (ticket, dense) in pairs.items()}
