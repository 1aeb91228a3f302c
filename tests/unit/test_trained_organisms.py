"""The trained organisms do what their families promise, on their recorded weights and when rebuilt."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from claimbench.measures.gains import order_gain, reverse_copy_loss, swap_gain
from claimbench.measures.labels import (
    episodes,
    label_accuracy,
    label_strength,
    solo_accuracies,
    without_one_accuracies,
)
from claimbench.measures.prefix import prefix_attention
from claimbench.measures.prompts import repeats, reversed_copies
from claimbench.measures.scores import head_scores, heads_above_null
from claimbench.subjects.family import Family, families, load_organisms
from claimbench.subjects.lm import LM
from claimbench.subjects.shipped import shipped_root
from claimbench.training import check, disagreements, load, recorded_curve, train

NAMES = [
    "copying", "documents-longer", "label-task", "label-task-one-head", "no-repetition", "order-1", "order-2", "reverse-copying",
]  # fmt: skip
CHEAP = {"label-task"}


def organisms(name: str) -> Family:
    load_organisms([shipped_root() / "fixtures" / "organisms"])
    return families()[name]


def lm(name: str, seed: int) -> LM:
    return organisms(name).subject(seed)


@pytest.mark.parametrize("name", NAMES)
def test_eleven_seeds_are_recorded_by_the_present_recipe(name: str) -> None:
    found = organisms(name)
    assert found.recipe is not None and found.seeds == 11
    for seed in range(11):
        path = found.weights(seed)
        assert path is not None and path.stat().st_size < 400_000
        curve = recorded_curve(path)
        assert (curve["digest"], curve["seed"]) == (found.recipe.digest(), seed)
        assert curve["seconds"] < 90


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [0, 7])
def test_recorded_weights_behave_as_recorded(name: str, seed: int) -> None:
    found = organisms(name)
    path = found.weights(seed)
    assert path is not None and found.recipe is not None
    now = check(load(found.recipe, path), found.recipe, seed)
    assert disagreements(now, recorded_curve(path)["check"], accuracy=0.01, nats=0.02) == []


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in CHEAP else pytest.mark.slow) for name in NAMES]
)
def test_a_rebuilt_seed_behaves_like_the_recorded_one(name: str) -> None:
    found = organisms(name)
    path = found.weights(0)
    assert path is not None and found.recipe is not None
    rebuilt = train(found.recipe, 0)
    assert disagreements(check(rebuilt.model, found.recipe, 0), recorded_curve(path)["check"]) == []


@pytest.mark.parametrize("seed", [0, 5])
@pytest.mark.parametrize("source", ["frequent", "natural"])
@pytest.mark.parametrize("bos", [True, False])
def test_copying_copies_with_few_heads(seed: int, source: str, bos: bool) -> None:
    net, rng = lm("copying", seed), np.random.default_rng(seed)
    prompts = repeats(net, rng, n=24, lengths=(20, 50), source=source, bos=bos)
    heads = heads_above_null(head_scores(net, prompts))
    assert order_gain(net, prompts) > 2.0 and swap_gain(net, prompts) > 2.0
    assert 1 <= len(heads) <= 4
    assert {layer for layer, _ in heads} == {1}


def test_copying_needs_its_heads() -> None:
    net, rng = lm("copying", 1), np.random.default_rng(1)
    heads = heads_above_null(head_scores(net, repeats(net, rng, n=24)))
    prompts = repeats(net, rng, n=24)
    left = order_gain(net.without(heads, mode="resample", rng=rng), prompts) / order_gain(net, prompts)
    others = [(1, h) for h in range(net.heads) if (1, h) not in heads][: len(heads)]
    kept = order_gain(net.without(others, mode="resample", rng=rng), prompts) / order_gain(net, prompts)
    assert left < 0.3 and kept > 0.8


@pytest.mark.parametrize("seed", [0, 5])
@pytest.mark.parametrize("source", ["frequent", "natural"])
def test_no_repetition_has_no_induction_head(seed: int, source: str) -> None:
    net = lm("no-repetition", seed)
    prompts = repeats(net, np.random.default_rng(seed), n=24, source=source)
    assert abs(order_gain(net, prompts)) < 0.1
    assert heads_above_null(head_scores(net, prompts)) == []


@pytest.mark.parametrize("seed", [0, 5])
def test_reverse_copying_matches_tokens_and_not_the_place_before(seed: int) -> None:
    net = lm("reverse-copying", seed)
    prompts = reversed_copies(net, np.random.default_rng(seed), n=24)
    scores = head_scores(net, prompts)
    assert prompts.separator_is == "separator"
    assert reverse_copy_loss(net, prompts) < 0.3
    assert scores.raw["duplicate"].max() > 0.5 and scores.raw["anti"].max() < 0.1


@pytest.mark.parametrize("seed", [0, 5])
def test_label_task_is_solved_by_many_heads(seed: int) -> None:
    net, rng = lm("label-task", seed), np.random.default_rng(seed)
    shown = episodes(net, rng, 512, "train")
    assert label_accuracy(net, shown) > 0.98
    assert label_accuracy(net, episodes(net, rng, 512, "held_out")) > 0.95
    assert (label_strength(net, shown)[1] > 0.3).sum() >= 3
    assert without_one_accuracies(net, shown).min() > 0.95


@pytest.mark.parametrize("seed", [0, 5])
def test_label_task_with_one_head_needs_it(seed: int) -> None:
    net, rng = lm("label-task-one-head", seed), np.random.default_rng(seed)
    (layer, head), shown = net.facts["live_heads"][0], episodes(net, rng, 512, "train")
    assert label_accuracy(net, shown) > 0.98
    assert label_accuracy(net, episodes(net, rng, 512, "held_out")) > 0.95
    alone, without = solo_accuracies(net, shown), without_one_accuracies(net, shown)
    assert layer == 1 and alone[head] > 0.98 and without[head] < 0.6
    assert np.delete(without, head).min() > 0.98 and np.delete(alone, head).max() < 0.6


@pytest.mark.parametrize("seed", [0, 5])
def test_order_two_has_heads_that_need_two_tokens_and_heads_that_need_one(seed: int) -> None:
    found = prefix_attention(lm("order-2", seed), np.random.default_rng(seed), prefixes=(1, 2, 3), n=64)
    rise, first = found.slope(1, 3)[1], found.excess[0][1]
    assert (rise > 0.3).sum() >= 2
    assert ((first > 0.4) & (rise < 0.15)).sum() >= 1


@pytest.mark.parametrize("seed", [0, 5])
def test_order_one_has_no_head_that_needs_two_tokens(seed: int) -> None:
    found = prefix_attention(lm("order-1", seed), np.random.default_rng(seed), prefixes=(1, 2, 3), n=64)
    assert found.slope(1, 3)[1].max() < 0.15
    assert found.excess[0][1].max() > 0.4


@pytest.mark.parametrize("name", NAMES)
def test_probe_tokens_are_ordinary_and_natural_spans_have_their_length(name: str) -> None:
    net = lm(name, 0)
    marks = {net.tokens.bos, net.tokens.separator} - {None}
    assert not marks & set(net.tokens.frequent.tolist())
    natural: Callable[[np.random.Generator, int], np.ndarray] | None = net.tokens.natural  # type: ignore[type-arg]
    assert natural is not None
    for length in (1, 7, 50):
        span = natural(np.random.default_rng(0), length)
        assert span.shape == (length,) and span.dtype == np.int64 and span.min() >= 0 and span.max() < net.vocab


def test_a_family_of_one_seed_differs_from_the_next() -> None:
    assert len({organisms("copying").digest(seed) for seed in range(11)}) == 11
