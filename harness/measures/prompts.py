"""Prompts in which a span comes back: the ordered repeat, and the same second copy after broken first halves.

Every variant of a row has the same second copy at the same positions, so losses and attention are compared pair by
pair. The shuffled first half holds the same tokens in an order that keeps none of their neighbours: what a model
gains from *order* is visible only against it, because a model that merely knows which tokens are present also gains
from an unrelated first half.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidMeasurement, NotApplicable, UsageError

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from ..subjects.lm import LM

    Ids = NDArray[np.int64]
    Mask = NDArray[np.bool_]

SHORTEST = 6  # below this, a first half beside the first four positions leaves no key for the permutation null
_TRIES = 200


@dataclass(frozen=True)
class Repeats:
    """Rows [bos, prefix, first half, (separator,) second copy, filler], int64 [n, t], with three kinds of first half.

    The filler after the end is ordinary tokens, not one padding id: it cannot change anything before it (causal
    mask), and the mean and resample ablations, which read other rows at the same position, meet ordinary activations
    there.
    """

    ordered: Ids
    shuffled: Ids
    unrelated: Ids
    start: Ids
    """First position of the first half, [n]."""
    length: Ids
    """Tokens in one copy, [n]."""
    second: Ids
    """First position of the second copy, [n]."""
    reverse: bool
    """The second copy is the first half backwards."""
    bos: bool
    source: str
    separator: int | None
    separator_is: str | None
    """Where the separator's id comes from: "separator", "bos", "eos" or "frequent"."""

    def __len__(self) -> int:
        return len(self.ordered)

    @property
    def scored(self) -> Mask:
        """The entries of a loss [n, t - 1] that belong to the second copy but for its unpredictable first token."""
        return self._span(self.second)[:, 1:] & self._span(self.second)[:, :-1]

    @property
    def scored_first(self) -> Mask:
        """The entries of a loss [n, t - 1] that belong to the first half, without its first token."""
        return self._span(self.start)[:, 1:] & self._span(self.start)[:, :-1]

    def queries(self) -> tuple[Ids, Ids, Ids]:
        """(row, position, aligned position in the first half) of each second-copy token that predicts another."""
        rows, position = np.nonzero(np.pad(self.scored, ((0, 0), (0, 1))))
        offset = position - self.second[rows]
        aligned = self.length[rows] - 1 - offset if self.reverse else offset
        return rows, position, self.start[rows] + aligned

    def _span(self, begin: Ids) -> Mask:
        place = np.arange(self.ordered.shape[1])
        return (place >= begin[:, None]) & (place < (begin + self.length)[:, None])

    def check(self) -> None:
        """Raise InvalidMeasurement unless targets are paired, controls are controls, and no row comes twice."""
        first, copy = self._span(self.start), self._span(self.second)
        rows, position = np.nonzero(copy)
        offset = position - self.second[rows]
        aligned = self.start[rows] + (self.length[rows] - 1 - offset if self.reverse else offset)
        if not np.array_equal(self.ordered[rows, position], self.ordered[rows, aligned]):
            raise InvalidMeasurement(
                "prompts: the second copy was to repeat the first half, and does not; build them anew"
            )
        for name, other in (("shuffled", self.shuffled), ("unrelated", self.unrelated)):
            if not np.array_equal(np.where(first, 0, self.ordered), np.where(first, 0, other)):
                raise InvalidMeasurement(
                    f"prompts: outside the first half the {name} rows differ; targets must be paired"
                )
            if np.any(np.all((self.ordered == other) | ~first, axis=1)):
                raise InvalidMeasurement(f"prompts: a {name} first half equals the ordered one; it is no control")
        bag, mixed = (np.sort(np.where(first, ids, -1), axis=1) for ids in (self.ordered, self.shuffled))
        if not np.array_equal(bag, mixed):
            raise InvalidMeasurement("prompts: a shuffled first half holds other tokens than the ordered one")
        if len(_identities(self)) < len(self):
            raise InvalidMeasurement("prompts: the same row comes twice; rows must be independent")


def check_disjoint(selection: Repeats, evaluation: Repeats) -> None:
    """Raise InvalidMeasurement if a repeated span occurs in both: choosing and measuring need different prompts."""
    shared = _spans(selection) & _spans(evaluation)
    if shared:
        raise InvalidMeasurement(
            f"heads were to be chosen and measured on different prompts, but {len(shared)} of {len(evaluation)} spans "
            "are shared; give each its own random stream"
        )


def repeats(
    lm: LM,
    rng: Generator,
    n: int = 32,
    lengths: tuple[int, int] = (20, 50),
    source: str = "frequent",
    bos: bool = True,
    prefix: tuple[int, int] = (0, 8),
) -> Repeats:
    """Rows [bos, prefix, R, R], with R shuffled and R replaced as variants of the first half.

    `lengths` and `prefix` are inclusive ranges, drawn for each row. `source` "frequent" draws R uniformly from the
    subject's frequent tokens without replacement while they last; "natural" takes spans of natural text, which may
    repeat tokens (the aligned occurrence then counts as the first one). Lengths shrink to what the context, half of a
    sliding window and the number of distinct tokens allow; NotApplicable when less than six tokens are left.
    """
    return _build(lm, rng, n, lengths, source, bos, prefix, reverse=False)


def reversed_copies(
    lm: LM,
    rng: Generator,
    n: int = 32,
    lengths: tuple[int, int] = (20, 50),
    source: str = "frequent",
    bos: bool = True,
    prefix: tuple[int, int] = (0, 8),
) -> Repeats:
    """Rows [bos, prefix, R, separator, reverse(R)], otherwise like `repeats`.

    The separator is the subject's own; without one its BOS, else its end-of-text, else a frequent token that is not
    in the row: `separator_is` says which.
    """
    return _build(lm, rng, n, lengths, source, bos, prefix, reverse=True)


def _build(
    lm: LM,
    rng: Generator,
    n: int,
    lengths: tuple[int, int],
    source: str,
    bos: bool,
    prefix: tuple[int, int],
    reverse: bool,
) -> Repeats:
    if source not in ("frequent", "natural"):
        raise UsageError(f'prompts: source "{source}" is unknown; use "frequent" or "natural"')
    if n < 1 or not 0 < lengths[0] <= lengths[1] or not 0 <= prefix[0] <= prefix[1]:
        raise UsageError(
            f"prompts: asked for {n} rows, lengths {lengths}, prefix {prefix}; need n >= 1 and low <= high"
        )
    frequent = np.asarray(lm.tokens.frequent, dtype=np.int64)
    begin = lm.tokens.bos if bos else None
    separator, separator_is = _separator(lm, frequent, rng) if reverse else (None, None)
    frequent = frequent[~np.isin(frequent, [x for x in (begin, separator) if x is not None])]
    extra = (begin is not None) + reverse
    lengths = fit_lengths(lm, lengths, extra + prefix[1], len(frequent) - prefix[1] if source == "frequent" else None)
    draw = _frequent(frequent, rng) if source == "frequent" else _natural(lm, rng)

    length = rng.integers(lengths[0], lengths[1] + 1, n)
    before = rng.integers(prefix[0], prefix[1] + 1, n)
    start = before + (begin is not None)
    second = start + length + reverse
    width = int((second + length).max())
    rows: list[tuple[Ids, Ids, Ids]] = []
    seen: set[bytes] = set()
    for row in range(n):
        size, lead = int(length[row]), int(before[row])
        for _ in range(_TRIES):
            span, other, front, rest = draw(size, lead, width - int(second[row]) - size)
            head = np.concatenate([np.array([] if begin is None else [begin], dtype=np.int64), front])
            if (identity := np.concatenate([head, span]).tobytes()) not in seen:
                break
        else:
            raise NotApplicable(
                f"prompts: {n} different rows asked, only {row} found among {len(frequent)} tokens; ask for fewer"
            )
        seen.add(identity)
        tail = np.concatenate(
            [np.array([separator] if reverse else [], dtype=np.int64), span[::-1] if reverse else span, rest]
        )
        halves = (span, span[broken_order(span, rng)], other)
        rows.append(tuple(np.concatenate([head, half, tail]) for half in halves))  # type: ignore[arg-type]
    ordered, shuffled, unrelated = (np.stack(variant) for variant in zip(*rows, strict=True))
    return Repeats(
        ordered, shuffled, unrelated, start, length, second, reverse, begin is not None, source, separator, separator_is
    )


def fit_lengths(lm: LM, lengths: tuple[int, int], extra: int, distinct: int | None) -> tuple[int, int]:
    """The range of lengths of a copy that fits twice beside `extra` tokens; NotApplicable below six."""
    low, high = lengths
    widest = (lm.context - extra) // 2
    limit = f"the context of {lm.context}"
    if (window := sliding_window(lm)) is not None and window // 2 < widest:
        widest, limit = window // 2, f"the sliding window of {window}"
    if widest < min(SHORTEST, low):
        raise NotApplicable(
            f"a repeated span of {low} to {high} tokens is needed; {limit} leaves room for {max(widest, 0)}"
        )
    if distinct is not None:
        if distinct < 2:
            raise NotApplicable(f"random probe tokens are needed; the subject has {max(distinct, 0)} beyond the prefix")
        if distinct // 2 >= low:  # enough for a span and a disjoint replacement of it
            widest = min(widest, distinct // 2)
    if high <= widest:
        return low, high
    return (widest, widest) if low == high else (min(low, max(min(SHORTEST, low), widest * 2 // 3)), widest)


def sliding_window(lm: LM) -> int | None:
    """The shortest attention window of any layer in tokens; None when every layer sees the whole context."""
    config: Any = getattr(lm, "config", None)
    window = getattr(config, "sliding_window", None)
    return int(window) if window and getattr(config, "use_sliding_window", True) else None


def broken_order(span: Ids, rng: Generator) -> Ids:
    """A permutation of the span's places: no token keeps its place or a neighbour (fewest, where tokens repeat)."""
    place = np.arange(len(span))
    neighbours = np.concatenate([_pairs(span), _pairs(span[::-1])])
    best, fewest = place, len(span) * 4
    for _ in range(16):
        orders = rng.permuted(np.tile(place, (64, 1)), axis=1)
        tokens = span[orders]
        kept = (orders == place).sum(1) + (np.abs(np.diff(orders, axis=1)) == 1).sum(1)
        kept = kept + (tokens == span).sum(1) + np.isin(_pairs(tokens), neighbours).sum(1)
        if kept.min() < fewest:
            best, fewest = orders[kept.argmin()], int(kept.min())
        if fewest == 0:
            break
    return best


def _pairs(tokens: Ids) -> Ids:
    return tokens[..., :-1] * np.int64(1 << 31) + tokens[..., 1:]


def _frequent(pool: Ids, rng: Generator) -> Callable[[int, int, int], tuple[Ids, Ids, Ids, Ids]]:
    def draw(size: int, lead: int, rest: int) -> tuple[Ids, Ids, Ids, Ids]:
        need = 2 * size + lead + rest
        order = np.concatenate([rng.permutation(pool) for _ in range(-(-need // len(pool)))])[:need]
        return order[:size], order[size : 2 * size], order[2 * size : 2 * size + lead], order[2 * size + lead :]

    return draw


def _natural(lm: LM, rng: Generator) -> Callable[[int, int, int], tuple[Ids, Ids, Ids, Ids]]:
    if lm.tokens.natural is None:
        raise NotApplicable("spans of natural text are needed; this subject has no source of them")

    draw_text = lm.tokens.natural

    def text(size: int) -> Ids:
        return np.asarray(draw_text(rng, size), dtype=np.int64) if size else np.zeros(0, dtype=np.int64)

    def draw(size: int, lead: int, rest: int) -> tuple[Ids, Ids, Ids, Ids]:
        span = text(size)
        others = [text(size) for _ in range(4)]
        other = min(others, key=lambda ids: int(np.isin(ids, span).sum()) + size * bool(np.array_equal(ids, span)))
        return span, other, text(lead), text(rest)

    return draw


def _separator(lm: LM, frequent: Ids, rng: Generator) -> tuple[int, str]:
    eos = getattr(lm.tokenizer, "eos_token_id", None)
    for name, token in (("separator", lm.tokens.separator), ("bos", lm.tokens.bos), ("eos", eos)):
        if token is not None:
            return int(token), name
    return int(rng.choice(frequent)), "frequent"


def _identities(prompts: Repeats) -> set[bytes]:
    ends = zip(prompts.ordered, prompts.start + prompts.length, strict=True)
    return {row[:end].tobytes() for row, end in ends}


def _spans(prompts: Repeats) -> set[bytes]:
    ends = zip(prompts.ordered, prompts.start, prompts.start + prompts.length, strict=True)
    return {row[start:end].tobytes() for row, start, end in ends}
