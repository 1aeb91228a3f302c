"""Head scores of written-down attention: exact values, controls that cancel position, and the null."""

from __future__ import annotations

import numpy as np
import pytest
from claimbench.errors import UsageError
from claimbench.measures.gains import order_gain
from claimbench.measures.null import quantiles, wrong_keys
from claimbench.measures.prompts import repeats, reversed_copies
from claimbench.measures.scores import KINDS, HeadScores, head_scores, heads_above_null, top_heads_per_layer

from measure_fakes import (
    FakeLM,
    anti,
    blend,
    constructed,
    duplicate,
    induction,
    lag,
    previous,
    sink,
    story_model,
    uniform,
)

LENGTH = 12
LAYERS = ((induction, anti, duplicate, previous), (lag(LENGTH - 1), uniform, sink, blend(0.5, sink, induction)))


def scored(lengths: tuple[int, int], **options: object) -> HeadScores:
    lm = FakeLM(LAYERS)
    return head_scores(lm, repeats(lm, np.random.default_rng(0), n=16, lengths=lengths, **options))


@pytest.mark.parametrize("bos", [True, False])
def test_each_kind_finds_its_own_head(bos: bool) -> None:
    scores = scored((10, 20), bos=bos)
    for head, kind in enumerate(KINDS):
        for values in (scores.raw[kind], scores.sink_excluded[kind]):
            assert values[0, head] == pytest.approx(1.0)
            assert np.delete(values[0], head).max() < 0.05
        assert scores.excess[kind][0, head] > 0.9
    assert set(heads_above_null(scores)) == {(0, 0), (1, 3)}
    assert heads_above_null(scores, "duplicate") == [(0, 2)]
    assert heads_above_null(scores, "anti") == [(0, 1)]
    assert heads_above_null(scores, "previous") == [(0, 3)]


def test_content_heads_have_no_attention_left_in_the_broken_repeat() -> None:
    scores = scored((10, 20))
    for head, kind in enumerate(("induction", "anti", "duplicate")):
        assert scores.broken[kind][0, head] == 0.0
        assert scores.excess[kind][0, head] == pytest.approx(1.0)


def test_a_fixed_lag_passes_the_raw_score_and_cancels() -> None:
    fixed = scored((LENGTH, LENGTH))
    assert fixed.raw["induction"][1, 0] == pytest.approx(1.0)
    assert fixed.sink_excluded["induction"][1, 0] == pytest.approx(1.0)
    assert fixed.excess["induction"][1, 0] == pytest.approx(0.0)
    assert (1, 0) not in heads_above_null(fixed)
    assert 0.0 < scored((8, 16)).raw["induction"][1, 0] < 0.4


def test_uniform_attention_is_below_the_null() -> None:
    scores = scored((10, 20))
    assert scores.excess["induction"][1, 1] == pytest.approx(0.0, abs=1e-9)
    assert scores.sink_excluded["induction"][1, 1] <= scores.ceiling["induction"]


def test_sinks_are_left_out_and_the_rest_renormalised() -> None:
    scores = scored((10, 20))
    assert scores.raw["induction"][1, 3] == pytest.approx(0.5)
    assert scores.sink_excluded["induction"][1, 3] == pytest.approx(1.0)
    assert scores.sink_excluded["induction"][1, 2] == 0.0  # nothing but sink: no noise blown up to a score


def test_targets_among_the_first_positions_do_not_dilute_the_score() -> None:
    lm = FakeLM(LAYERS)
    scores = head_scores(lm, repeats(lm, np.random.default_rng(0), n=8, lengths=(8, 8), prefix=(0, 0)))
    assert scores.sink_excluded["induction"][0, 0] == pytest.approx(1.0)


def test_scores_do_not_depend_on_the_batches() -> None:
    found = []
    for batch in (1, 7, 100):
        lm = FakeLM(LAYERS, batch_size=batch)
        found.append(head_scores(lm, repeats(lm, np.random.default_rng(3), n=15, lengths=(8, 14))))
    for other in found[1:]:
        for kind in KINDS:
            for name in ("raw", "sink_excluded", "broken", "excess", "null"):
                np.testing.assert_allclose(getattr(found[0], name)[kind], getattr(other, name)[kind], atol=1e-12)


def test_reversed_copies_make_the_mirror_an_anti_head() -> None:
    lm = FakeLM(LAYERS)
    scores = head_scores(lm, reversed_copies(lm, np.random.default_rng(0), n=16, lengths=(10, 20)))
    assert scores.raw["anti"][0, 1] == pytest.approx(1.0)
    assert scores.raw["duplicate"][0, 2] == pytest.approx(1.0)
    assert scores.excess["anti"][0, 1] > 0.95


def test_natural_spans_use_the_aligned_occurrence() -> None:
    lm = FakeLM(((induction, previous),))
    lm.tokens.natural = lambda rng, n: rng.integers(1, 30, n)
    scores = head_scores(lm, repeats(lm, np.random.default_rng(0), n=16, source="natural", lengths=(10, 20)))
    assert 0.4 < scores.raw["induction"][0, 0] < 1.0  # repeated tokens inside the span draw it elsewhere


def test_wrong_keys_avoid_the_true_one_and_cover_the_rest() -> None:
    key, low, high = np.array([4, 9, 2]), np.array([4, 4, 4]), np.array([8, 10, 8])
    keys = wrong_keys(key, low, high, np.random.default_rng(0), 500)
    assert set(keys[0]) == {5, 6, 7} and set(keys[1]) == {4, 5, 6, 7, 8} and set(keys[2]) == {4, 5, 6, 7}


def test_the_family_wise_ceiling_is_at_least_every_single_null() -> None:
    draws = np.random.default_rng(0).random((199, 2, 3))
    each, largest = quantiles(draws)
    assert each.shape == (2, 3) and largest >= each.max()
    assert np.mean(draws.reshape(199, -1).max(1) > largest) <= 0.01


def test_strongest_comes_first_and_unknown_kinds_are_refused() -> None:
    lm = FakeLM(((blend(0.3, induction, uniform), induction, blend(0.7, induction, uniform)),))
    scores = head_scores(lm, repeats(lm, np.random.default_rng(0), n=16, lengths=(10, 20)))
    assert heads_above_null(scores) == [(0, 1), (0, 2), (0, 0)]
    assert heads_above_null(scores, excess=0.99) == [(0, 1)]
    with pytest.raises(UsageError, match="induction, anti, duplicate, previous"):
        heads_above_null(scores, "copying")


def test_the_top_share_takes_at_least_one_head_of_every_layer() -> None:
    scores = scored((LENGTH, LENGTH))
    assert [layer for layer, _ in top_heads_per_layer(scores)] == [0, 1]
    assert (0, 0) in top_heads_per_layer(scores) and (1, 0) in top_heads_per_layer(scores)  # raw: the fixed lag counts
    assert len(top_heads_per_layer(scores, share=0.3)) == 4


@pytest.mark.parametrize(
    "name, kind, fact",
    [
        ("constructed-induction-head", "induction", "induction_heads"),
        ("constructed-reverse-head", "duplicate", "duplicate_token_heads"),
        ("constructed-induction-head", "previous", "previous_token_heads"),
    ],
)
@pytest.mark.parametrize("seed", [0, 7])
def test_constructed_heads_are_found_and_no_others(name: str, kind: str, fact: str, seed: int) -> None:
    lm = constructed(name, seed)
    scores = head_scores(lm, repeats(lm, np.random.default_rng(seed), n=12))
    assert heads_above_null(scores, kind) == lm.facts[fact]
    assert heads_above_null(scores, "anti") == []


def test_the_constructed_mirror_head_is_positional() -> None:
    lm = constructed("constructed-mirror-head")
    size = lm.facts["repeat_length"]
    rows = repeats(lm, np.random.default_rng(0), n=16, lengths=(size, size), prefix=(0, 0))
    scores, head = head_scores(lm, rows), lm.facts["mirror_heads"][0]
    assert scores.raw["anti"][head] > 0.99 and scores.excess["anti"][head] < 0.01
    assert heads_above_null(scores, "anti") == []


@pytest.mark.parametrize("source", ["frequent", "natural"])
def test_a_real_story_model_has_previous_token_heads_and_no_induction_heads(source: str) -> None:
    lm = story_model()
    rows = repeats(lm, np.random.default_rng(0), n=8, source=source)
    scores = head_scores(lm, rows)
    assert heads_above_null(scores) == heads_above_null(scores, "duplicate") == heads_above_null(scores, "anti") == []
    assert len(heads_above_null(scores, "previous")) >= 3 and scores.raw["previous"].max() > 0.5
    assert order_gain(lm, rows) < 0.3
