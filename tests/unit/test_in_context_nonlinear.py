"""In-context regression of sines and of interleaved tokens: networks written by hand do what the measures say they do."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from claimbench.measures.gradient_steps import RegressionTasks, answers_of, linear_answers, one_step, regression_tasks, tuned_rates
from claimbench.measures.sines import featured, preconditioned_step, sine_tasks
from claimbench.running.collecting import load_all_organisms, load_module
from claimbench.training import recipes, train
from claimbench.training.preparing import prepared_network

ORGANISMS = Path(__file__).parents[2] / "fixtures" / "organisms"
SEED = 73


@pytest.fixture(scope="module")
def interleaved() -> ModuleType:
    load_all_organisms([], ORGANISMS.parents[1])
    return load_module(ORGANISMS / "in_context_interleaved.py")


def initial(name: str) -> Any:
    load_all_organisms([], ORGANISMS.parents[1])
    return prepared_network(recipes()[name], SEED, lambda *_: None).model


def test_sines_are_what_they_are_called() -> None:
    found = sine_tasks(np.random.default_rng(0), 4000)
    assert found.x.shape == (4000, 10, 1) and found.query.shape == (4000, 1)
    assert found.x.min() > -5 and found.x.max() < 5 and 0.45 < np.abs(found.y).max() < 0.5
    basis = np.stack([np.sin(found.x[..., 0]), np.cos(found.x[..., 0])], -1)
    weights = np.stack([np.linalg.lstsq(x, y, rcond=None)[0] for x, y in zip(basis[:50], found.y[:50], strict=True)])
    np.testing.assert_allclose(np.einsum("nkd,nd->nk", basis[:50], weights), found.y[:50], atol=1e-9)
    amplitude = np.linalg.norm(weights, axis=1)
    assert amplitude.min() >= 0.1 and amplitude.max() <= 0.5 and (weights[:, 1] > 0).all(), "phases from 0 to pi"


def test_the_tied_network_is_a_gradient_step_on_its_features() -> None:
    model, tasks = initial("sines-tied"), sine_tasks(np.random.default_rng(1), 64)
    with torch.no_grad():
        model.rate.fill_(3.0)
    features = featured(model, tasks)
    expected = one_step(features, np.full(features.query.shape[1], 3.0))
    np.testing.assert_allclose(answers_of(model, tasks).prediction, expected.prediction, atol=1e-5)


def test_attention_written_by_hand_is_the_step_of_the_tied_network() -> None:
    free, tasks = initial("sines-features"), sine_tasks(np.random.default_rng(1), 64)
    with torch.no_grad():
        free.match.copy_(torch.eye(len(free.match)))
        free.write.zero_()
        free.write[-1] = -3.0
    features = featured(free, tasks)
    expected = one_step(features, np.full(features.query.shape[1], 3.0))
    np.testing.assert_allclose(answers_of(free, tasks).prediction, expected.prediction, atol=1e-5)


def test_a_matrix_in_the_place_of_the_rate_is_found() -> None:
    """Answers of a step with a known matrix are those of the step that is fitted to them; one rate does not give them."""
    drawn, fresh = (regression_tasks(np.random.default_rng(seed), 3000, width=3, pairs=5) for seed in (1, 2))
    matrix = np.array([[4.0, 1.0, 0.0], [-2.0, 3.0, 0.0], [0.0, 0.0, 9.0]])

    def answered(given: RegressionTasks) -> Any:
        moved = np.einsum("nk,nkd->nd", given.y, given.x) / given.y.shape[1]
        return linear_answers(given, moved @ matrix).prediction

    taught = RegressionTasks(drawn.x, drawn.y, drawn.query, answered(drawn))
    found = linear_answers(fresh, preconditioned_step(fresh, taught)).prediction
    np.testing.assert_allclose(found, answered(fresh), atol=1e-9)
    assert np.abs(one_step(fresh, tuned_rates(taught)).prediction - answered(fresh)).max() > 0.05


def shares(model: Any, organisms: ModuleType) -> tuple[float, float]:
    drawn = regression_tasks(np.random.default_rng(3), 32, width=organisms.WIDTH, pairs=organisms.PAIRS)
    data = [torch.from_numpy(part.astype(np.float32)) for part in (drawn.x, drawn.y, drawn.query)]
    directions = torch.from_numpy(np.random.default_rng(4).standard_normal((32, organisms.SHOWN, organisms.SIZE))).float()
    at_x, at_y = organisms._partner_shares(model, data, directions)
    return float(at_x), float(at_y)


def test_partner_shares_see_planted_copying_and_chance(interleaved: ModuleType) -> None:
    """Layer 1 by hand: each token attends to the one after it, by turning the code of its position by one place."""
    model = initial("interleaved")
    codes, first = interleaved._codes(), interleaved.WIDTH + 1
    turn = np.linalg.lstsq(codes[1:], codes[:-1], rcond=None)[0]  # code of the next place -> code of this one
    np.testing.assert_allclose(codes[1:] @ turn, codes[:-1], atol=1e-9)
    with torch.no_grad():
        model.match1.zero_()
        model.match1[first:, first:] = 100 * torch.from_numpy(turn).float()
        model.write1.copy_(torch.eye(interleaved.SIZE))
    at_x, at_y = shares(model, interleaved)
    assert at_x > 0.95, "the token after an x is its y"
    assert at_y < 0.05, "the token after a y is another pair's x"
    alike = initial("interleaved-uniform")
    chance = 1 / (interleaved.SHOWN - 1)
    assert all(abs(share - chance) < 0.02 for share in shares(alike, interleaved))


def test_interleaved_tokens_hold_what_they_are_called(interleaved: ModuleType) -> None:
    drawn = regression_tasks(np.random.default_rng(3), 2, width=interleaved.WIDTH, pairs=interleaved.PAIRS)
    data = [torch.from_numpy(part.astype(np.float32)) for part in (drawn.x, drawn.y, drawn.query)]
    tokens = interleaved._embedded(torch.from_numpy(interleaved._codes().astype(np.float32)), *data).numpy()
    width = interleaved.WIDTH
    np.testing.assert_allclose(tokens[:, 0:-1:2, :width], drawn.x, atol=1e-6)
    np.testing.assert_allclose(tokens[:, 1::2, width], drawn.y, atol=1e-6)
    np.testing.assert_allclose(tokens[:, -1, :width], drawn.query, atol=1e-6)
    assert not tokens[:, 0::2, width].any() and not tokens[:, 1::2, :width].any()


def test_both_learn_something_in_a_few_steps() -> None:
    load_all_organisms([], ORGANISMS.parents[1])
    for name, steps in (("sines-features", 60), ("sines-tied", 60)):
        run = train(recipes()[name].with_(steps=steps, batch=256, evaluate_rows=512, evaluate_every=30), SEED)
        assert run.curve[-1]["loss"] < 0.95 * run.curve[-1]["zero"], name
