"""Gradients that are given, walked by an optimiser of the trainer."""

from __future__ import annotations

from typing import Any

from ..training import Recipe
from ..training.optimisers import made_optimiser
from .by_torch import walked
from .rare_gradients import Array

_SETTINGS = Recipe(name="walk", version=1, model={"class": "llama"}, data="labels", betas=(0.9, 0.99), lr=0.1)


def walked_by(optimiser: str, gradients: Array, **options: Any) -> Array:
    """Weights after each of the gradients, both [steps, weights], from zero, in 64 bits, rate 0.1, betas 0.9 and 0.99.

    Args:
        optimiser: a name that the trainer knows, such as "adopt".
        gradients: [steps, weights].
        options: of the optimiser, such as `clip_power`.
    """
    settings = _SETTINGS.with_(optimiser=optimiser, optimiser_options=options)
    return walked(lambda parameters: made_optimiser(settings, parameters), gradients)
