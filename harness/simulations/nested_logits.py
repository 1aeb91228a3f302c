"""Three nested logits: the theory of an induction head that forms abruptly (Reddy 2024, arXiv:2312.03002, section 3).

The sequence holds N pairs of an item and its label, then a target item; L labels exist in all. Three numbers are learned:

- beta, by how much a label prefers the item before it, to the N other tokens that it sees on average: attention
  p = e^beta / (e^beta + N), so much of its own item the label carries;
- alpha, by how much the target prefers a label that carries its item: attention q = e^(alpha p) / (e^(alpha p) + N - 1);
- xi, how strongly the classifier reads a label off the attention that it got: logit xi q for the right label,
  xi (1 - q) / (N - 1) for the others in context, 0 for the L - N that are not.

Each sits inside the next. They follow the gradient of the log probability of the right label. The paper names these three
parameters and their nesting; the formulas are our reconstruction of it, without its finite dimension and noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..effect import Value
from ..errors import EffectError, NotApplicable

if TYPE_CHECKING:
    from scipy import integrate
else:
    from ..lazy import LazyModule

    integrate = LazyModule("scipy.integrate")

Array = NDArray[np.float64]
#: Longest time that is simulated; one unit is one step of gradient descent at rate 1.
BUDGET = 1e5
#: A run ends at this probability of the right label.
SOLVED = 0.95
RECORDS = 4000


@dataclass(frozen=True)
class Start:
    """Where the three numbers set out, how fast each learns, and whether they are nested or simply added."""

    beta: float
    alpha: float
    xi: float
    rates: tuple[float, float, float] = (1.0, 1.0, 1.0)
    nested: bool = True


@dataclass(frozen=True)
class Course:
    """A run: the three numbers at rising times, each (times,). Ends when solved, or after `BUDGET`."""

    times: Array
    beta: Array
    alpha: Array
    xi: Array
    labels: int
    pairs: int
    nested: bool

    @property
    def to_item(self) -> Array:
        """Attention of a label to the item before it (layer 1)."""
        return _to_item(self.beta, self.pairs)

    @property
    def to_label(self) -> Array:
        """Attention of the target to the right label (layer 2)."""
        return _to_label(self.alpha, self.to_item if self.nested else 1.0, self.pairs)

    @property
    def accuracy(self) -> Array:
        """Probability of the right label."""
        return self._probabilities()[0]

    @property
    def in_context(self) -> Array:
        """Probability of any label of the context."""
        right, other = self._probabilities()
        return right + other

    @property
    def loss(self) -> Array:
        """Cross entropy, nats."""
        return -np.log(self.accuracy)

    def half_rise(self, values: Array) -> Value:
        """When `values`, one for each time, have covered half of their way; NotApplicable where they never move."""
        if values[-1] == values[0]:
            raise NotApplicable("needs a course along which something is learned: values end where they began")
        return self.time_to((values - values[0]) / (values[-1] - values[0]), 0.5)

    def time_to(self, values: Array, level: float) -> Value:
        """When `values` first reach `level`; open where the run ended before."""
        reached = np.flatnonzero(values >= level)
        if not len(reached):
            return Value(float(self.times[-1]), math.inf)
        first = int(reached[0])
        return Value(float(self.times[max(first - 1, 0)]), float(self.times[first]))

    def _probabilities(self) -> tuple[Array, Array]:
        return _probabilities(np.stack([self.beta, self.alpha, self.xi]), self.labels, self.pairs, self.nested)


def learn(start: Start, *, labels: int, pairs: int) -> Course:
    """Follow the gradient of the log probability of the right label from `start` until it is solved.

    Args:
        labels: how many there are in all, L; at least as many as pairs.
        pairs: pairs of item and label in the sequence, N; at least 2.
    """
    if not 2 <= pairs <= labels:
        raise EffectError(f"nested logits need 2 pairs or more and a label for each, found {pairs} pairs and {labels} labels")
    rates = np.array(start.rates)

    def flow(_: float, values: Array) -> Array:
        return rates * gradient(values, labels, pairs, start.nested)

    def unsolved(_: float, values: Array) -> float:
        return SOLVED - float(_probabilities(values, labels, pairs, start.nested)[0])

    unsolved.terminal = True  # type: ignore[attr-defined]
    begin = (start.beta, start.alpha, start.xi)
    found = integrate.solve_ivp(
        flow, (0.0, BUDGET), begin, method="LSODA", rtol=1e-8, atol=1e-10, events=unsolved, dense_output=True
    )
    end = float(found.t[-1])
    times = np.concatenate([[0.0], np.geomspace(1e-4 * end, end, RECORDS)])
    beta, alpha, xi = found.sol(times)
    return Course(times, beta, alpha, xi, labels, pairs, start.nested)


def gradient(values: Array, labels: int, pairs: int, nested: bool = True) -> Array:
    """Gradient of the log probability of the right label with respect to (beta, alpha, xi)."""
    _, alpha, xi = values
    right, other = _probabilities(values, labels, pairs, nested)
    if not nested:  # one logit, to which all three add
        return np.full(3, 1 - right)
    p, q = _to_item(values[0], pairs), _to_label(alpha, _to_item(values[0], pairs), pairs)
    by_q = xi * (1 - right + other / (pairs - 1))
    by_match = by_q * q * (1 - q)
    return np.array([by_match * alpha * p * (1 - p), by_match * p, q * (1 - right) - (1 - q) / (pairs - 1) * other])


def _to_item(beta: Array, pairs: int) -> Array:
    return np.asarray(1 / (1 + pairs * np.exp(-beta)))


def _to_label(alpha: Array, carried: Array | float, pairs: int) -> Array:
    return np.asarray(1 / (1 + (pairs - 1) * np.exp(-alpha * carried)))


def _probabilities(values: Array, labels: int, pairs: int, nested: bool) -> tuple[Array, Array]:
    """Probability of the right label, and of the other labels in context together."""
    beta, alpha, xi = values
    if nested:
        q = _to_label(alpha, _to_item(beta, pairs), pairs)
        right, other = xi * q, xi * (1 - q) / (pairs - 1)
    else:
        right, other = beta + alpha + xi, np.zeros_like(xi)
    top = np.maximum(np.maximum(right, other), 0.0)  # so that no exponential overflows
    ours, theirs = np.exp(right - top), (pairs - 1) * np.exp(other - top)
    whole = ours + theirs + (labels - pairs) * np.exp(-top)
    return ours / whole, theirs / whole
