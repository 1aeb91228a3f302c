"""ADOPT: the identities by which the paper's rule is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from claimbench.training import Recipe, network, task, train
from claimbench.training.optimisers import made_optimiser

RECIPE = Recipe(
    name="any", version=1, model={"class": "adopt-linear"}, data="adopt-noise", optimiser="adopt", betas=(0.9, 0.99), lr=0.1
)


@network("adopt-linear")
def linear() -> Any:
    return torch.nn.Linear(3, 2, bias=False)


@task("adopt-noise")
class Noise:
    def batch(rng: np.random.Generator, n: int, seed: int = 0, scale: float = 1.0) -> dict[str, Any]:
        return {"x": rng.normal(size=(n, 3)), "scale": scale}

    def loss(model: Any, batch: Any) -> Any:
        return batch["scale"] * ((model(batch["x"]) - batch["x"][:, :2]) ** 2).mean()


def path(gradients: np.ndarray, **options: Any) -> np.ndarray:
    """Weights after each gradient, from zero."""
    weight = torch.nn.Parameter(torch.zeros(gradients.shape[1], dtype=torch.float64))
    optimiser, found = made_optimiser(RECIPE.with_(optimiser_options=options), [weight]), []
    for gradient in gradients:
        weight.grad = torch.from_numpy(gradient)
        optimiser.step()
        found.append(weight.detach().numpy().copy())
    return np.array(found)


GRADIENTS = np.random.default_rng(0).standard_t(3, size=(50, 4))


@pytest.mark.parametrize("clip", [None, 0.25])
def test_the_path_is_that_of_the_written_rule(clip: float | None) -> None:
    x, m, v, expected = np.zeros(4), np.zeros(4), GRADIENTS[0] ** 2, [np.zeros(4)]
    for t, g in enumerate(GRADIENTS[1:], 1):
        n = g / np.maximum(np.sqrt(v), 1e-6)
        n = n if clip is None else np.clip(n, -(t**clip), t**clip)
        m = 0.9 * m + 0.1 * n
        x = x - 0.1 * m
        v = 0.99 * v + 0.01 * g**2
        expected.append(x)
    np.testing.assert_allclose(path(GRADIENTS, clip_power=clip), expected, rtol=1e-12)


def test_the_first_step_moves_nothing_and_the_scale_of_gradients_does_not_matter() -> None:
    found = path(GRADIENTS)
    assert not found[0].any() and found[1].all()
    np.testing.assert_allclose(path(1000 * GRADIENTS), found, rtol=1e-9)
    np.testing.assert_allclose(path(GRADIENTS[:, ::-1].copy()), found[:, ::-1])
    assert not np.allclose(path(GRADIENTS, clip_power=None), found), "these gradients are clipped"


def test_it_trains_by_name() -> None:
    run = train(RECIPE.with_(lr=0.02, steps=80, evaluate_every=20, evaluate_start=True), 0)
    assert run.final["loss"] < 0.2 * run.curve[0]["loss"]
