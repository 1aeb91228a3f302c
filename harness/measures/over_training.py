"""When copying and answers from the context come about in one series of checkpoints: curves and half-rises, descriptive.

One series is one replicate of a training run, and fewer than six never decide; so this describes, and judges nothing. What is
compared is what ih-clamp 2.1 and abrupt-icl 4.4 and 4.5 compare over seeds: do heads rise when the gain does, and are answers taken
from the context before they are right?
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..effect import Value
from .curves import time_to
from .effects import log_time_ratio
from .gains import order_gain
from .prompts import repeats
from .scores import head_scores
from .tasks import association_prompts

if TYPE_CHECKING:
    from numpy.random import Generator

    from ..subjects.lm import LM

PAIRS = 6
NAMES = ("order gain", "induction", "context label", "right label")


def at_step(lm: LM, rng: Generator, rows: int = 16) -> dict[str, float]:
    """What one checkpoint does, by name as in `NAMES`.

    order gain: nats, on repeated frequent tokens. induction: excess induction attention of the strongest head, on sequences
    of its own. context label and right label: over 4 x rows prompts of six pairs of tokens and the first of one
    again, the share of answers (largest logit) that are a second of any pair, and that are the right one.
    """
    scores = head_scores(lm, repeats(lm, rng, n=rows), rng).excess["induction"]
    asked = association_prompts(lm, rng, n=4 * rows, pairs=PAIRS)
    begin = asked.ids.shape[1] - 1 - 2 * PAIRS
    labels = asked.ids[:, begin + 1 : -1 : 2]
    answer = lm.logits(asked.ids)[:, -1].argmax(-1).numpy()
    return {
        "order gain": order_gain(lm, repeats(lm, rng, n=rows)),
        "induction": float(scores.max()),
        "context label": float((labels == answer[:, None]).any(1).mean()),
        "right label": float((answer == asked.target).mean()),
    }


@dataclass(frozen=True)
class Formation:
    """Half-rises by name, in steps (an interval; open where a curve never gets there), and logs of their ratios."""

    half: Mapping[str, Value]
    heads_over_gain: Value
    context_over_right: Value
    heads_over_right: Value


def formation(steps: Sequence[int], records: Sequence[Mapping[str, float]]) -> Formation:
    """Read the half-rises off what `at_step` found at each step: halfway from a curve's first value to its largest.

    Log ratios near 0 mean together; context labels well below right labels means that answers come from the context before they
    are right, as in a slow phase of random labels. Where neither of two curves rises nothing is known, and both ends are open.
    """
    budget = float(max(steps))
    curves = {name: np.array([record[name] for record in records]) for name in NAMES}
    half = {name: _half_rise(steps, values) for name, values in curves.items()}

    def ratio(one: str, other: str) -> Value:
        return log_time_ratio(half[one], half[other], budget=budget)

    return Formation(
        half, ratio("induction", "order gain"), ratio("context label", "right label"), ratio("induction", "right label")
    )


def _half_rise(steps: Sequence[int], values: np.ndarray) -> Value:
    """A rise of less than a tenth (nat, share) is none, and its time is open."""
    top = float(values.max())
    level = (float(values[0]) + top) / 2 if top - values[0] >= 0.1 else np.inf
    return time_to(steps, values.tolist(), level)
