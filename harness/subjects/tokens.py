"""Tokens that probes may use: ids a model has really seen, and natural text in its own vocabulary."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import LoadError, NotApplicable
from .shipped import shipped_root

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Ids = NDArray[np.int64]

#: A token counts as frequent when it occurs this often in the shipped sample, and is among the most frequent.
LEAST_COUNT = 5
MOST_FREQUENT = 2_000
FEWEST = 16
#: A piece that continues a word must come back behind one of so many of the most frequent pieces that come back alone.
ANCHORS = 8


@dataclass(frozen=True)
class Tokens:
    """What probes may draw from.

    frequent: ids usable as random tokens, int64. natural: (rng, length) -> a natural-like span of that length, or None
    where the subject has no source of text. bos: the id that begins a sequence, None without one. separator: the
    subject's own, if any. identity: digest of all these, where they are not given by a family.
    """

    frequent: Ids
    natural: Callable[[Generator, int], Ids] | None = None
    bos: int | None = None
    separator: int | None = None
    identity: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "frequent", np.asarray(self.frequent, dtype=np.int64))


@lru_cache(maxsize=1)
def sample_text() -> str:
    """The shipped sample of English text from which frequent tokens and natural spans are taken."""
    folder = shipped_root() / "fixtures" / "text"
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.txt")))


def tokens_of(tokenizer: Any, vocab: int) -> Tokens:
    """The usable tokens of a tokenizer.

    Frequent are those that round-trip (alone, or for pieces that continue a word behind another), are not
    special, no byte fallback, below `vocab`, and among the most frequent in the shipped sample. BOS is the
    tokenizer's, else its end-of-text.

    Raises:
        LoadError: the tokenizer does not fit the model, or hardly any token qualifies.
    """
    ids = np.asarray(tokenizer(sample_text(), add_special_tokens=False, verbose=False)["input_ids"], dtype=np.int64)
    if len(ids) and int(ids.max()) >= vocab:
        raise LoadError(
            f"the tokenizer yields id {int(ids.max())}, the model has embeddings for 0 to {vocab - 1}: "
            "they do not belong together"
        )
    special = {*tokenizer.all_special_ids, *getattr(tokenizer, "added_tokens_decoder", {})}
    counts = [(token, count) for token, count in Counter(ids.tolist()).most_common() if count >= LEAST_COUNT]
    ordinary = [token for token, _ in counts if token not in special and _ordinary(tokenizer, token)]
    alone = [token for token in ordinary if _encoded(tokenizer, [token]) == [token]]
    spans = {token: [[token], *([first, token] for first in alone[:ANCHORS])] for token in ordinary}
    kept = [token for token in ordinary if any(_encoded(tokenizer, span) == span for span in spans[token])]
    frequent = np.array(sorted(kept[:MOST_FREQUENT]), dtype=np.int64)
    if len(frequent) < FEWEST:
        raise LoadError(
            f"only {len(frequent)} tokens of the tokenizer are ordinary and frequent in English text, and {FEWEST} are "
            "needed: is it this model's tokenizer?"
        )
    bos = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id

    def natural(rng: Generator, length: int) -> Ids:
        if not 0 < length <= len(ids):
            raise NotApplicable(f"natural spans of {length} tokens are needed; the shipped sample has {len(ids)}")
        begin = int(rng.integers(0, len(ids) - length + 1))
        return ids[begin : begin + length]

    identity = hashlib.sha256(ids.tobytes() + frequent.tobytes() + str(bos).encode()).hexdigest()
    return Tokens(frequent, natural, bos, identity=identity)


def no_tokens(name: str) -> Callable[[], Tokens]:
    """Tokens of a model without a tokenizer: asking for them says what is missing."""

    def ask() -> Tokens:
        raise NotApplicable(
            f"tokens are drawn from text, and {name} has no tokenizer: add tokenizer.json and tokenizer_config.json"
        )

    return ask


def _ordinary(tokenizer: Any, token: int) -> bool:
    piece = tokenizer.convert_ids_to_tokens(token)
    if not isinstance(piece, str) or (len(piece) > 1 and piece.startswith("<") and piece.endswith(">")):
        return False  # byte fallback is written <0x0A>, special tokens <s>
    text = tokenizer.decode([token])
    return bool(text.strip()) and "\ufffd" not in text


def _encoded(tokenizer: Any, ids: list[int]) -> list[int]:
    found: list[int] = tokenizer(tokenizer.decode(ids), add_special_tokens=False)["input_ids"]
    return found
