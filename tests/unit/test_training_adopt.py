"""ADOPT and the variants of AMSGrad: the identities by which each rule is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from claimbench.errors import DeclarationError
from claimbench.simulations.by_torch import walked
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


def path(gradients: np.ndarray, recipe: Recipe = RECIPE, **options: Any) -> np.ndarray:
    """Weights after each gradient, from zero."""
    return walked(lambda parameters: made_optimiser(recipe.with_(optimiser_options=options), parameters), gradients)


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


AMSGRAD = RECIPE.with_(optimiser="amsgrad-published")


@pytest.mark.parametrize("correction", ["none", "before"])
def test_the_path_of_amsgrad_is_that_of_the_written_rule(correction: str) -> None:
    x, m, v, largest, expected = np.zeros(4), np.zeros(4), np.zeros(4), np.zeros(4), []
    for t, g in enumerate(GRADIENTS, 1):
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g**2
        largest = np.maximum(largest, v / (1 - 0.99**t if correction == "before" else 1))
        x = x - 0.1 * (m / (1 - 0.9**t if correction == "before" else 1)) / (np.sqrt(largest) + 1e-8)
        expected.append(x)
    np.testing.assert_allclose(path(GRADIENTS, AMSGRAD, correction=correction), expected, rtol=1e-9)


def test_where_second_moments_only_rise_amsgrad_is_adam_and_where_they_fall_it_moves_less() -> None:
    rising = np.cumsum(np.ones((30, 2)), axis=0)
    adam = path(rising, RECIPE.with_(optimiser="adam"))
    np.testing.assert_allclose(path(rising, AMSGRAD, correction="before"), adam, rtol=1e-9)
    np.testing.assert_allclose(path(rising, RECIPE.with_(optimiser="amsgrad")), adam, rtol=1e-9)
    falling = np.concatenate([np.full((1, 2), 100.0), np.ones((300, 2))])
    recipes = {"adam": RECIPE.with_(optimiser="adam"), "torch": RECIPE.with_(optimiser="amsgrad"), "published": AMSGRAD}
    moves = {name: -np.diff(path(falling, recipe), axis=0)[-1] for name, recipe in recipes.items()}
    assert (moves["published"] < 0.3 * moves["adam"]).all() and (moves["torch"] < 0.3 * moves["adam"]).all()


def test_without_momentum_or_memory_all_variants_agree_and_do_not_see_the_scale() -> None:
    once = [r.with_(betas=(0.0, 0.0)) for r in (AMSGRAD, RECIPE.with_(optimiser="amsgrad"))]
    np.testing.assert_allclose(*(path(GRADIENTS, recipe) for recipe in once), rtol=1e-9)
    np.testing.assert_allclose(path(1000 * GRADIENTS, AMSGRAD), path(GRADIENTS, AMSGRAD), rtol=1e-4)
    with pytest.raises(DeclarationError, match='correction "after" is unknown; use one of none, before'):
        path(GRADIENTS, AMSGRAD, correction="after")
