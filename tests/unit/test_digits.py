"""The classifiers of digits behind a claim on ADOPT: gradients, splits, what tuned and worst mean."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from claimbench.simulations.digits import Scores, _gradients, clipped_adopt, digit_scores, digit_trial
from claimbench.simulations.rare_gradients import Moments, adam, adopt


def test_gradients_are_those_of_autograd() -> None:
    rng = np.random.default_rng(0)
    layers = [rng.standard_normal((2, 65, 6)), rng.standard_normal((2, 7, 10))]
    x, labels = rng.random((5, 64)), rng.integers(0, 10, 5)
    found = _gradients(layers, x, labels)
    for setting in range(2):
        first, second = (torch.tensor(layer[setting], requires_grad=True) for layer in layers)
        hidden = torch.relu(torch.tensor(x) @ first[:-1] + first[-1])
        torch.nn.functional.cross_entropy(hidden @ second[:-1] + second[-1], torch.tensor(labels)).backward()
        for ours, theirs in zip(found, (first, second), strict=True):
            np.testing.assert_allclose(ours[setting], theirs.grad, atol=1e-12)


def test_parts_of_a_trial_share_no_image_and_a_setting_does_not_see_the_others() -> None:
    trial = digit_trial(np.random.default_rng(1), epochs=2)
    assert [len(part[1]) for part in (trial.train, trial.tune, trial.test)] == [600, 300, 897]
    assert sorted(trial.batches[:20].ravel()) == list(range(600))
    whole = digit_scores(adam, trial, beta2=(0.5, 0.99), rates=(1e-3, 1e-2))
    alone = digit_scores(adam, trial, beta2=(0.99,), rates=(1e-3,))
    assert whole.test[1, 0] == pytest.approx(alone.test[0, 0]) and whole.test[0, 1] > 0.5


def test_tuned_and_worst_are_chosen_on_the_images_to_tune_on() -> None:
    scores = Scores(np.array([[0.5, 0.9], [0.8, 0.7]]), np.array([[0.1, 0.2], [0.3, 0.4]]))
    assert scores.tuned == 0.2 and scores.worst == 0.2


def test_the_clip_acts_only_beyond_the_fourth_root_of_the_step() -> None:
    free, clipped = Moments.of(np.zeros(1)), Moments.of(np.zeros(1))
    beta2 = np.array([0.9])
    for gradient in map(np.atleast_1d, (2.0, 1.9, -2.1)):
        assert adopt(free, gradient, 0.9, beta2) == clipped_adopt(clipped, gradient, 0.9, beta2)
    assert clipped_adopt(clipped, np.array([1000.0]), 0.0, np.array([0.9])) == pytest.approx(3**0.25)
