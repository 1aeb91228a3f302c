"""Prefix length and prefix corruption on written-down heads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from claimbench.errors import InvalidMeasurement, NotApplicable, UsageError
from claimbench.measures.prefix import (
    attention_to_target,
    corrupted,
    long_prefix_examples,
    prefix_attention,
    prefix_probes,
)

from measure_fakes import FakeLM, FakeTokens, constructed, induction, lag, pointing, relative_to_match

HEADS = ((induction, pointing(relative_to_match(1, prefix=2)), pointing(relative_to_match(1, prefix=3)), lag(12)),)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_attention_rises_at_each_heads_own_prefix_length() -> None:
    found = prefix_attention(FakeLM(HEADS), rng(), prefixes=(1, 2, 3, 4), n=20)
    assert found.attention.shape == (4, 1, 4)
    np.testing.assert_allclose(found.excess[:, 0, 0], [1, 1, 1, 1])
    np.testing.assert_allclose(found.excess[:, 0, 1], [0, 1, 1, 1])
    np.testing.assert_allclose(found.excess[:, 0, 2], [0, 0, 1, 1])
    np.testing.assert_allclose(found.excess[:, 0, 3], 0, atol=1e-12)
    np.testing.assert_allclose(found.slope()[0], [0, 1, 1, 0], atol=1e-12)
    np.testing.assert_allclose(found.slope(1, 2)[0], [0, 1, 0, 0], atol=1e-12)
    with pytest.raises(UsageError, match="1 to 9"):
        found.slope(1, 9)


@pytest.mark.parametrize("bos", [True, False])
def test_probe_rows_share_all_but_the_prefix(bos: bool) -> None:
    examples, broken = prefix_probes(FakeLM(), rng(), tuple(range(1, 10)), 16, bos)
    for k, (rows, twins) in enumerate(zip(examples, broken, strict=True), start=1):
        np.testing.assert_array_equal(rows.query, examples[0].query)
        np.testing.assert_array_equal(rows.key, examples[0].key)
        assert rows.key.min() >= 4
        for ids, twin, query, key in zip(rows.ids, twins.ids, rows.query, rows.key, strict=True):
            np.testing.assert_array_equal(ids[query - k + 1 : query + 1], ids[key - k : key])
            assert ids[query - k] != ids[key - k - 1]
            assert len(set(ids[: query + 1])) == query + 1 - k  # all else is different
            assert len(set(twin[: query + 1])) == query + 1
            assert (twin != ids).sum() == k


def test_small_context_or_vocabulary_is_named() -> None:
    with pytest.raises(NotApplicable, match="length 9 need 22 positions and 30 different tokens; the subject has 20"):
        prefix_attention(FakeLM(HEADS, context=20), rng())
    with pytest.raises(NotApplicable, match="and 12 tokens"):
        prefix_attention(FakeLM(HEADS, tokens=FakeTokens(np.arange(1, 13))), rng())
    tight = FakeLM(HEADS, context=22, tokens=FakeTokens(np.arange(1, 31)))
    assert prefix_attention(tight, rng(), n=3).excess[-1, 0, 0] == 1.0


def planted(generator: np.random.Generator, n: int) -> np.ndarray:
    """Text in which a bigram comes back once, with another token before it."""
    text = generator.choice(np.arange(1, 190), n, replace=False)
    if generator.random() < 0.5:
        text[[n - 6, n - 5]] = text[[8, 9]]
    return text


def test_examples_are_found_in_text_and_lose_their_target_when_corrupted() -> None:
    lm = FakeLM(HEADS, tokens=FakeTokens(np.arange(1, 200), natural=planted))
    examples = long_prefix_examples(lm, rng(), 40, length=32)
    assert (examples.prefix == 2).all() and (examples.key == 11).all() and (examples.ids[:, 0] == 0).all()
    np.testing.assert_allclose(attention_to_target(lm, examples).mean(0)[0], [1, 1, 0, 0], atol=0.06)
    second_back = corrupted(lm, rng(1), examples)
    np.testing.assert_allclose(attention_to_target(lm, second_back).mean(0)[0, :2], [1, 0])
    unrelated = corrupted(lm, rng(1), examples, "unrelated")
    np.testing.assert_allclose(attention_to_target(lm, unrelated).mean(0)[0, :2], [1, 1])
    for changed, place in ((second_back, examples.query - 1), (unrelated, examples.query - 2)):
        rows, columns = np.nonzero(changed.ids != examples.ids)
        np.testing.assert_array_equal(rows, np.arange(40))
        np.testing.assert_array_equal(columns, place)


def test_unique_asks_that_the_last_token_came_once_before() -> None:
    def text(generator: np.random.Generator, n: int) -> np.ndarray:
        return np.array([9, 8, 7, 6, 1, 2, 3, 10, 11, 12, 5, 2, 4, 13, 14, 1, 2]) + 20 * generator.integers(0, 8)

    lm = FakeLM(HEADS, tokens=FakeTokens(np.arange(1, 200), natural=text, bos=None))
    with pytest.raises(NotApplicable, match="2 natural examples with a recurring prefix of 2 needed; 0 found in 100"):
        long_prefix_examples(lm, rng(), 2, length=17)
    examples = long_prefix_examples(lm, rng(), 2, length=17, unique=False)
    assert examples.query.tolist() == [16, 16] and examples.key.tolist() == [6, 6]


def test_misaligned_examples_are_noticed() -> None:
    examples, _ = prefix_probes(FakeLM(), rng(), (2,), 5)
    examples[0].check()
    for faulty in (replace(examples[0], key=examples[0].key + 1), replace(examples[0], prefix=examples[0].prefix + 1)):
        with pytest.raises(InvalidMeasurement, match="misaligned"):
            faulty.check()
    with pytest.raises(UsageError, match="found 1"):
        corrupted(FakeLM(), rng(), prefix_probes(FakeLM(), rng(), (1,), 5)[0][0])


def test_constructed_long_and_short_prefix_heads() -> None:
    lm = constructed("constructed-prefix-heads")
    (short,), (long,) = lm.facts["short_prefix_heads"], lm.facts["long_prefix_heads"]
    slope = prefix_attention(lm, rng(), prefixes=(1, 2, 3), n=32).slope()
    assert slope[long] > 0.9 and abs(slope[short]) < 0.05
    examples = long_prefix_examples(lm, rng(1), 40)
    plain = attention_to_target(lm, examples).mean(0)
    changed = attention_to_target(lm, corrupted(lm, rng(2), examples)).mean(0)
    control = attention_to_target(lm, corrupted(lm, rng(2), examples, "unrelated")).mean(0)
    assert plain[short] > 0.9 and plain[long] > 0.9
    assert changed[short] > 0.9 and changed[long] < 0.1
    assert control[short] > 0.9 and control[long] > 0.9
