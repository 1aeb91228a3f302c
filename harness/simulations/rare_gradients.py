"""Stochastic problems on which adaptive optimisers part: rare large gradients, and a smooth well under heavy-tailed noise.

The first is the univariate problem of Taniguchi et al. 2024 (arXiv:2411.02853, toy experiment; after Reddi et al. 2018): minimise x
on [-1, 1] where the gradient is k squared with probability 1/k and -k otherwise, so 1 on average; the optimum is -1. An
optimiser that divides a gradient by a second moment in which that same gradient stands shrinks the rare large ones most,
and goes the wrong way. Update rules are written out in numpy because all values of beta2, and all chains, run at once;
tests hold them to torch's optimisers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..effect import Value
from ..errors import EffectError

Array = NDArray[np.float64]
EPS = 1e-8
ADOPT_EPS = 1e-6


@dataclass
class Moments:
    """What an update rule keeps between steps, each of the shape of the iterate."""

    first: Array
    second: Array
    largest: Array = field(default_factory=lambda: np.zeros(()))
    step: int = 0

    @classmethod
    def of(cls, like: Array) -> Moments:
        """Moments at zero."""
        return cls(np.zeros_like(like), np.zeros_like(like), np.zeros_like(like))


#: A rule gives the direction to subtract, times the rate, from a gradient: rule(moments, gradient, beta1, beta2).
Rule = Callable[[Moments, Array, float, Array], Array]


def sgd(moments: Moments, gradient: Array, beta1: float, beta2: Array) -> Array:
    """The gradient itself."""
    return gradient


def adam(moments: Moments, gradient: Array, beta1: float, beta2: Array) -> Array:
    """Kingma and Ba 2015, with bias correction."""
    return _adam(moments, gradient, beta1, beta2, keep_largest=False)


def amsgrad(moments: Moments, gradient: Array, beta1: float, beta2: Array) -> Array:
    """Reddi et al. 2018: the second moment never falls; bias corrected as in torch."""
    return _adam(moments, gradient, beta1, beta2, keep_largest=True)


def adopt(moments: Moments, gradient: Array, beta1: float, beta2: Array) -> Array:
    """Taniguchi et al. 2024 without clipping: divided by the second moment before this gradient, then averaged."""
    return _changed(moments, gradient, beta1, beta2, delayed=True, divided_first=True)


def only_delayed(moments: Moments, gradient: Array, beta1: float, beta2: Array) -> Array:
    """One of ADOPT's two changes: the second moment of before; the momentum is taken first and then divided."""
    return _changed(moments, gradient, beta1, beta2, delayed=True, divided_first=False)


def only_divided_first(moments: Moments, gradient: Array, beta1: float, beta2: Array) -> Array:
    """The other change: momentum of divided gradients, with a second moment in which the present one stands."""
    return _changed(moments, gradient, beta1, beta2, delayed=False, divided_first=True)


@dataclass(frozen=True)
class Path:
    """Where a rule went: `iterates` at `recorded` steps, [records, len(beta2)], and the end; one column for each beta2."""

    beta2: tuple[float, ...]
    recorded: tuple[int, ...]
    iterates: Array
    reached: Array
    steps: int

    @property
    def end(self) -> Array:
        """The last iterate for each beta2."""
        return np.asarray(self.iterates[-1])

    def steps_to_optimum(self, beta2: float) -> Value:
        """First step after which x is below -0.9; open where it never was."""
        found = float(self.reached[self.beta2.index(beta2)])
        return Value(found, found) if math.isfinite(found) else Value(float(self.steps), math.inf)


def rare_gradients(rng: np.random.Generator, k: float, steps: int) -> Array:
    """Gradients of the univariate problem, (steps,): k squared with probability 1/k, else -k; for k = 1 always 1."""
    if k < 1 or steps < 1:
        raise EffectError(f"rare gradients need k of 1 or more and a step or more, found k = {k:g} and {steps} steps")
    return np.where(rng.random(steps) < 1 / k, float(k * k), -float(k))


def descend(
    rule: Rule, gradients: Array, *, beta2: tuple[float, ...], beta1: float = 0.9, rate: float = 0.003, decay: float = 0.0005
) -> Path:
    """Run a rule from x = 0 on these gradients, kept within [-1, 1], at rate / sqrt(1 + decay t).

    Rules that do not divide get the rate divided by the root mean square of the gradients, so that steps are of one size.
    """
    betas = np.array(beta2, dtype=np.float64)
    steps = len(gradients)
    x, moments = np.zeros_like(betas), Moments.of(betas)
    size = math.sqrt(float((gradients**2).mean())) if rule is sgd else 1.0
    rates = (rate / size / np.sqrt(1 + decay * np.arange(steps))).tolist()
    everywhere = np.repeat(np.asarray(gradients, dtype=np.float64)[:, None], len(betas), axis=1)
    iterates = np.empty((steps, len(betas)))
    for t in range(steps):  # a step is a handful of operations on a few numbers: what need not be in here is not
        moving = rule(moments, everywhere[t], beta1, betas)
        x = np.minimum(np.maximum(x - rates[t] * moving, -1.0), 1.0, out=iterates[t])
    near = iterates < -0.9
    reached = np.where(near.any(0), near.argmax(0) + 1.0, math.inf)
    recorded = sorted({int(s) for s in np.geomspace(1, steps, 60)})
    return Path(beta2, tuple(recorded), iterates[np.array(recorded) - 1], reached, steps)


def well_slopes(
    rule: Rule,
    rng: np.random.Generator,
    *,
    beta2: tuple[float, ...],
    lengths: tuple[int, ...] = (4_000, 16_000, 64_000),
    rate: Callable[[int], float] = lambda steps: 1 / math.sqrt(steps),
    beta1: float = 0.9,
    chains: int = 16,
    dimension: int = 4,
) -> Array:
    """Slope of the log mean squared gradient norm on the log of the number of steps, for each beta2: -0.5 is the optimal rate.

    The function is the sum over coordinates of x^2 / (1 + x^2), smooth and not convex; gradients carry Student noise with 2.5
    degrees of freedom, so a finite variance and no bound. Each length is a run of its own at a constant rate, as in the
    theorem; the mean is over its steps and `chains` starts.
    """
    betas = np.array(beta2)[:, None, None]
    means = []
    for steps in lengths:
        x = np.broadcast_to(rng.normal(1.0, 0.3, (chains, dimension)), (len(beta2), chains, dimension)).copy()
        moments, total = Moments.of(x), np.zeros(len(beta2))
        for _ in range(steps):
            true = 2 * x / (1 + x * x) ** 2
            total += (true**2).sum(-1).mean(-1)
            noise = rng.standard_t(2.5, (chains, dimension))
            x = x - rate(steps) * rule(moments, true + noise, beta1, betas)
        means.append(total / steps)
    return np.asarray(np.polyfit(np.log(lengths), np.log(np.array(means)), 1)[0])


def _adam(moments: Moments, gradient: Array, beta1: float, beta2: Array, keep_largest: bool) -> Array:
    moments.step += 1
    moments.first = beta1 * moments.first + (1 - beta1) * gradient
    moments.second = beta2 * moments.second + (1 - beta2) * gradient * gradient
    second = moments.second
    if keep_largest:
        second = moments.largest = np.maximum(moments.largest, second)
    return np.asarray(
        moments.first / (1 - beta1**moments.step) / (np.sqrt(second / (1 - beta2**moments.step)) + EPS)
    )


def _changed(
    moments: Moments, gradient: Array, beta1: float, beta2: Array, delayed: bool, divided_first: bool
) -> Array:
    """Adam with one or both of ADOPT's changes; the first gradient only sets the second moment."""
    moments.step += 1
    square = gradient * gradient
    if moments.step == 1:
        moments.second = square
        return np.zeros_like(gradient)
    now = beta2 * moments.second + (1 - beta2) * square
    root = np.maximum(np.sqrt(moments.second if delayed else now), ADOPT_EPS)
    moments.second = now
    added = gradient / root if divided_first else gradient
    moments.first = beta1 * moments.first + (1 - beta1) * added
    return np.asarray(moments.first if divided_first else moments.first / root)
