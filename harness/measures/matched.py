"""Random sets of heads that match a given set layer by layer, for controls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import combinations, islice, product
from math import comb, prod
from typing import TYPE_CHECKING

from ..errors import NotApplicable, UsageError

if TYPE_CHECKING:
    from numpy.random import Generator

    from ..subjects.lm import LM

Head = tuple[int, int]
HeadSet = tuple[Head, ...]


def matched_random_heads(
    lm: LM, targets: Iterable[Head], forbidden: Iterable[Head], rng: Generator, sets: int
) -> list[HeadSet]:
    """Up to `sets` different sets with as many heads in each layer as `targets`, none of them forbidden or a target.

    Where no more than `sets` different sets exist all of them are returned. NotApplicable where a layer has fewer other
    heads than targets: heads of another layer are no match, since an earlier one may be what the targets read from.
    """
    chosen = set(targets)
    if not chosen or sets < 1:
        raise UsageError(f"matched random sets: {sets} asked, for {len(chosen)} heads; need at least one of each")
    barred = chosen | set(forbidden)
    outside = [head for head in barred if not (0 <= head[0] < lm.layers and 0 <= head[1] < lm.heads)]
    if outside:
        raise UsageError(f"head {outside[0]} is out of range: the subject has {lm.layers} layers of {lm.heads} heads")
    free = {layer: [h for h in range(lm.heads) if (layer, h) not in barred] for layer in range(lm.layers)}
    take = Counter(layer for layer, _ in chosen)
    _refuse_too_few(take, free)
    layers = sorted(take)
    number = prod(comb(len(free[layer]), take[layer]) for layer in layers)

    def join(picks: Iterable[Iterable[int]]) -> HeadSet:
        return tuple((layer, h) for layer, heads in zip(layers, picks, strict=True) for h in heads)

    if number <= 4 * sets:  # drawing would repeat itself often: list them all, and choose
        every = [join(picks) for picks in product(*(combinations(free[layer], take[layer]) for layer in layers))]
        order = rng.permutation(number) if number > sets else range(number)
        return [every[int(i)] for i in islice(order, sets)]
    found: dict[HeadSet, None] = {}
    while len(found) < sets:
        picks = (sorted(int(h) for h in rng.choice(free[layer], take[layer], replace=False)) for layer in layers)
        found[join(picks)] = None
    return list(found)


def permuted_heads(lm: LM, targets: Iterable[Head], rng: Generator, forbidden: Iterable[Head] = ()) -> list[Head]:
    """Heads as scores permuted within each layer would name them, never a true one: the step of a negative control."""
    return list(matched_random_heads(lm, targets, forbidden, rng, sets=1)[0])


def _refuse_too_few(wanted: Mapping[int, int], free: Mapping[int, list[int]]) -> None:
    for layer, need in sorted(wanted.items()):
        if len(free[layer]) < need:
            raise NotApplicable(
                f"a matched random set needs {need} other heads of layer {layer}, which has {len(free[layer])} left"
            )
