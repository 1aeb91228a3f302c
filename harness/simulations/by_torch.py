"""The problem of rare large gradients, minimised by an optimiser of torch's kind, such as a user's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidMeasurement
from .rare_gradients import Array, Path

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

#: So many first steps are run twice.
REPEATED = 20
#: (parameters, rate, (beta1, beta2)) -> a torch.optim.Optimizer
Make = Callable[[list[Any], float, tuple[float, float]], Any]


def descend_by(
    make: Make, gradients: Array, *, beta2: tuple[float, ...], beta1: float = 0.9, rate: float = 0.003, decay: float = 0.0005
) -> tuple[Path, list[str]]:
    """Run an optimiser from x = 0 on these gradients as `rare_gradients.descend` runs a rule, one after another for each beta2.

    A step that gives no finite x ends the path: x stays where it was. Second comes a line for each beta2 at which that happened.

    Raises:
        InvalidMeasurement: its first steps do not come out twice.
    """
    steps = len(gradients)
    rates = rate / np.sqrt(1 + decay * np.arange(steps))
    iterates, said = np.empty((steps, len(beta2))), []
    for column, beta in enumerate(beta2):
        short = [_path(make, gradients[:REPEATED], rates, (beta1, beta))[0] for _ in range(2)]
        differs = np.flatnonzero(short[0] != short[1])
        if len(differs):
            first, again = (path[differs[0]] for path in short)
            raise InvalidMeasurement(
                f"the optimiser is not deterministic: at step {differs[0]} x was {first:.7g} and is {again:.7g} when run again"
            )
        iterates[:, column], ended = _path(make, gradients, rates, (beta1, beta))
        if ended is not None:
            said.append(f"beta2 {beta:g}: step {ended} gave no finite x, so x stays where it was")
    near = iterates < -0.9
    recorded = sorted({int(s) for s in np.geomspace(1, steps, 60)})
    reached = np.where(near.any(0), near.argmax(0) + 1.0, math.inf)
    return Path(beta2, tuple(recorded), iterates[np.array(recorded) - 1], reached, steps), said


def walked(make: Callable[[list[Any]], Any], gradients: Array) -> Array:
    """Weights after each of the gradients, both [steps, weights], from zero and in 64 bits, by the optimiser that `make` gives."""
    weight = torch.nn.Parameter(torch.zeros(gradients.shape[1], dtype=torch.float64))
    optimiser, found = make([weight]), np.empty(gradients.shape)
    for step, gradient in enumerate(gradients):
        weight.grad = torch.tensor(gradient, dtype=torch.float64)
        optimiser.step()
        found[step] = weight.detach().numpy()
    return found


def _path(make: Make, gradients: Array, rates: Array, betas: tuple[float, float]) -> tuple[Array, int | None]:
    """Iterates, and the step whose iterate was not finite, if one was."""
    x = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    x.grad = torch.zeros_like(x)
    optimiser = make([x], float(rates[0]), betas)
    found = np.zeros(len(gradients))
    for t, gradient in enumerate(gradients):
        x.grad.fill_(float(gradient))
        for group in optimiser.param_groups:
            group["lr"] = float(rates[t]) * group.get("share", 1.0)
        optimiser.step()
        with torch.no_grad():
            found[t] = float(x.clamp_(-1, 1))
        if not math.isfinite(found[t]):
            found[t:] = found[t - 1] if t else 0.0
            return found, t
    return found, None
