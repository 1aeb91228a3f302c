"""What a person writes: each method gives a view of the same model under one more intervention.

Views nest. Heads are removed first; other instruments act on what is left, at one site in the order in which they were
written. Sources of values run by themselves: what is in force around them does not reach them.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from . import holding
from .view import Sites
from .view_edges import EdgeViews
from .view_heads import HeadViews
from .view_paths import PathViews

if TYPE_CHECKING:
    import torch
    from numpy.random import Generator

__all__ = ["Sites", "Views"]


class Views(HeadViews, EdgeViews, PathViews):
    """The interventions of a subject; `LM` is one. Here: while the model is used from outside."""

    def held(self) -> AbstractContextManager[Any]:
        """A context in which the model itself runs under this view's interventions, with gradients: training clamps.

            with lm.patched("L1.pattern", teacher).held() as model:
                model(input_ids=ids, labels=ids).loss.backward()

        Sources run in each pass, without gradient. Vectors given to `added` or `replaced` learn if they require it.
        """
        return holding.held(self)

    def generate(self, ids: Any, when: str = "every step", rng: Generator | None = None, **options: Any) -> torch.Tensor:
        """Sequences that transformers' `generate` gives under this view's interventions, ids [n, seq] first.

        Args:
            when: "every step", or "prompt": only in the pass over the prompt. Positions mean those of the prompt.
            rng: for sampling.
            options: of transformers' `generate`: max_new_tokens, num_beams, do_sample, ...
        """
        return holding.generate(self, self._batch(ids), when, rng, options)
