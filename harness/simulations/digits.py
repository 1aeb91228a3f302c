"""Small classifiers of handwritten digits under an update rule, every beta2 and every rate at once.

The digits are the 1,797 images of 8 x 8 pixels that scikit-learn ships (UCI Optical Recognition of Handwritten Digits). The
network has one hidden layer of rectified units. It is written out in numpy, with a leading axis for the settings, because the
rules of `rare_gradients` are, and because one product of stacked matrices trains all settings of a grid on the same batches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .rare_gradients import ADOPT_EPS, Array, Moments, Rule

PIXELS, CLASSES = 64, 10


@dataclass(frozen=True)
class Trial:
    """What all rules of a replicate share: images and labels to train on, to tune on and to test on, weights, order of rows."""

    train: tuple[Array, Array]
    tune: tuple[Array, Array]
    test: tuple[Array, Array]
    weights: tuple[Array, Array]
    batches: Array


@dataclass(frozen=True)
class Scores:
    """Accuracies [beta2, rates] on the images to tune on and on those to test on."""

    tune: Array
    test: Array

    @property
    def tuned(self) -> float:
        """Test accuracy at the beta2 and rate that are best on the images to tune on; the first of equal ones."""
        return float(self.test.flat[self.tune.argmax()])

    @property
    def worst(self) -> float:
        """Test accuracy at the worst beta2, all at the one rate that is best on average over beta2 on the images to tune on."""
        return float(self.test[:, self.tune.mean(0).argmax()].min())


def digit_trial(
    rng: np.random.Generator, *, hidden: int = 64, train: int = 600, tune: int = 300, epochs: int = 20, batch: int = 30
) -> Trial:
    """A split of the digits, initial weights and an order of rows; all images that are left are tested on."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = rng.permutation(len(labels))
    parts = (order[:train], order[train : train + tune], order[train + tune :])
    first, second, third = ((images[part] / 16, labels[part]) for part in parts)
    weights = (
        rng.standard_normal((PIXELS + 1, hidden)) * np.sqrt(2 / PIXELS),
        rng.standard_normal((hidden + 1, CLASSES)) * np.sqrt(1 / hidden),
    )
    for layer in weights:
        layer[-1] = 0.0  # biases
    batches = np.concatenate([rng.permutation(train).reshape(-1, batch) for _ in range(epochs)])
    return Trial(first, second, third, weights, batches)


def digit_scores(rule: Rule, trial: Trial, *, beta2: tuple[float, ...], rates: tuple[float, ...], beta1: float = 0.9) -> Scores:
    """Train at every beta2 and rate, and score. Cross-entropy, the rate constant."""
    grid = np.array([[b, rate] for b in beta2 for rate in rates])
    betas, steps = grid[:, 0, None, None], grid[:, 1, None, None]
    layers = [np.repeat(layer[None], len(grid), axis=0) for layer in trial.weights]
    moments = [Moments.of(layer) for layer in layers]
    for rows in trial.batches:
        for place, gradient in enumerate(_gradients(layers, trial.train[0][rows], trial.train[1][rows])):
            layers[place] = layers[place] - steps * rule(moments[place], gradient, beta1, betas)
    shape = (len(beta2), len(rates))
    return Scores(_accuracy(layers, *trial.tune).reshape(shape), _accuracy(layers, *trial.test).reshape(shape))


def clipped_adopt(moments: Moments, gradient: Array, beta1: float, beta2: Array) -> Array:
    """Taniguchi et al. 2024, Algorithm 2: as `adopt`, the divided gradient clipped to the fourth root of the step."""
    moments.step += 1
    if moments.step == 1:
        moments.second = gradient * gradient
        return np.zeros_like(gradient)
    bound = (moments.step - 1) ** 0.25
    added = np.clip(gradient / np.maximum(np.sqrt(moments.second), ADOPT_EPS), -bound, bound)
    moments.first = beta1 * moments.first + (1 - beta1) * added
    moments.second = beta2 * moments.second + (1 - beta2) * gradient * gradient
    return moments.first


def _passed(layers: list[Array], x: Array) -> tuple[Array, Array, Array]:
    """Inputs and hidden units [settings, rows, ..] with a one behind, log probabilities [settings, rows, classes]."""
    given = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    hidden = np.maximum(given @ layers[0], 0.0)
    behind = np.concatenate([hidden, np.ones((*hidden.shape[:2], 1))], axis=2)
    logits = behind @ layers[1]
    logits = logits - logits.max(2, keepdims=True)
    return given, behind, logits - np.log(np.exp(logits).sum(2, keepdims=True))


def _gradients(layers: list[Array], x: Array, labels: Array) -> tuple[Array, Array]:
    given, behind, logs = _passed(layers, x)
    errors = np.exp(logs)
    errors[:, np.arange(len(x)), labels] -= 1.0
    errors /= len(x)
    back = (errors @ layers[1][:, :-1].transpose(0, 2, 1)) * (behind[:, :, :-1] > 0)
    return given.T @ back, behind.transpose(0, 2, 1) @ errors


def _accuracy(layers: list[Array], x: Array, labels: Array) -> Array:
    return np.asarray((_passed(layers, x)[2].argmax(2) == labels).mean(1))
