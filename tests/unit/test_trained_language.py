"""Data and tokenizer of the language recipes: spans come back as they are said to, and characters mean the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from claimbench.running.collecting import load_module

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture(scope="module")
def recipes() -> Any:
    return load_module(FIXTURES / "organisms" / "trained_language.py")


@pytest.mark.parametrize("stream", ["language", "of_characters"])
@pytest.mark.parametrize("shuffled", [False, True])
def test_uniform_rows_hold_a_span_and_its_copy(recipes: Any, stream: str, shuffled: bool) -> None:
    batch = getattr(recipes, stream)(np.random.default_rng(0), 40, width=112, text=0.0, lengths=(8, 50), shuffled=shuffled)
    (mark,) = [name for name in batch.marks if "copy" in name]
    same = []
    for ids, copied in zip(batch.ids, batch.marks[mark], strict=True):
        begin, end = np.flatnonzero(copied)[[0, -1]]
        length = end - begin + 2
        span, copy = ids[begin - 1 - length : begin - 1], ids[begin - 1 : end + 1]
        assert sorted(span) == sorted(copy) and ids[0] == recipes.BOS
        same.append(np.array_equal(span, copy))
    assert not any(same) if shuffled else all(same)
    assert np.array_equal(batch.targets, batch.marks[mark]), "only the second copy is predicted"


def test_rows_of_text_are_text_and_some_hold_a_span_twice(recipes: Any) -> None:
    batch = recipes.of_characters(np.random.default_rng(1), 60, text=1.0, recurring=0.5)
    twice = batch.marks["copy"].any(1)
    assert 15 < twice.sum() < 45 and not batch.marks["text"][twice].any()
    text = "".join(recipes.ALPHABET[i - 1] for i in recipes.characters())
    for ids in batch.ids[~twice]:
        assert "".join(recipes.ALPHABET[i - 1] for i in ids[1:]) in text


def test_the_tokenizer_knows_the_characters_by_the_ids_of_the_recipe(recipes: Any) -> None:
    language = load_module(FIXTURES / "language.py")
    tokenizer = language.of_characters()
    said = "Reader, I married him.\n"
    ids = tokenizer.encode(said).ids
    assert "".join(recipes.ALPHABET[i - 1] for i in ids) == said == tokenizer.decode(ids)
    assert tokenizer.get_vocab_size() == recipes.DEMONSTRATION.model["vocab_size"]
