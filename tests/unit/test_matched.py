"""Matched random head sets."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from claimbench.errors import NotApplicable, UsageError
from claimbench.measures.matched import matched_random_heads, permuted_heads

from measure_fakes import FakeLM


def draw(shape: tuple[int, int], targets: list, forbidden: list, sets: int, seed: int = 0) -> list:
    return matched_random_heads(FakeLM(shape=shape), targets, forbidden, np.random.default_rng(seed), sets)


def test_sets_match_layer_by_layer_and_differ() -> None:
    targets, forbidden = [(1, 0), (1, 1), (3, 2)], [(3, 3)]
    sets = draw((4, 8), targets, forbidden, 40)
    assert len(sets) == len(set(sets)) == 40
    for heads in sets:
        assert Counter(layer for layer, _ in heads) == Counter({1: 2, 3: 1})
        assert len(set(heads)) == 3 and not set(heads) & {*targets, *forbidden}


def test_every_head_is_drawn_about_equally_often() -> None:
    counts = Counter(
        head for seed in range(300) for heads in draw((1, 8), [(0, 0), (0, 1)], [], 1, seed) for head in heads
    )
    assert set(counts) == {(0, h) for h in range(2, 8)}
    assert min(counts.values()) > 60 and max(counts.values()) < 140  # expected 100


def test_few_sets_are_enumerated() -> None:
    sets = draw((2, 4), [(1, 0)], [], 100)
    assert sorted(sets) == [((1, 1),), ((1, 2),), ((1, 3),)]
    assert len(set(draw((2, 4), [(1, 0)], [], 2))) == 2


def test_heads_that_fill_their_layer_have_no_match() -> None:
    """A head of the layer before may be what they read from: removing it would be no control."""
    with pytest.raises(NotApplicable, match="needs 2 other heads of layer 2, which has 0 left"):
        draw((4, 2), [(2, 0), (2, 1)], [], 5)
    with pytest.raises(NotApplicable, match="needs 1 other heads of layer 1, which has 0 left"):
        draw((4, 2), [(1, 0)], [(1, 1)], 9)


def test_bad_heads_are_named() -> None:
    with pytest.raises(UsageError, match="2 layers of 4 heads"):
        draw((2, 4), [(2, 0)], [], 5)
    with pytest.raises(UsageError, match="for 0 heads"):
        draw((2, 4), [], [], 5)


def test_permuted_heads_exclude_the_true_ones() -> None:
    true = [(1, 0), (1, 3)]
    for seed in range(30):
        heads = permuted_heads(FakeLM(shape=(2, 6)), true, np.random.default_rng(seed))
        assert len(heads) == 2 and not set(heads) & set(true) and {layer for layer, _ in heads} == {1}
