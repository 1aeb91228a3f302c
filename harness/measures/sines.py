"""In-context regression of sines, and a network's features in the place of inputs, for comparison with gradient steps on them.

A task is a sine of its own; pairs (x, y) are given and y of a query is asked (von Oswald et al. 2023, arXiv:2212.07677, section
on non-linear regression). Behind an MLP that gives features, gradient descent on a linear read-out is that of linear tasks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .gradient_steps import RegressionTasks, gradient

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")


def sine_tasks(rng: np.random.Generator, n: int, *, pairs: int = 10) -> RegressionTasks:
    """n tasks y = a sin(x + b), a uniform from 0.1 to 0.5, b from 0 to pi, x [tasks, pairs, 1] from -5 to 5."""
    x = rng.uniform(-5, 5, (n, pairs + 1, 1))
    amplitude, phase = rng.uniform(0.1, 0.5, (n, 1)), rng.uniform(0, np.pi, (n, 1))
    y = amplitude * np.sin(x[..., 0] + phase)
    return RegressionTasks(x[:, :-1], y[:, :-1], x[:, -1], y[:, -1])


def featured(model: Any, tasks: RegressionTasks) -> RegressionTasks:
    """The same tasks with a network's features in the place of x and query, [tasks, pairs, features].

    The network is called as `model(x, y, query, part="features")`.
    """
    given = [torch.from_numpy(part.astype(np.float32)) for part in (tasks.x, tasks.y, tasks.query)]
    with torch.no_grad():
        x, query = (part.double().numpy() for part in model(*given, part="features"))
    return RegressionTasks(x, tasks.y, query, tasks.target)


def preconditioned_step(tasks: RegressionTasks, others: RegressionTasks) -> NDArray[np.float64]:
    """Weights [tasks, width] of one gradient step from zero with a matrix in the place of the rate, the best on other tasks."""
    moves = np.einsum("nd,ne->nde", gradient(others), others.query).reshape(len(others.query), -1)
    matrix = np.linalg.lstsq(moves, others.target, rcond=None)[0].reshape(tasks.query.shape[1], -1)
    return np.asarray(gradient(tasks) @ matrix)
