"""adopt: which adaptive optimisers converge at which beta2 (arXiv:2411.02853, the toy problem and the theorem)."""

from __future__ import annotations

import math

import numpy as np
from claimbench import above, at_least, below, claim, guard, negative, positive, simulation, step, variant, yours
from claimbench.measures.effects import log_time_ratio
from claimbench.simulations.by_torch import descend_by
from claimbench.simulations.rare_gradients import (
    adam,
    adopt,
    amsgrad,
    descend,
    only_delayed,
    only_divided_first,
    rare_gradients,
    sgd,
    well_slopes,
)

STEPS = 40_000
BETA2 = (0.1, 0.5, 0.9, 0.99, 0.999)
PROBLEM = simulation("rare gradients")


@step
def gradients(rng, k=10.0):
    """The draws that all rules of a replicate see."""
    return rare_gradients(rng, k, STEPS)


@step
def by_sgd(gradients, beta1=0.9, rate=0.003):
    """Plain stochastic gradient descent: the problem can be solved on this schedule."""
    return descend(sgd, gradients, beta2=BETA2, rate=rate)


@step
def by_adam(gradients, beta1=0.9, rate=0.003):
    """Adam at every beta2."""
    return descend(adam, gradients, beta2=BETA2, beta1=beta1, rate=rate)


@step
def by_amsgrad(gradients, beta1=0.9, rate=0.003):
    """AMSGrad at every beta2."""
    return descend(amsgrad, gradients, beta2=BETA2, beta1=beta1, rate=rate)


@step
def by_adopt(gradients, beta1=0.9, rate=0.003):
    """ADOPT at every beta2, without clipping."""
    return descend(adopt, gradients, beta2=BETA2, beta1=beta1, rate=rate)


@step
def by_yours(gradients, yours, observe, beta1=0.9, rate=0.003):
    """A user's own optimiser at every beta2."""
    path, said = descend_by(yours.optimiser, gradients, beta2=BETA2, beta1=beta1, rate=rate)
    for line in said:
        observe.text(f"Diverged: {line.partition(':')[0]}", line)
    return path


@step
def by_delay(gradients, beta1=0.9, rate=0.003):
    """Only the second moment is delayed."""
    return descend(only_delayed, gradients, beta2=BETA2, beta1=beta1, rate=rate)


@step
def by_order(gradients, beta1=0.9, rate=0.003):
    """Only momentum comes after the division."""
    return descend(only_divided_first, gradients, beta2=BETA2, beta1=beta1, rate=rate)


@step
def slowed_adopt(gradients):
    """Planted: ADOPT at a third of the rate."""
    return descend(adopt, gradients, beta2=BETA2, rate=0.001)


@step
def way_of_sgd(rng, rate=0.003):
    """How far plain gradient descent gets of its way from 0 to -1, on draws of its own."""
    return -descend(sgd, rare_gradients(rng, 10.0, STEPS), beta2=BETA2, rate=rate).end[0]


SOLVABLE = [at_least(0.7, "1", way_of_sgd)]
STUCK = guard(rate=0.0)


def shown(observe, **paths):
    """Iterates over steps at the smallest and the middle beta2."""
    lines = {f"{name}, beta2 {b:g}": path.iterates[:, BETA2.index(b)] for name, path in paths.items() for b in (0.1, 0.9)}
    observe.curve("Where x goes (optimum -1)", next(iter(paths.values())).recorded, lines, x_label="steps", unit="1")


@claim(
    "adopt/converges-any-beta2",
    on=PROBLEM,
    evidence="organism",
    requires=SOLVABLE,
    holds={"ADOPT's worst end": below(-0.8, unit="1"), "Adam's best end, beta2 to 0.9": above(0.8, unit="1")},
    why="converged: within a tenth of the interval's length of an end; the ledger's 0.9 is for means, this is the worst of five",
    documented="Adam goes to the wrong end at small beta2, ADOPT to the optimum at every beta2 (ledger's pilot: -.97 to -.99)",
    controls=[
        positive(by_adopt=by_sgd),
        negative(by_adopt=by_adam),
        negative(k=1.0, label="no noise"),
        STUCK,
    ],
    variants=[variant("beta1 = 0", beta1=0.0)],
    yours=[yours("optimiser", by_adopt=by_yours)],
)
def adopt_converges_where_adam_does_not(by_adopt, by_adam, observe):
    """The end that ADOPT reaches at its worst beta2, and the one that Adam reaches at its best beta2 up to 0.9.

    Minimise x on [-1, 1] from 0; the gradient is 100 with probability 0.1 and else -10, so 1 on average. 40,000 steps at rate
    0.003 / sqrt(1 + 0.0005 t), beta1 0.9, beta2 in .1 .5 .9 .99 .999, all rules on the same draws; ADOPT without clipping.
    """
    shown(observe, ADOPT=by_adopt, Adam=by_adam)
    return {"ADOPT's worst end": by_adopt.end.max(), "Adam's best end, beta2 to 0.9": by_adam.end[:3].min()}


@claim(
    "adopt/amsgrad-slow",
    on=PROBLEM,
    evidence="organism",
    requires=SOLVABLE,
    holds={"slower than ADOPT": above(math.log(1.5), unit="log ratio"), "AMSGrad's end": below(-0.1, unit="1")},
    why="one and a half times is the ledger's; that it converges at all means an end clearly on the optimum's side of 0",
    documented="AMSGrad converges but slowly where the noise is large",
    controls=[
        positive(by_amsgrad=slowed_adopt),
        negative(by_amsgrad=by_adopt),
        negative(k=1.0, label="no noise"),
        STUCK,
    ],
)
def amsgrad_converges_slowly(by_amsgrad, by_adopt, observe, beta2=0.5):
    """Log of the steps that AMSGrad takes to x < -0.9, over those of ADOPT, and where AMSGrad ends.

    The problem, schedule and draws of the claim on ADOPT's convergence, at beta2 = 0.5; both at one rate. A time that is not
    reached in 40,000 steps is open.
    """
    shown(observe, ADOPT=by_adopt, AMSGrad=by_amsgrad)
    observe.table(
        "Steps to x < -0.9 (inf: not in 40,000)",
        ["beta2", "AMSGrad", "ADOPT", "AMSGrad's end"],
        [[b, *(path.steps_to_optimum(b).high for path in (by_amsgrad, by_adopt)), by_amsgrad.end[i]] for i, b in enumerate(BETA2)],
    )
    late, early = by_amsgrad.steps_to_optimum(beta2), by_adopt.steps_to_optimum(beta2)
    observe.times(f"Steps to x < -0.9 at beta2 {beta2:g}", {"AMSGrad": late, "ADOPT": early}, budget=STEPS, unit="steps")
    return {
        "slower than ADOPT": log_time_ratio(late, early, budget=STEPS),
        "AMSGrad's end": by_amsgrad.end[BETA2.index(beta2)],
    }


@claim(
    "adopt/both-changes-needed",
    on=PROBLEM,
    evidence="organism",
    requires=SOLVABLE,
    holds={
        "delay alone, worst end": above(0.8, unit="1"),
        "order alone, worst end": above(0.8, unit="1"),
        "both, worst end": below(-0.8, unit="1"),
    },
    why="converged and failed as in the claim on ADOPT's convergence",
    documented="only both changes together converge for every beta2",
    controls=[
        positive(by_adopt=by_sgd),
        negative(by_delay=by_adopt, label="delay replaced by both"),
        negative(beta1=0.0, label="without momentum, where delay alone is ADOPT"),
        STUCK,
    ],
)
def neither_change_alone_is_enough(by_delay, by_order, by_adopt, observe):
    """The ends at the worst of five beta2 with the second moment delayed, with momentum after the division, and with both.

    The problem, schedule and draws of the claim on ADOPT's convergence, with beta1 = 0.9.
    """
    shown(observe, both=by_adopt, delay=by_delay, order=by_order)
    return {
        "delay alone, worst end": by_delay.end.max(),
        "order alone, worst end": by_order.end.max(),
        "both, worst end": by_adopt.end.max(),
    }


@step
def slopes(rng, rule=adopt, falling=True):
    """Slopes of log squared gradient norm on log steps, one for each beta2."""
    rate = {} if falling else {"rate": lambda steps: 0.1}
    return well_slopes(rule, rng, beta2=(0.1, 0.9, 0.999), **rate)


@step
def slopes_of_sgd(rng):
    """Planted: gradient descent, which has this rate."""
    return well_slopes(sgd, rng, beta2=(0.1, 0.9, 0.999))


@claim(
    "adopt/optimal-rate",
    on=simulation("smooth well"),
    evidence="organism",
    holds=below(-0.3, unit="1"),
    why="the theorem says -1/2 in the limit; the ledger takes -0.3, because the beginning of a run weighs on the mean",
    documented="the rate is of order 1 over the root of the number of steps at every beta2, without bounded noise",
    controls=[positive(slopes=slopes_of_sgd), negative(falling=False, label="rate that does not fall")],
)
def adopt_has_the_optimal_rate(slopes, observe):
    """Slope of the log mean squared gradient norm on the log number of steps, at the worst of beta2 = .1 .9 .999.

    A smooth function that is not convex (sum of x^2 / (1 + x^2), four coordinates), Student noise with 2.5 degrees of freedom,
    4,000 to 64,000 steps at a constant rate of one over the root of their number; mean over steps and 16 starts.
    """
    observe.table("Slope by beta2", ["beta2", "slope"], [[b, s] for b, s in zip((0.1, 0.9, 0.999), slopes, strict=True)])
    return float(np.max(slopes))
