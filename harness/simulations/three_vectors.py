"""Gradient descent on a product of three vectors: the smallest model in which several parts must come together.

The target is the outer product of three unit vectors; a, b and c descend on half its squared distance to their own outer
product. Near zero every gradient is a product of two small numbers, so nothing moves: a plateau. A factor that is clamped
at its target takes one small number away (Singh et al. 2024, arXiv:2404.07129, the toy model of subcircuit clamping).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..effect import Value
from ..errors import EffectError

Array = NDArray[np.float64]
FACTORS = 3


@dataclass(frozen=True)
class Beginning:
    """Where a run sets out: three target vectors of length one, and three small factors; each (FACTORS, dimension)."""

    targets: Array
    factors: Array


def begin(rng: np.random.Generator, *, dimension: int = 20, scale: float = 0.1) -> Beginning:
    """Random targets on the sphere, and factors with independent normal entries of standard deviation `scale`."""
    if dimension < 1 or scale <= 0:
        raise EffectError(f"three vectors need a dimension of 1 or more and a scale above 0, found {dimension} and {scale:g}")
    targets = rng.standard_normal((FACTORS, dimension))
    targets /= np.linalg.norm(targets, axis=1, keepdims=True)
    return Beginning(targets, scale * rng.standard_normal((FACTORS, dimension)))


def losses(beginning: Beginning, *, clamped: int = 0, rate: float = 0.02, steps: int = 10_000, until: float = 0.0) -> Array:
    """Loss before each step of gradient descent, with the first `clamped` factors held at their targets.

    The loss is half the squared distance between the two rank-one tensors, so 0.5 where a factor is zero. Ends after
    `steps` or once the loss is at or below `until`.
    """
    if not 0 <= clamped < FACTORS:
        raise EffectError(f"0 to {FACTORS - 1} of the three factors can be clamped, found {clamped}: one must learn")
    factors, targets = beginning.factors.copy(), beginning.targets
    factors[:clamped] = targets[:clamped]
    found = []
    for _ in range(steps):
        squares = (factors * factors).sum(axis=1)
        overlaps = (factors * targets).sum(axis=1)
        found.append(0.5 * (squares.prod() - 2 * overlaps.prod() + 1))
        if found[-1] <= until:
            break
        for i in range(clamped, FACTORS):
            others = np.arange(FACTORS) != i
            # All gradients are taken at the same factors: squares and overlaps are those before the step.
            factors[i] -= rate * (squares[others].prod() * factors[i] - overlaps[others].prod() * targets[i])
    return np.array(found)


def steps_to_learn(
    beginning: Beginning, *, clamped: int = 0, share: float = 0.05, rate: float = 0.02, steps: int = 10_000
) -> Value:
    """Steps until the loss is `share` of what it was with the factors at zero (0.5); open where `steps` do not do."""
    found = losses(beginning, clamped=clamped, rate=rate, steps=steps, until=0.5 * share)
    last = len(found) - 1
    if found[-1] > 0.5 * share:
        return Value(float(last), np.inf)
    return Value(max(float(last - 1), 0.0), float(last))
