"""In-context regression, and what gradient descent on the pairs of the context would answer.

A task is a context of pairs (x, y) with y = w.x and a query whose y is asked. Gradient descent on the squared error of a linear
read-out, begun at zero, answers linearly in the query: `weights . query`. Its weights are what is compared with a network,
whose answer is differentiated by the query (von Oswald et al. 2023, arXiv:2212.07677).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import EffectError

if TYPE_CHECKING:
    import torch
    from scipy import optimize
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")
    optimize = LazyModule("scipy.optimize")

Array = NDArray[np.float64]
_STARTS = 4
Law = Literal["uniform", "normal", "laplace", "signs"]


@dataclass(frozen=True)
class RegressionTasks:
    """Contexts x [tasks, pairs, width] and y [tasks, pairs]; queries [tasks, width] with their targets [tasks]."""

    x: Array
    y: Array
    query: Array
    target: Array

    @property
    def zero_loss(self) -> float:
        """Half of the mean squared target: the loss of always answering 0."""
        return float(0.5 * np.square(self.target).mean())


@dataclass(frozen=True)
class Answers:
    """A predictor's answers [tasks] and their derivatives by the query [tasks, width]."""

    prediction: Array
    sensitivity: Array

    def loss(self, tasks: RegressionTasks) -> float:
        """Half of the mean squared error."""
        return float(0.5 * np.square(self.prediction - tasks.target).mean())


def regression_tasks(
    rng: np.random.Generator,
    n: int,
    *,
    width: int = 10,
    pairs: int = 10,
    inputs: float = 1.0,
    targets: float = 1.0,
    spread: float = 1.0,
    law: Law = "uniform",
) -> RegressionTasks:
    """n linear tasks without noise: w normal of standard deviation `targets`, x of variance inputs**2 / 12 in each dimension.

    law: of x; "uniform" is the paper's, from -inputs/2 to inputs/2. spread: the standard deviations of the dimensions differ,
    geometrically, from `spread` to 1 / `spread` times the rest.
    """
    drawn = _drawn(rng, law, (n, pairs + 1, width)) * (inputs * np.geomspace(spread, 1 / spread, width))
    w = targets * rng.standard_normal((n, width))
    y = np.einsum("nkd,nd->nk", drawn, w)
    return RegressionTasks(drawn[:, :-1], y[:, :-1], drawn[:, -1], y[:, -1])


def _drawn(rng: np.random.Generator, law: Law, shape: tuple[int, ...]) -> Array:
    """Independent numbers of mean 0 and variance 1/12."""
    root = np.sqrt(1 / 12)
    if law == "uniform":
        return rng.random(shape) - 0.5
    if law == "normal":
        return np.asarray(root * rng.standard_normal(shape))
    if law == "laplace":
        return rng.laplace(0.0, root / np.sqrt(2), shape)
    if law == "signs":
        return np.asarray(root * rng.choice([-1.0, 1.0], shape))
    raise EffectError(f'inputs of law "{law}" are unknown; there are uniform, normal, laplace, signs')


def answers_of(model: Any, tasks: RegressionTasks) -> Answers:
    """What a network answers, called as `model(x, y, query)`, and how its answer moves with the query."""
    x, y, query = _tensors(tasks)
    query.requires_grad_()
    found = model(x, y, query)
    (moved,) = torch.autograd.grad(found.sum(), query)
    return Answers(found.detach().double().numpy(), moved.double().numpy())


def repeated_losses(model: Any, tasks: RegressionTasks, *, times: int, damping: float) -> list[float]:
    """Losses after each of `times` applications of a network, called as `model(x, y, query, times=..., damping=...)`."""
    with torch.no_grad():
        found = model(*_tensors(tasks), times=times, damping=damping).double().numpy()
    return [float(loss) for loss in 0.5 * np.square(found - tasks.target).mean(1)]


def balanced_average(one: Any, other: Any) -> Any:
    """The layer halfway between two of the same shape, weights `match` and `write`, the first brought to the other's balance.

    Balance: `match` times a factor and `write` over it compute the same; the factor gives `match` the other's size and sign.
    """
    found, factor = copy.deepcopy(one), (other.match.norm() / one.match.norm()) * (one.match * other.match).sum().sign()
    mixed = {"match": (one.match * factor + other.match) / 2, "write": (one.write / factor + other.write) / 2}
    found.load_state_dict(mixed)
    return found


def _tensors(tasks: RegressionTasks) -> list[Any]:
    return [torch.from_numpy(part.astype(np.float32)) for part in (tasks.x, tasks.y, tasks.query)]


def linear_answers(tasks: RegressionTasks, weights: Array) -> Answers:
    """The answers of a linear read-out for each task, weights [tasks, width]."""
    return Answers(np.einsum("nd,nd->n", weights, tasks.query), weights)


def gradient(tasks: RegressionTasks) -> Array:
    """The negative gradient at zero of half the mean squared error on the context, [tasks, width]."""
    return np.asarray(np.einsum("nk,nkd->nd", tasks.y, tasks.x) / tasks.y.shape[1])


def tuned_rates(tasks: RegressionTasks, *, each_dimension: bool = False) -> Array:
    """The rates of one gradient step with the least loss on these tasks, [width]: one for all dimensions, or one for each.

    Least squares: the answer is linear in the rates. One for each dimension is gradient descent preconditioned on the axes.
    """
    moves = gradient(tasks) * tasks.query
    if not each_dimension:
        total = moves.sum(1)
        return np.full(moves.shape[1], float(total @ tasks.target / (total @ total)))
    return np.asarray(np.linalg.lstsq(moves, tasks.target, rcond=None)[0])


def one_step(tasks: RegressionTasks, rates: Array) -> Answers:
    """One gradient step from zero at these rates, [width]."""
    return linear_answers(tasks, rates * gradient(tasks))


def descent(tasks: RegressionTasks, rates: Sequence[float], shrink: Sequence[float] | None = None) -> list[Answers]:
    """The answers after each of several gradient steps; with `shrink` those of GD++.

    GD++ (the paper's, section 3) changes the inputs too, at each step: x to (I - shrink X^T X / pairs) x, queries likewise.
    """
    spectrum = _Spectrum.of(tasks)
    steps = spectrum.descent(rates, shrink or [0.0] * len(rates))
    return [linear_answers(tasks, np.einsum("ndk,nk->nd", spectrum.vectors, weights)) for weights in steps]


def tuned_descent(tasks: RegressionTasks, steps: int, *, shrinks: bool = False) -> tuple[list[float], list[float]]:
    """Rates and shrink factors, one for each step, with the least loss on these tasks; without `shrinks` factors are zero.

    Simplex searches from the best points of a coarse grid around the rate of one tuned step: GD++ has several local minima.
    The last factor changes nothing and is zero.
    """
    spectrum = _Spectrum.of(tasks)
    query = np.einsum("ndk,nd->nk", spectrum.vectors, tasks.query)
    one = float(tuned_rates(tasks)[0])
    rates = product([2 / 3 * one, 2 * one, 6 * one], repeat=steps)
    factors = list(product([1.0, 2.0, 4.0], repeat=steps - 1 if shrinks else 0))

    def split(values: Array) -> tuple[list[float], list[float]]:
        found = [float(value) for value in values]
        return found[:steps], [*found[steps:], *[0.0] * (2 * steps - len(found))]

    def loss(values: Array) -> float:
        last = spectrum.descent(*split(values))[-1]
        return float(np.square((last * query).sum(1) - tasks.target).mean())

    starts = sorted((np.array([*rate, *factor]) for rate, factor in product(rates, factors)), key=loss)[:_STARTS]
    return split(min((optimize.minimize(loss, start, method="Nelder-Mead") for start in starts), key=lambda found: found.fun).x)


@dataclass(frozen=True)
class _Spectrum:
    """Second moments X^T X / pairs of the contexts and their gradients at zero, on the axes of the former, [tasks, width].

    All that descent makes of a context is a polynomial of its second moments, so on these axes each number moves by itself.
    """

    values: Array
    vectors: Array
    gradient: Array

    @classmethod
    def of(cls, tasks: RegressionTasks) -> _Spectrum:
        values, vectors = np.linalg.eigh(tasks.x.transpose(0, 2, 1) @ tasks.x / tasks.y.shape[1])
        return cls(values, vectors, np.einsum("ndk,nd->nk", vectors, gradient(tasks)))

    def descent(self, rates: Sequence[float], shrink: Sequence[float]) -> list[Array]:
        """Weights after each step; `left` is what the input changes have left of each axis."""
        weights, left, found = np.zeros_like(self.gradient), np.ones_like(self.values), []
        for rate, factor in zip(rates, shrink, strict=True):
            weights = weights + rate * left**2 * (self.gradient - self.values * weights)
            left = left * (1 - factor * self.values * left**2)
            found.append(weights)
        return found


def ridge(tasks: RegressionTasks, strength: float) -> Answers:
    """Ridge regression on the context: the least squared error with a penalty of `strength` on the squared weights."""
    kernel = tasks.x @ tasks.x.transpose(0, 2, 1) + strength * np.eye(tasks.y.shape[1])
    return linear_answers(tasks, np.einsum("nkd,nk->nd", tasks.x, np.linalg.solve(kernel, tasks.y[..., None])[..., 0]))


def cosine(found: Answers, expected: Answers) -> float:
    """Mean over tasks of the cosine between the two sensitivities."""
    product = (found.sensitivity * expected.sensitivity).sum(1)
    sizes = np.linalg.norm(found.sensitivity, axis=1) * np.linalg.norm(expected.sensitivity, axis=1)
    return float((product / sizes).mean())


def sensitivity_error(found: Answers, expected: Answers) -> float:
    """Size of the difference of the sensitivities over the size of those expected, both root mean squares over tasks."""
    return _relative(found.sensitivity, expected.sensitivity)


def prediction_error(found: Answers, expected: Answers) -> float:
    """Size of the difference of the answers over the size of those expected, both root mean squares over tasks."""
    return _relative(found.prediction, expected.prediction)


def _relative(found: Array, expected: Array) -> float:
    return float(np.sqrt(np.square(found - expected).mean() / np.square(expected).mean()))
