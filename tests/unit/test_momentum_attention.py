"""Filters on queries and keys: their gain by frequency, what sees what, and a short run that learns to copy."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from claimbench.running.collecting import load_all_organisms, load_module
from claimbench.training import recipes, train

FILE = Path(__file__).parents[2] / "fixtures" / "organisms" / "momentum_attention.py"


@pytest.fixture(scope="module")
def organisms() -> ModuleType:
    load_all_organisms([], FILE.parents[2])
    return load_module(FILE)


def net(organisms: ModuleType, by: str, gamma: float = 0.0, layers: int = 1) -> Any:
    model = organisms.filtered_attention(by=by, gamma=gamma, layers=layers)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.from_numpy(np.random.default_rng(len(weight)).normal(size=tuple(weight.shape)) / 4))
    return model


@pytest.mark.parametrize("gamma", [0.5, 1.0, 4.0])
def test_momentum_raises_high_frequencies_as_its_transfer_function_says(organisms: ModuleType, gamma: float) -> None:
    for frequency in (0.0, 0.3, 1.5, np.pi):
        wave = torch.from_numpy(np.exp(1j * frequency * np.arange(50)))[:, None]
        passed, _ = organisms.filtered(wave, wave, "momentum", gamma)
        gain = (passed[1:] / wave[1:]).abs().square()
        expected = 1 + 2 * gamma * (1 + gamma) * (1 - np.cos(frequency))
        assert torch.allclose(gain, torch.full_like(gain, expected))


def test_rivals_change_keys_alone(organisms: ModuleType) -> None:
    q, k = torch.randn(2, 6, 4), torch.randn(2, 6, 4)
    for by, expected in (("key shift", k[:, :-1]), ("key average", (k[:, 1:] + k[:, :-1]) / 2)):
        asked, keys = organisms.filtered(q, k, by, 0.0)
        assert torch.equal(asked, q) and torch.allclose(keys[:, 1:], expected)


def test_scores_depend_on_distance_alone_after_the_rotation(organisms: ModuleType) -> None:
    angles = torch.arange(9)[:, None] * torch.tensor([1.0, 0.1])
    q, k = (organisms.rotated(torch.randn(4).expand(9, 4), angles) for _ in range(2))
    scores = q @ k.T
    assert torch.allclose(scores[3, 1], scores[8, 6], atol=1e-5) and not torch.allclose(scores[3, 1], scores[3, 2])


@pytest.mark.parametrize(("by", "gamma"), [("nothing", 0.0), ("momentum", 4.0), ("key shift", 0.0), ("key average", 0.0)])
def test_later_tokens_are_not_seen(organisms: ModuleType, by: str, gamma: float) -> None:
    model, ids = net(organisms, by, gamma, layers=2), torch.arange(12)[None]
    changed = ids.clone()
    changed[0, 7] = 30
    before, after = model(ids), model(changed)
    assert torch.allclose(before[:, :7], after[:, :7], atol=1e-5)
    assert not torch.allclose(before[:, 7:], after[:, 7:], atol=1e-2)


def test_one_layer_whose_keys_are_shifted_learns_to_copy(organisms: ModuleType) -> None:
    shifted, plain = (
        train(recipes()[name].with_(steps=80, evaluate_every=80, evaluate_rows=64), 3).final["copy accuracy"]
        for name in ("copying-key-shift", "copying-vanilla")
    )
    assert shifted > 0.6 > 0.4 > plain
