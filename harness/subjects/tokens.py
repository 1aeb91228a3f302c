"""Tokens that probes may use: ids a model has really seen, and natural text in its own vocabulary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import LoadError
from .shipped import shipped_root

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Ids = NDArray[np.int64]

#: A token counts as frequent when it occurs this often in the shipped sample, and among the most frequent of them.
LEAST_COUNT = 5
MOST_FREQUENT = 2_000
FEWEST = 16


@dataclass(frozen=True)
class Tokens:
    """What probes may draw from.

    frequent: ids usable as random tokens, int64. natural: draws a natural-like span of a length, or None where the
    subject has no source of text. bos: id that begins a sequence, None without one. separator: the subject's own, if any.
    """

    frequent: Ids
    natural: Callable[[Generator, int], Ids] | None = None
    bos: int | None = None
    separator: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "frequent", np.asarray(self.frequent, dtype=np.int64))


@lru_cache(maxsize=1)
def sample_text() -> str:
    """The shipped sample of English text from which frequent tokens and natural spans are taken."""
    folder = shipped_root() / "fixtures" / "text"
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.txt")))


def tokens_of(tokenizer: Any, vocab: int) -> Tokens:
    """The usable tokens of a tokenizer: round-tripping, not special, no byte fallback, in the model, frequent in text.

    Raises:
        LoadError: when fewer than `FEWEST` tokens qualify.
    """
    ids = np.asarray(tokenizer(sample_text(), add_special_tokens=False)["input_ids"], dtype=np.int64)
    counts = Counter(ids[ids < vocab].tolist())
    special = set(tokenizer.all_special_ids)
    frequent = [
        token
        for token, count in counts.most_common(MOST_FREQUENT)
        if count >= LEAST_COUNT and token not in special and _round_trips(tokenizer, token)
    ]
    if len(frequent) < FEWEST:
        raise LoadError(
            f"only {len(frequent)} tokens of the tokenizer are ordinary and frequent in English text; {FEWEST} are needed: "
            "is it this model's tokenizer?"
        )
    bos = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id

    def natural(rng: Generator, length: int) -> Ids:
        begin = int(rng.integers(0, len(ids) - length))
        return ids[begin : begin + length]

    return Tokens(np.array(sorted(frequent)), natural if int(ids.max()) < vocab else None, bos)


def _round_trips(tokenizer: Any, token: int) -> bool:
    piece = tokenizer.convert_ids_to_tokens(token)
    if piece is None or (piece.startswith("<") and piece.endswith(">")):
        return False
    text = tokenizer.decode([token])
    # A piece that only continues a word does not come back alone; behind another token it must.
    return bool(text.strip()) and "\ufffd" not in text and tokenizer.convert_tokens_to_ids(piece) == token
