"""Low-rank filters of the last token's state, trained on prompts without demonstrations (arXiv 2509.21012).

A filter is h -> decode encode h without bias, at the end of one layer, on the last token alone; the sequence is then cut to that
token, so that later layers read nothing but what the filter lets through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .labelled import Asked

if TYPE_CHECKING:
    import torch
    from numpy.random import Generator
    from numpy.typing import NDArray

    from ..subjects.lm import LM

    Floats = NDArray[np.float64]
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

ITERATIONS = 30  # of L-BFGS, over all prompts at once
PENALTY = 1e-4  # on squared weights, so that directions nothing is learned about stay faint
SMALL = 0.3  # of the usual initial size, for the same reason


@dataclass(frozen=True)
class Filter:
    """h -> matrix h + added. matrix: float64 [width, width] of low rank; added: [width]."""

    matrix: Floats
    added: Floats

    def __call__(self, states: Floats) -> Floats:
        """States [n, width] as the filter leaves them."""
        return np.asarray(states @ self.matrix.T + self.added)

    @property
    def reads(self) -> Floats:
        """Orthonormal directions that the filter reads, [rank, width]."""
        size, directions = np.linalg.svd(self.matrix)[1:]
        return np.asarray(directions[size > 1e-4 * size[0]])


def last_states(lm: LM, asked: Asked, layer: int) -> Floats:
    """The residual stream behind a layer at the last token of each prompt, [n, width]; of a subject or a view."""
    (found,) = lm.activations(asked.given, f"L{layer}.post@-1").values()
    return np.asarray(found[:, 0].double().numpy())


def cut_accuracy(lm: LM, layer: int, states: Floats, answer: Any) -> float:
    """Share of right answers where the last token alone goes on behind a layer, with these states; over the whole vocabulary."""
    view = lm.replaced(f"L{layer}.post", _as_values(states))
    logits = view.logits(np.full((len(states), 1), lm.some_token))
    return float((logits[:, 0].argmax(-1).numpy() == np.asarray(answer)).mean())


def train_filters(
    lm: LM, layer: int, sets: Sequence[tuple[Floats, Any]], rank: int, rng: Generator, iterations: int = ITERATIONS
) -> list[Filter]:
    """One filter for each (states [n, width], answers [n]), trained side by side by cross-entropy of the answers.

    The model is frozen. All sets must have the same number of rows.
    """
    width = sets[0][0].shape[1]
    drawn = SMALL * rng.normal(size=(2, len(sets), rank, width)) / np.sqrt(width)
    encode, decode = (torch.tensor(part, dtype=torch.float32, requires_grad=True) for part in drawn)
    norm = torch.tensor([[[np.sqrt(np.square(states).mean())]] for states, _ in sets], dtype=torch.float32)

    def through(states: torch.Tensor) -> torch.Tensor:
        return torch.einsum("anr,ard->and", torch.einsum("and,ard->anr", states / norm, encode), decode) * norm

    _fit(lm, layer, sets, [encode, decode], through, iterations)
    matrices = torch.einsum("ard,are->ade", decode.detach(), encode.detach()).double().numpy()
    return [Filter(matrix, np.zeros(width)) for matrix in matrices]


def train_vectors(lm: LM, layer: int, sets: Sequence[tuple[Floats, Any]], iterations: int = ITERATIONS) -> list[Filter]:
    """The rival that adds instead of removing: one constant vector for each set, trained in the same way."""
    width = sets[0][0].shape[1]
    size = [float(np.sqrt(np.square(states).mean())) for states, _ in sets]
    scale = torch.tensor(np.array(size)[:, None, None], dtype=torch.float32)
    vector = torch.zeros(len(sets), 1, width, requires_grad=True)
    _fit(lm, layer, sets, [vector], lambda states: states + scale * vector, iterations)
    added = (scale * vector).detach().double().numpy()[:, 0]
    return [Filter(np.eye(width), each) for each in added]


def _fit(lm: LM, layer: int, sets: Any, weights: Any, through: Any, iterations: int) -> None:
    """Train `weights` so that the model answers from what `through` makes of states; the model is run on one token a row.

    The model's part of the gradient is taken at the values that are held, and handed on to the weights.
    """
    states = torch.tensor(np.stack([each for each, _ in sets]), dtype=torch.float32)
    answers = torch.tensor(np.stack([np.asarray(answer) for _, answer in sets])).reshape(-1).to(lm.device)
    held = torch.zeros(len(answers), 1, states.shape[-1], dtype=lm.dtype, device=lm.device, requires_grad=True)
    with torch.no_grad():
        held += through(states).reshape(held.shape).to(held)
    ids = torch.full((len(held), 1), lm.some_token, device=lm.device)
    optimiser = torch.optim.LBFGS(weights, max_iter=iterations, history_size=10, line_search_fn="strong_wolfe")
    with lm.replaced(f"L{layer}.post", held).held() as model:

        def closure() -> torch.Tensor:
            passed = through(states).reshape(held.shape)
            with torch.no_grad():
                held.copy_(passed)
            logits = model(input_ids=ids).logits[:, 0].float()
            loss = torch.nn.functional.cross_entropy(logits, answers) * len(sets)
            (gradient,) = torch.autograd.grad(loss, held)
            optimiser.zero_grad()
            torch.autograd.backward(passed, gradient.to(passed))
            penalty = PENALTY * torch.stack([weight.square().sum() for weight in weights]).sum()
            torch.autograd.backward(penalty)
            whole: torch.Tensor = (loss + penalty).detach()
            return whole

        step: Any = optimiser.step
        step(closure)


def random_filter(like: Filter, rank: int, rng: Generator) -> Filter:
    """A filter of random directions, of the same rank and size (Frobenius norm)."""
    width = len(like.matrix)
    matrix = rng.normal(size=(width, rank)) @ rng.normal(size=(rank, width))
    return Filter(matrix * np.linalg.norm(like.matrix) / np.linalg.norm(matrix), np.zeros(width))


def principal_filter(states: Floats, rank: int) -> Filter:
    """The projection onto the directions of largest variance, which knows of no task."""
    directions = np.linalg.svd(states - states.mean(0), full_matrices=False)[2][:rank]
    return Filter(directions.T @ directions, np.zeros(states.shape[1]))


def flux(states: Floats, through: Filter) -> float:
    """Covariance flux: the trace of the covariance of what a filter lets through, over that of the states."""
    return float(np.var(states @ through.matrix.T, axis=0).sum() / np.var(states, axis=0).sum())


def eccentricity(states: Floats) -> float:
    """Share of the variance that lies along the first principal direction."""
    spread = np.linalg.svd(states - states.mean(0), compute_uv=False) ** 2
    return float(spread[0] / spread.sum())


def probe_accuracy(fit: tuple[Floats, Any], test: tuple[Floats, Any], penalty: float = 1e-3) -> float:
    """Accuracy of a linear probe of the label (ridge regression onto one-hot codes), fitted on one set, tested on another."""
    states, answers = fit
    centre, size = states.mean(0), np.sqrt(np.var(states, axis=0).sum())
    labels, code = np.unique(answers, return_inverse=True)
    x = (states - centre) / size
    gram = x.T @ x + penalty * len(x) / len(centre) * np.eye(len(centre))
    weights = np.linalg.solve(gram, x.T @ (np.eye(len(labels))[code] - 1 / len(labels)))
    guess = labels[((test[0] - centre) / size @ weights).argmax(1)]
    return float((guess == np.asarray(test[1])).mean())


def _as_values(states: Floats) -> Any:
    return torch.tensor(states[:, None], dtype=torch.float32)
