"""Tokens for probes: frequent, ordinary, and natural spans, from a tokenizer and the shipped sample."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from claimbench.errors import LoadError, NotApplicable
from claimbench.subjects.shipped import shipped_models, shipped_root
from claimbench.subjects.tokens import LEAST_COUNT, Tokens, sample_text, tokens_of


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(shipped_models()["stories260K"], local_files_only=True)


def test_the_sample_ships_with_its_origin() -> None:
    assert 200_000 < len(sample_text()) < 300_000
    note = (shipped_root() / "fixtures" / "text" / "ORIGIN.md").read_text()
    for path in (shipped_root() / "fixtures" / "text").glob("*.txt"):
        assert path.name in note
    assert "CDLA-Sharing" in note
    assert "MIT" in (shipped_models()["stories260K"] / "ORIGIN.md").read_text()


def test_frequent_tokens_are_ordinary_and_occur_in_text(tokenizer: Any) -> None:
    tokens = tokens_of(tokenizer, 512)
    counts = Counter(tokenizer(sample_text(), add_special_tokens=False)["input_ids"])
    assert len(tokens.frequent) > 150
    assert len(set(tokens.frequent.tolist())) == len(tokens.frequent)
    assert tokens.frequent.dtype == np.int64
    pieces = tokenizer.convert_ids_to_tokens(tokens.frequent.tolist())
    assert all(counts[token] >= LEAST_COUNT for token in tokens.frequent.tolist())
    assert not set(tokens.frequent.tolist()) & set(tokenizer.all_special_ids)
    assert not [piece for piece in pieces if piece.startswith("<0x")], (
        "byte fallback occurs in the text and is left out"
    )
    assert counts[tokenizer.convert_tokens_to_ids("<0x0A>")] >= LEAST_COUNT

    def comes_back(span: list[int]) -> bool:
        return tokenizer(tokenizer.decode(span), add_special_tokens=False)["input_ids"] == span

    alone = [token for token, _ in counts.most_common() if comes_back([token])]
    for token in tokens.frequent.tolist():
        assert token in alone or any(comes_back([first, token]) for first in alone[:40])
    assert tokens.bos == tokenizer.bos_token_id
    assert tokens.separator is None


def test_natural_spans_come_from_the_text(tokenizer: Any) -> None:
    tokens = tokens_of(tokenizer, 512)
    assert tokens.natural is not None
    span = tokens.natural(np.random.default_rng(0), 40)
    assert span.shape == (40,)
    assert np.array_equal(span, tokens.natural(np.random.default_rng(0), 40))
    assert not np.array_equal(span, tokens.natural(np.random.default_rng(1), 40))
    text = "".join(sample_text().split())
    assert "".join(tokenizer.decode(span[2:-2]).split()) in text
    with pytest.raises(NotApplicable, match="natural spans of 1000000000 tokens"):
        tokens.natural(np.random.default_rng(0), 10**9)


def test_identity_of_tokens_tells_tokenizers_apart(tokenizer: Any) -> None:
    assert tokens_of(tokenizer, 512).identity == tokens_of(tokenizer, 512).identity != ""
    assert tokens_of(_ByWord(500), 512).identity != tokens_of(tokenizer, 512).identity


class _ByWord:
    """A tokenizer of whole words that has no BOS; the id 1 is special and 2 does not come back."""

    bos_token_id, eos_token_id = None, 7
    all_special_ids = (1,)

    def __init__(self, size: int, foreign: bool = False) -> None:
        self.size = size
        self.words = sorted(set(sample_text().split()))
        self.ids = {word: index % size for index, word in enumerate(self.words)}
        if foreign:
            self.ids = dict.fromkeys(self.words, 3)

    def __call__(self, text: str, **_: object) -> dict[str, list[int]]:
        return {"input_ids": [self.ids[word] for word in text.split()]}

    def decode(self, ids: list[int]) -> str:
        return " ".join("the" if token == 2 else self.words[token] for token in ids)

    def convert_ids_to_tokens(self, token: int) -> str:
        return self.words[token]


def test_eos_begins_where_there_is_no_bos_and_unfit_ids_are_left_out() -> None:
    tokens = tokens_of(_ByWord(200), 512)
    assert tokens.bos == 7
    assert not {1, 2} & set(tokens.frequent.tolist())
    assert {3, 4} <= set(tokens.frequent.tolist())


def test_a_tokenizer_that_does_not_fit_is_named() -> None:
    with pytest.raises(LoadError, match="yields id 199, the model has embeddings for 0 to 99"):
        tokens_of(_ByWord(200), 100)
    with pytest.raises(LoadError, match=r"only 1 tokens of the tokenizer are ordinary .* 16 are needed"):
        tokens_of(_ByWord(200, foreign=True), 512)


def test_tokens_hold_int64() -> None:
    assert Tokens(np.arange(3, dtype=np.int32)).frequent.dtype == np.int64
