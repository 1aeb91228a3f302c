"""grokking-tickets: tickets without weight decay (arXiv:2310.19470)."""

from __future__ import annotations

from claimbench import above, at_least, claim, negative, positive, recipe, step

TICKET = recipe("modular-ticket")
WITHOUT, DENSE_WITHOUT = recipe("modular-ticket-without-decay"), recipe("modular-addition-without-decay")


def last(run, metric="test"):
    """A metric at the end of a run."""
    return run.values(metric)[1][-1]


@step
def ticket_memorised(ticket):
    """Train accuracy of the ticket at the end."""
    return last(ticket, "train")


@claim(
    "grokking-tickets/no-weight-decay-needed",
    arms={"ticket": WITHOUT, "dense": DENSE_WITHOUT},
    requires=[at_least(0.95, "accuracy", ticket_memorised)],
    holds=above(0.0, unit="accuracy"),
    why="a direction only: the ledger's pilots reached .15 to .93",
    documented="at a rate of 0.81 the ticket generalises without weight decay and the dense net does not",
    controls=[
        positive(ticket=TICKET, label="the ticket with weight decay"),
        negative(ticket=recipe("modular-ticket-shuffled-without-decay"), dense=WITHOUT, label="random mask against the ticket"),
    ],
)
def a_ticket_needs_no_weight_decay(ticket, dense):
    """Test accuracy after 1,000 steps without weight decay, of the ticket minus that of the dense net.

    The mask keeps 60 percent of the weights and is that of a net trained with weight decay. Whether the ticket then
    generalises in full is not judged.
    """
    return last(ticket) - last(dense)
