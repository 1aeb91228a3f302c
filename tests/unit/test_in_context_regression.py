"""In-context regression: the construction is a gradient step, the measures are what they say, the attention is what it says."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from claimbench.errors import EffectError
from claimbench.measures.gradient_steps import (
    Answers,
    answers_of,
    cosine,
    descent,
    gradient,
    one_step,
    prediction_error,
    regression_tasks,
    ridge,
    sensitivity_error,
    tuned_descent,
    tuned_rates,
)
from claimbench.running.collecting import load_all_organisms, load_module
from claimbench.training import Recipe, recipes, train
from claimbench.training.preparing import prepared_network

FILE = Path(__file__).parents[2] / "fixtures" / "organisms" / "in_context_regression.py"
SEED = 71


@pytest.fixture(scope="module")
def organisms() -> ModuleType:
    load_all_organisms([], FILE.parents[2])
    return load_module(FILE)


def tasks(n: int = 64, **options: Any) -> Any:
    return regression_tasks(np.random.default_rng(3), n, **options)


def initial(name: str, **changes: Any) -> Any:
    return prepared_network(recipes()[name].with_(**changes), SEED, lambda *_: None).model


def by_hand(organisms: ModuleType, **options: Any) -> Any:
    recipe: Recipe = organisms.LAYER.with_(prepare=(("gradient step by hand", options),), steps=1, lr=0.0)
    return prepared_network(recipe, SEED, lambda *_: None).model


def test_the_construction_is_one_gradient_step(organisms: ModuleType) -> None:
    """An identity of the paper (proposition 1): it checks the network and the measures, and is no finding."""
    drawn = tasks()
    found, expected = answers_of(by_hand(organisms, noise=0.0), drawn), one_step(drawn, np.full(10, organisms.BEST_RATE))
    np.testing.assert_allclose(found.prediction, expected.prediction, atol=1e-5)
    np.testing.assert_allclose(found.sensitivity, expected.sensitivity, atol=1e-5)
    broken = by_hand(organisms, noise=0.0)
    with torch.no_grad():
        broken.match[..., 0, 0] = 0.0
    assert np.abs(answers_of(broken, drawn).prediction - expected.prediction).max() > 0.05, "one entry dropped"


def test_the_construction_applied_again_is_repeated_descent(organisms: ModuleType) -> None:
    drawn, model = tasks(), by_hand(organisms, noise=0.0)
    inputs = [torch.from_numpy(part.astype(np.float32)) for part in (drawn.x, drawn.y, drawn.query)]
    found = model(*inputs, times=5, damping=0.75).detach().numpy()
    for again, expected in zip(found, descent(drawn, [0.75 * organisms.BEST_RATE] * 5), strict=True):
        np.testing.assert_allclose(again, expected.prediction, atol=1e-4)


def test_descent_does_what_is_written_out_for_one_task() -> None:
    drawn, rates, shrink = tasks(3), (5.0, 3.0, 2.0), (1.2, 0.7, 0.0)
    found = descent(drawn, rates, shrink)
    for row in range(3):
        x, y, query, answer = drawn.x[row], drawn.y[row].copy(), drawn.query[row].copy(), 0.0
        for step, (rate, factor) in enumerate(zip(rates, shrink, strict=True)):
            move = x.T @ y / len(y)
            answer, y = answer + rate * move @ query, y - rate * x @ move
            second = x.T @ x / len(y)
            x, query = x - factor * x @ second, query - factor * second @ query
            assert found[step].prediction[row] == pytest.approx(answer)


def test_a_network_of_two_layers_can_be_gd_plus_plus(organisms: ModuleType) -> None:
    """Written by hand: the first layer shrinks x, both write y."""
    drawn, (rates, shrink) = tasks(), ((6.0, 3.0), (1.5, 0.0))
    model = initial("regression-two-layers")
    with torch.no_grad():
        model.match.zero_()
        model.write.zero_()
        model.match[:, 0, range(10), range(10)] = 1.0
        for layer in range(2):
            model.write[layer, 0, range(10), range(10)] = -shrink[layer]
            model.write[layer, 0, -1, -1] = -rates[layer]
    np.testing.assert_allclose(answers_of(model, drawn).prediction, descent(drawn, rates, shrink)[-1].prediction, atol=1e-5)


def test_tuned_rates_have_the_least_loss_and_come_near_the_closed_form() -> None:
    drawn = tasks(40_000)
    rate = tuned_rates(drawn)
    assert rate[0] == pytest.approx(12 / 1.98, rel=0.02) and (rate == rate[0]).all()
    least = one_step(drawn, rate).loss(drawn)
    assert least == pytest.approx(0.2062, rel=0.03) and drawn.zero_loss == pytest.approx(10 / 24, rel=0.03)
    assert least < min(one_step(drawn, factor * rate).loss(drawn) for factor in (0.97, 1.03))


def test_inputs_unlike_in_size_need_a_rate_for_each_dimension() -> None:
    drawn = tasks(20_000, spread=2.0)
    np.testing.assert_allclose(drawn.x.std((0, 1)), np.geomspace(2, 0.5, 10) / np.sqrt(12), rtol=0.02)
    each = tuned_rates(drawn, each_dimension=True)
    assert each[0] < each[5] < each[9], "small inputs need large rates"
    assert one_step(drawn, each).loss(drawn) < 0.95 * one_step(drawn, tuned_rates(drawn)).loss(drawn)


def test_two_tuned_steps_beat_one_and_gd_plus_plus_beats_them() -> None:
    drawn, fresh = tasks(1500), regression_tasks(np.random.default_rng(4), 1500)
    one = one_step(fresh, tuned_rates(drawn)).loss(fresh)
    two = descent(fresh, *tuned_descent(drawn, 2))[-1].loss(fresh)
    better = descent(fresh, *tuned_descent(drawn, 2, shrinks=True))[-1].loss(fresh)
    assert better < 0.9 * two < 0.9 * one


def test_tuning_gd_plus_plus_is_not_caught_in_a_local_minimum() -> None:
    """From the tuned rates of plain steps a simplex search ends 12 percent above the best cubic of the second moments."""
    drawn = tasks(2000)
    second = drawn.x.transpose(0, 2, 1) @ drawn.x / 10
    powers = [gradient(drawn)[..., None]]
    while len(powers) < 4:
        powers.append(second @ powers[-1])
    columns = np.stack([(power[..., 0] * drawn.query).sum(1) for power in powers], 1)
    best = columns @ np.linalg.lstsq(columns, drawn.target, rcond=None)[0]
    cubic = 0.5 * np.square(best - drawn.target).mean()
    found = descent(drawn, *tuned_descent(drawn, 2, shrinks=True))[-1].loss(drawn)
    assert cubic <= found < 1.03 * cubic


def test_ridge_is_the_regression_in_closed_form() -> None:
    drawn = tasks(2)
    found = ridge(drawn, 0.3)
    for x, y, weights in zip(drawn.x, drawn.y, found.sensitivity, strict=True):
        np.testing.assert_allclose(weights, np.linalg.solve(x.T @ x + 0.3 * np.eye(10), x.T @ y))
    assert ridge(drawn, 1e-9).loss(drawn) < 1e-6, "without penalty the tasks are solved"


def test_measures_of_agreement() -> None:
    drawn = tasks()
    one = one_step(drawn, np.full(10, 6.0))
    scaled = one_step(drawn, np.full(10, 6.6))
    turned = Answers(-one.prediction, -one.sensitivity)
    assert cosine(scaled, one) == pytest.approx(1) and cosine(turned, one) == pytest.approx(-1)
    assert sensitivity_error(scaled, one) == pytest.approx(0.1) == prediction_error(scaled, one)
    assert sensitivity_error(turned, one) == pytest.approx(2.0)


@pytest.mark.parametrize("law", ["uniform", "normal", "laplace", "signs"])
def test_laws_have_the_same_variance(law: Any) -> None:
    drawn = regression_tasks(np.random.default_rng(5), 20_000, inputs=2.0, targets=3.0, law=law)
    assert drawn.x.var() == pytest.approx(4 / 12, rel=0.02) and abs(drawn.x.mean()) < 0.01
    assert drawn.zero_loss == pytest.approx(9 * 4 * 10 / 24, rel=0.05)


def test_an_unknown_law_is_named() -> None:
    with pytest.raises(EffectError, match="there are uniform, normal, laplace, signs"):
        regression_tasks(np.random.default_rng(5), 2, law="cauchy")  # type: ignore[arg-type]


def test_softmax_heads_of_opposite_sign_do_nearly_what_linear_attention_does(organisms: ModuleType) -> None:
    """Two heads by hand: their difference is linear in small scores, but for the mean of the keys."""
    drawn = tasks()
    model = initial("regression-two-heads")
    small = 0.01
    with torch.no_grad():
        model.match.zero_()
        model.write.zero_()
        for head, sign in enumerate((1.0, -1.0)):
            model.match[0, head, range(10), range(10)] = sign * small
            model.write[0, head, -1, -1] = -sign / small / 2
    about = (drawn.x - drawn.x.mean(1, keepdims=True)) * (drawn.y - drawn.y.mean(1, keepdims=True))[..., None]
    np.testing.assert_allclose(answers_of(model, drawn).sensitivity, about.mean(1), atol=1e-3)
    assert np.abs(about.mean(1) - gradient(drawn)).max() > 0.01


def test_only_y_leaves_inputs_alone(organisms: ModuleType) -> None:
    drawn = tasks()
    both = initial("regression-two-layers", std=0.5)
    held = initial("regression-two-layers-only-y", std=0.5)
    before = answers_of(held, drawn)
    assert np.abs(answers_of(both, drawn).prediction - before.prediction).max() > 1e-3
    with torch.no_grad():
        held.write[..., :-1, :] = 7.0
    np.testing.assert_array_equal(answers_of(held, drawn).prediction, before.prediction)


def test_a_short_training_comes_near_the_step(organisms: ModuleType) -> None:
    run = train(organisms.LAYER.with_(steps=100, batch=128, lr=5e-2, evaluate_every=100, evaluate_rows=1024), SEED)
    assert run.curve[-1]["loss"] < 0.6 * run.curve[-1]["zero"]
