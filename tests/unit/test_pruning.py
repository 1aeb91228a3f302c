"""Masks by size, chance and first look at the loss, on networks small enough to reckon them by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from claimbench.errors import DeclarationError
from claimbench.training.pruning import grasp, highest, inverted, magnitude, shuffled, snip, synflow


class Chain(torch.nn.Module):
    """y = sum over units of v_i w_i x."""

    def __init__(self, w: list[float], v: list[float]) -> None:
        super().__init__()
        self.w, self.v = torch.nn.Parameter(torch.tensor(w)), torch.nn.Parameter(torch.tensor(v))

    def forward(self, x: Any) -> Any:
        return (self.v * self.w).sum() * x


def quadratic(model: Any) -> Any:
    return 0.5 * (model(torch.tensor(1.0)) - 3.0) ** 2


def kept(masks: dict[str, torch.Tensor]) -> dict[str, list[bool]]:
    return {name: mask.tolist() for name, mask in masks.items()}


def test_magnitude_counts_over_the_whole_network() -> None:
    model = Chain([5.0, -4.0, 3.0], [0.1, 0.2, -0.3])
    assert kept(magnitude(model, 0.5)) == {"w": [True] * 3, "v": [False] * 3}
    assert kept(inverted(model, 0.5)) == {"w": [False] * 3, "v": [True] * 3}


@pytest.mark.parametrize("keep", [0.0, 1.2, -1.0])
def test_shares_outside_of_0_to_1_are_refused(keep: float) -> None:
    with pytest.raises(DeclarationError, match="share of weights"):
        highest({"w": torch.ones(4)}, keep)


def test_ties_do_not_keep_too_many() -> None:
    assert int(highest({"w": torch.ones(10), "v": torch.ones(10)}, 0.3)["w"].sum()) <= 6
    assert sum(int(mask.sum()) for mask in highest({"w": torch.ones(10), "v": torch.ones(10)}, 0.3).values()) == 6


def test_shuffling_keeps_the_density_of_each_parameter() -> None:
    masks = {"w": torch.arange(1000) < 700, "v": (torch.arange(100) < 10).reshape(10, 10)}
    found = shuffled(masks, np.random.default_rng(0))
    assert {name: int(mask.sum()) for name, mask in found.items()} == {"w": 700, "v": 10}
    assert found["v"].shape == (10, 10)
    assert 0.4 < float((found["w"] & masks["w"]).sum() / (found["w"] | masks["w"]).sum()) < 0.7  # 0.54 by chance


def test_snip_is_weight_times_gradient() -> None:
    """The gradient by w_i is (y - 3) v_i, so both weights of a unit score |y - 3| |v_i w_i|."""
    model = Chain([1.0, 2.0, 0.1], [1.0, 0.2, 9.0])
    assert kept(snip(model, quadratic, 1 / 3)) == {"w": [True, False, False], "v": [True, False, False]}
    assert model.w.grad is None


def test_grasp_is_minus_the_change_of_the_gradient() -> None:
    """Against H g by central differences of the gradient."""
    model = Chain([1.0, 2.0, 0.5], [0.7, -0.2, 0.9])
    named = dict(model.named_parameters())

    def gradient() -> torch.Tensor:
        return torch.cat([g.flatten() for g in torch.autograd.grad(quadratic(model), list(named.values()))])

    direction, weights = gradient(), torch.cat([p.detach().flatten() for p in named.values()])
    moved = []
    for sign in (1, -1):
        torch.nn.utils.vector_to_parameters(weights + sign * 1e-3 * direction, list(named.values()))
        moved.append(gradient())
    torch.nn.utils.vector_to_parameters(weights, list(named.values()))
    scores = weights * (moved[0] - moved[1]) / 2e-3
    expected = torch.zeros(6, dtype=torch.bool)
    expected[scores.topk(2).indices] = True
    assert torch.equal(torch.cat(list(grasp(model, quadratic, 1 / 3).values())), expected)


def test_synflow_follows_paths_and_leaves_the_weights() -> None:
    """Flow through unit i is |v_i w_i|; the signs, and a weight that leads nowhere, do not count."""
    model = Chain([1.0, -3.0, 8.0], [1.0, 1.0, 0.0])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert kept(synflow(model, lambda m: m(torch.tensor(1.0)), 1 / 3)) == {"w": [False, True, False], "v": [False, True, False]}
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
