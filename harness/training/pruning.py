"""Which weights a pruned network keeps: by size, by chance, or by what a first look at its loss says. All as masks by name.

A mask is a bool tensor of its parameter's shape, True where the weight is kept; a set of masks is a mapping from parameter
names. `keep` is the share of all weights that is kept, counted over the whole network: layers may keep different shares.
`network.prune(name, mask)` applies them in a preparation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DeclarationError

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

Masks = dict[str, "torch.Tensor"]
#: SynFlow prunes in so many rounds: in one it empties whole layers (Tanaka et al. 2020).
ROUNDS = 100


def magnitude(model: Any, keep: float) -> Masks:
    """The largest weights by absolute value."""
    return highest({name: weight.detach().abs() for name, weight in model.named_parameters()}, keep)


def inverted(model: Any, keep: float) -> Masks:
    """The smallest weights by absolute value."""
    return highest({name: -weight.detach().abs() for name, weight in model.named_parameters()}, keep)


def shuffled(masks: Mapping[str, torch.Tensor], rng: np.random.Generator) -> Masks:
    """Masks that keep as many weights of each parameter as these do, at random places."""
    return {
        name: mask.flatten()[torch.from_numpy(rng.permutation(mask.numel()))].reshape(mask.shape) for name, mask in masks.items()
    }


def snip(model: Any, loss: Callable[[Any], Any], keep: float) -> Masks:
    """The weights whose removal changes the loss most, to first order: |weight x gradient| (Lee et al. 2019)."""
    named = dict(model.named_parameters())
    grads = torch.autograd.grad(loss(model), list(named.values()))
    return highest({name: (weight * grad).detach().abs() for (name, weight), grad in zip(named.items(), grads, strict=True)}, keep)


def grasp(model: Any, loss: Callable[[Any], Any], keep: float) -> Masks:
    """The weights whose removal would lower the norm of the gradient most: -weight x (Hessian gradient) (Wang et al. 2020).

    The change that removing w makes to half the squared gradient norm is -w (Hg), to first order; where it is most negative
    the weight carries the gradient and stays.
    """
    named = dict(model.named_parameters())
    weights = list(named.values())
    grads = torch.autograd.grad(loss(model), weights, create_graph=True)
    half = torch.stack([(grad * grad.detach()).sum() for grad in grads]).sum()
    curved = torch.autograd.grad(half, weights)
    scores = {name: (weight * product).detach() for (name, weight), product in zip(named.items(), curved, strict=True)}
    return highest(scores, keep)


def synflow(model: Any, output: Callable[[Any], Any], keep: float, rounds: int = ROUNDS) -> Masks:
    """The weights that most of the flow through the network of absolute weights passes (Tanaka et al. 2020); data-free.

    output: the model's summed outputs, a scalar; it is called with all weights replaced by their absolute values and those
    that are pruned by 0. The kept share falls geometrically over the rounds. The model is left as it was.
    """
    named = dict(model.named_parameters())
    before = {name: weight.detach().clone() for name, weight in named.items()}
    masks = {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in before.items()}
    try:
        for done in range(1, rounds + 1):
            with torch.no_grad():
                for name, weight in named.items():
                    weight.copy_(before[name].abs() * masks[name])
            flow = torch.autograd.grad(output(model), list(named.values()))
            scores = {n: (w * g).detach().double() for (n, w), g in zip(named.items(), flow, strict=True)}
            masks = highest(scores, keep ** (done / rounds))
    finally:
        with torch.no_grad():
            for name, weight in named.items():
                weight.copy_(before[name])
    return masks


def highest(scores: Mapping[str, torch.Tensor], keep: float) -> Masks:
    """The share `keep` of all entries with the highest scores, over all parameters together."""
    if not 0 < keep <= 1:
        raise DeclarationError(f"the share of weights that is kept must be above 0 and at most 1, found {keep:g}")
    flat = torch.cat([score.flatten() for score in scores.values()])
    chosen = torch.zeros_like(flat, dtype=torch.bool)
    chosen[flat.topk(max(1, round(keep * flat.numel()))).indices] = True
    parts = torch.split(chosen, [score.numel() for score in scores.values()])
    return {name: part.reshape(score.shape) for (name, score), part in zip(scores.items(), parts, strict=True)}
