"""Prompts and scores for two models that are compared with each other, each asked in its own tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .prompts import Repeats, repeats
from .scores import HeadScores, head_scores

if TYPE_CHECKING:
    from numpy.random import Generator

    from ..subjects.lm import LM

LARGE = 100_000_000  # parameters from which repeats are 100 to 200 tokens long
SHORT = 64  # tokens of context below which they are 8 to 12 long
ROWS = 8


def suited_repeats(lm: LM, rng: Generator, n: int = ROWS) -> Repeats:
    """`n` rows with a repeated span whose length suits the size and the context of the model."""
    lengths = (100, 200) if lm.parameters >= LARGE else (8, 12) if lm.context < SHORT else (20, 50)
    return repeats(lm, rng, n=n, lengths=lengths)


def suited_scores(lm: LM, rng: Generator, n: int = ROWS) -> HeadScores:
    """Scores of every head on such rows."""
    return head_scores(lm, suited_repeats(lm, rng, n))
