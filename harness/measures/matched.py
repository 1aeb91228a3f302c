"""Random sets of heads that match a given set layer by layer, for controls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
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

    Where a layer has too few other heads the rest come from the nearest layers, the lower one first at equal
    distance. Where no more than `sets` different sets exist all of them are returned. NotApplicable when there are
    not enough other heads.
    """
    chosen = set(targets)
    if not chosen or sets < 1:
        raise UsageError(f"matched random sets: {sets} asked, for {len(chosen)} heads; need at least one of each")
    barred = chosen | set(forbidden)
    outside = [head for head in barred if not (0 <= head[0] < lm.layers and 0 <= head[1] < lm.heads)]
    if outside:
        raise UsageError(f"head {outside[0]} is out of range: the subject has {lm.layers} layers of {lm.heads} heads")
    free = {layer: [h for h in range(lm.heads) if (layer, h) not in barred] for layer in range(lm.layers)}
    take = _places(Counter(layer for layer, _ in chosen), {layer: len(heads) for layer, heads in free.items()})
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


def _places(wanted: Counter[int], free: dict[int, int]) -> dict[int, int]:
    """How many heads to take from each layer."""
    if sum(free.values()) < (need := wanted.total()):
        raise NotApplicable(f"a matched random set needs {need} other heads; the subject has {sum(free.values())} left")
    take = Counter({layer: min(count, free[layer]) for layer, count in wanted.items()})
    for layer in sorted(wanted):
        missing = wanted[layer] - min(wanted[layer], free[layer])
        for near in sorted(free, key=lambda other: (abs(other - layer), other)):
            more = min(missing, free[near] - take[near])  # what a layer needs for its own targets is taken already
            take[near] += more
            missing -= more
    return {layer: count for layer, count in take.items() if count}
