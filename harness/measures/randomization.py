"""Randomization: how extreme an observation is among sets drawn at random, shown beside an effect."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..errors import EffectError

if TYPE_CHECKING:
    from numpy.random import Generator

#: With fewer random sets a p-value of 0.025 cannot be reached.
SETS = 39


def rank_p(
    observed: float,
    others: Sequence[float],
    *,
    complete: bool = False,
    extreme: Literal["large", "small", "either"] = "large",
) -> float:
    """p = (1 + number at least as extreme) / (1 + sets): never 0, and valid for any number of sets.

    Args:
        others: the same statistic of the random sets, the observed one not among them.
        complete: these are all the sets there are; otherwise at least 39 are needed.
        extreme: which way; "either" doubles the smaller of the two p-values.

    NaN counts as extreme, so that a broken set never helps. `EffectError` for too few sets or an observed NaN.
    """
    values = np.asarray(others, dtype=float)
    if math.isnan(observed):
        raise EffectError("a rank among random sets needs a number, found NaN")
    if len(values) < (1 if complete else SETS):
        need = (
            "at least one set" if complete else f"at least {SETS} sets, or complete=True where these are all there are"
        )
        raise EffectError(f"a rank among random sets needs {need}, found {len(values)}")
    larger = (1 + int((~(values < observed)).sum())) / (1 + len(values))
    smaller = (1 + int((~(values > observed)).sum())) / (1 + len(values))
    return {"large": larger, "small": smaller, "either": min(1.0, 2 * min(larger, smaller))}[extreme]


def rearrangements(labels: Sequence[Hashable], rng: Generator, sets: int) -> tuple[list[list[Hashable]], bool]:
    """Other orders of `labels` for a permutation null, and whether they are all there are.

    All different ones where no more than `sets` exist (equal labels are not told apart), else `sets` different ones at
    random. The given order is never among them.
    """
    number = math.factorial(len(labels))
    for count in Counter(labels).values():
        number //= math.factorial(count)
    if number - 1 <= sets:
        return [order for order in _orders(Counter(labels), len(labels)) if order != list(labels)], True
    found: dict[tuple[Hashable, ...], None] = {}
    while len(found) < sets:
        order = tuple(labels[int(i)] for i in rng.permutation(len(labels)))
        if order != tuple(labels):
            found[order] = None
    return [list(order) for order in found], False


def _orders(left: Counter[Hashable], n: int) -> list[list[Hashable]]:
    if n == 0:
        return [[]]
    return [[label, *rest] for label in left if left[label] for rest in _orders(left - Counter([label]), n - 1)]
