"""Attention to examples and labels in prompts of pairs, on patterns that are written down."""

from __future__ import annotations

import numpy as np
import pytest
from claimbench.errors import NotApplicable, UsageError
from claimbench.measures.pair_attention import centre_of_depth, pair_attention
from claimbench.measures.tasks import Prompts, association_prompts

from measure_fakes import FakeLM, FakeTokens, constructed, pointing, uniform

WORDS = np.arange(1, 100)


previous, to_first = pointing(lambda row, query: query - 1), pointing(lambda row, query: 0)


def to_second_label(row: np.ndarray) -> np.ndarray:
    """The last token attends to the label of the second pair, the others to the first token."""
    pattern = to_first(row)
    pattern[-1] = np.eye(len(row))[4 - len(row) % 2]
    return pattern


def lm(*layers: list, bos: int | None = 0) -> FakeLM:
    return FakeLM(patterns=layers, tokens=FakeTokens(WORDS, bos=bos))


@pytest.mark.parametrize("bos", [0, None])
def test_heads_are_averaged_and_layers_kept_apart(bos: int | None) -> None:
    subject = lm([previous, to_first], [to_second_label, to_second_label], bos=bos)
    found = pair_attention(subject, association_prompts(subject, np.random.default_rng(0), n=7, pairs=5))
    assert found.chunk[0] == pytest.approx(0.5 if bos == 0 else 0.6)  # without BOS the first item is the first token
    assert found.label == pytest.approx([0.0, 1.0]) and found.label_elsewhere == pytest.approx([0.0, 0.0])
    assert found.chunk_elsewhere[0] == pytest.approx(0.0 if bos == 0 else 0.5 * np.mean([1, 1 / 2, 1 / 3, 1 / 4]))
    assert found.depths[1] == 1.0


def test_the_label_beside_the_query_is_left_out() -> None:
    subject = lm([previous], [previous])
    found = pair_attention(subject, association_prompts(subject, np.random.default_rng(0), n=3))
    assert found.label == pytest.approx([0.0, 0.0]) and found.chunk == pytest.approx([1.0, 1.0])


def test_uniform_attention_has_no_excess() -> None:
    subject = lm([uniform], [uniform])
    found = pair_attention(subject, association_prompts(subject, np.random.default_rng(0), n=3))
    assert found.label == pytest.approx(found.label_elsewhere)
    assert found.chunk[0] - found.chunk_elsewhere[0] < 0.15


def test_a_hand_written_induction_head_reads_items_first_and_labels_after() -> None:
    subject = constructed("constructed-induction-head")
    chunk, label = pair_attention(subject, association_prompts(subject, np.random.default_rng(0), n=32)).depths
    assert chunk < 0.2 < 0.7 < label


def test_centre_of_depth_weighs_what_is_above_zero() -> None:
    assert centre_of_depth(np.array([1.0, 0.0, 3.0])) == pytest.approx(0.75)
    assert centre_of_depth(np.array([-5.0, 1.0, -2.0])) == 0.5
    for nothing in (np.array([1.0]), np.array([-1.0, 0.0])):
        with pytest.raises(NotApplicable, match="two layers and some excess"):
            centre_of_depth(nothing)


def test_unequal_or_single_pairs_are_refused() -> None:
    subject = lm([previous], [previous])
    one = Prompts(np.ones((2, 4), dtype=np.int64), np.ones((2, 4), dtype=np.int64), np.ones(2), np.ones(2))
    with pytest.raises(UsageError, match="two of them"):
        pair_attention(subject, one)
    one.mask[0, -1] = 0
    with pytest.raises(UsageError, match="equal lengths"):
        pair_attention(subject, one)
