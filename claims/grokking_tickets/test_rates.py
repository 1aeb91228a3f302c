"""grokking-tickets: how much a ticket may be pruned (arXiv:2310.19470)."""

from __future__ import annotations

import math

import numpy as np
from claimbench import at_least, claim, interval, negative, positive, recipe, step, steps_to
from claimbench.measures.times import ratio_of, to_rank

DENSE, TICKET = recipe("modular-addition"), recipe("modular-ticket")
SHUFFLED, INVERTED = recipe("modular-ticket-shuffled"), recipe("modular-ticket-inverted")
RATES = (0.1, 0.3, 0.5, 0.7, 0.9)
AT_RATES = {f"rate_{round(100 * rate)}": recipe(f"modular-ticket-rate-{round(100 * rate)}") for rate in RATES}
BUDGET = 1500


def generalised(run):
    """Steps until test accuracy is above 0.95 at three records in a row."""
    return steps_to(run, "test", above=0.95, times=3)


@step
def delay(dense):
    """Times that the dense net takes longer to generalise than to memorise, at least."""
    return ratio_of(generalised(dense), steps_to(dense, "train", above=0.95)).low


DELAYED = [at_least(4, "ratio", delay)]


@step
def delays(rate_10, rate_30, rate_50, rate_70, rate_90):
    """Log of generalisation over memorisation at each pruning rate; without end where a net does not generalise."""
    found = []
    for run in (rate_10, rate_30, rate_50, rate_70, rate_90):
        time, before = generalised(run), steps_to(run, "train", above=0.95)
        found.append(math.log(to_rank(time, BUDGET) / to_rank(before, BUDGET)) if math.isfinite(time.high) else math.inf)
    return found


@step
def planted_delays(rng):
    """Planted: least at a rate of 0.7."""
    return rng.normal([2.3, 1.9, 1.4, 0.9, 2.7], 0.05)


@step
def times_to_generalise(arms, observe):
    """Steps until the dense net and the ticket of each rate generalise, over seeds."""
    times = {name.replace("rate_", "rate 0."): generalised(run) for name, run in arms.items()}
    observe.times("Steps to generalise, by pruning rate", times, budget=BUDGET, unit="steps")


@claim(
    "grokking-tickets/pruning-rate-optimum",
    arms={"dense": DENSE, **AT_RATES},
    requires=DELAYED,
    holds=interval(0.4, 0.8, unit="share"),
    why="the ledger's 0.4 to 0.8",
    documented="the delay is least at a rate of 0.7; at 0.9 nothing generalises",
    controls=[
        positive(delays=planted_delays),
        negative(
            rate_10=TICKET, rate_30=DENSE, rate_50=SHUFFLED, rate_70=SHUFFLED, rate_90=INVERTED, label="random masks at high rates"
        ),
    ],
    shows=[times_to_generalise],
)
def the_best_pruning_rate(delays, rate_90, observe):
    """The pruning rate of 0.1, 0.3, 0.5, 0.7, 0.9 whose ticket has the least delay; shown: test accuracy at 0.9.

    Delay: steps to generalise over steps to memorise; a net that does not generalise in 1,500 steps is never the best. The
    network has a tenth of the paper's weights.
    """
    found = [pair for pair in zip(RATES, delays, strict=True) if math.isfinite(pair[1])]
    observe.table("Log delay", ["pruning rate", "log delay"], [[rate, float(delay)] for rate, delay in found])
    steps, accuracy = rate_90.values("test")
    observe.curve("Test accuracy at rate 0.9", steps, {"ticket": accuracy}, x_label="steps", unit="accuracy")
    return RATES[int(np.argmin(delays))]
