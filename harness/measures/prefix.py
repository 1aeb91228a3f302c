"""Induction attention against the length of the prefix that recurs, and what corrupting the prefix does to it.

Probe rows are [bos, filler, p1 .. pk, T, filler, p1 .. pk]: from the last token, how much attention goes to T? A
short-prefix head needs only the last token to recur, a long-prefix head also the one before it (second-back). Rows of
different k share everything but the recurring tokens, so T and the last position are the same for every k.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..errors import InvalidMeasurement, NotApplicable, UsageError
from .prompts import sliding_window
from .scores import SINKS

if TYPE_CHECKING:
    import torch
    from numpy.random import Generator
    from numpy.typing import NDArray

    from ..subjects.lm import LM

    Heads = NDArray[np.float64]
    Ids = NDArray[np.int64]
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")


@dataclass(frozen=True)
class PrefixExamples:
    """Rows in which a prefix recurs: int64 ids [n, t], its last token's place, T's place, and the match's length."""

    ids: Ids
    query: Ids
    key: Ids
    prefix: Ids

    def __len__(self) -> int:
        return len(self.ids)

    def check(self) -> None:
        """Raise InvalidMeasurement unless exactly `prefix` tokens before T come back before and at the query."""
        rows = np.arange(len(self))
        back = np.arange(int(self.prefix.max()) + 1)[:, None]
        here, there = self.query - back, self.key - 1 - back
        same = (self.ids[rows, np.maximum(here, 0)] == self.ids[rows, np.maximum(there, 0)]) & (there >= 0)
        if not np.array_equal(np.cumprod(same, axis=0).sum(0), self.prefix):
            raise InvalidMeasurement(
                "prefix examples: the stated number of tokens does not recur; positions are misaligned"
            )


@dataclass(frozen=True)
class PrefixAttention:
    """Mean attention from the last token to T, float64 [prefixes, layers, heads], raw weights as in the source.

    `broken`: the same rows with the first occurrence's prefix replaced by other tokens, so nothing recurs.
    """

    prefixes: tuple[int, ...]
    attention: Heads
    broken: Heads

    @property
    def excess(self) -> Heads:
        """Attention beyond what position alone draws."""
        return self.attention - self.broken

    def slope(self, low: int = 1, high: int = 3) -> Heads:
        """Rise of the excess from prefix length `low` to `high`, [layers, heads]: large for a long-prefix head."""
        missing = [k for k in (low, high) if k not in self.prefixes]
        if missing:
            raise UsageError(f"slope over prefix lengths {low} to {high} asked; measured are {self.prefixes}")
        rise: Heads = self.excess[self.prefixes.index(high)] - self.excess[self.prefixes.index(low)]
        return rise


def prefix_attention(
    lm: LM, rng: Generator, prefixes: Sequence[int] = tuple(range(1, 10)), n: int = 64, bos: bool = True
) -> PrefixAttention:
    """Attention to the induction target against prefix length, on `n` rows of random tokens for each length."""
    examples, broken = prefix_probes(lm, rng, prefixes, n, bos)
    found = [[attention_to_target(lm, rows).mean(0) for rows in group] for group in (examples, broken)]
    return PrefixAttention(tuple(prefixes), np.stack(found[0]), np.stack(found[1]))


def prefix_probes(
    lm: LM, rng: Generator, prefixes: Sequence[int], n: int, bos: bool = True
) -> tuple[list[PrefixExamples], list[PrefixExamples]]:
    """For each prefix length the probe rows and their broken twins (the first occurrence's prefix replaced).

    All tokens of a row are different but for the prefix, and the token before it differs between its two occurrences.
    NotApplicable where context or vocabulary are too small for the longest prefix.
    """
    if not prefixes or min(prefixes) < 1 or n < 1:
        raise UsageError(
            f"prefix probes: lengths {tuple(prefixes)} and {n} rows asked; need lengths and rows of 1 or more"
        )
    longest = max(prefixes)
    begin = lm.tokens.bos if bos else None
    pool = _pool(lm)
    head = int(begin is not None)
    lead = max(1, SINKS - head - longest)  # T must lie beyond the positions that act as sinks
    least = head + lead + longest + 2 + longest  # bos, filler, prefix, T, one filler token, prefix
    window = sliding_window(lm)
    room = min(lm.context, len(pool) - longest + head, lm.context if window is None else window)
    if room < least:
        raise NotApplicable(
            f"prefix probes of length {longest} need {least} positions and {least - head + longest} different tokens; "
            f"the subject has {min(lm.context, window or lm.context)} positions and {len(pool)} tokens"
        )
    slack = min(room - least, 24)
    key = head + lead + longest + rng.integers(0, slack // 3 + 1, n)
    query = key + 1 + longest + rng.integers(0, slack - slack // 3 + 1, n)
    width = int(query.max()) + 1
    tokens = np.stack([rng.permutation(pool) for _ in range(n)])
    tokens = np.tile(
        tokens, (1, -(-(width + longest) // len(pool)))
    )  # only filler after a row's end can come round again
    base = np.concatenate([np.full((n, head), 0 if begin is None else begin), tokens[:, longest:]], axis=1)[:, :width]
    examples, broken = [], []
    rows = np.arange(n)[:, None]
    for k in prefixes:
        back = np.arange(k)[None, :]
        first, last = key[:, None] - 1 - back, query[:, None] - back
        ids = base.copy()
        ids[rows, last] = base[rows, first]
        twin = ids.copy()
        twin[rows, first] = tokens[:, :k]
        examples.append(PrefixExamples(ids, query, key, np.full(n, k)))
        examples[-1].check()
        broken.append(replace(examples[-1], ids=twin))
    return examples, broken


def long_prefix_examples(
    lm: LM, rng: Generator, n: int, length: int = 64, prefix: int = 2, unique: bool = True, bos: bool = True
) -> PrefixExamples:
    """Real examples, found by the text alone: spans whose last `prefix` or more tokens have occurred before.

    Choosing by the head's own attention (as the source does) would make any second look lower. `unique` also asks
    that the query's token occurred exactly once before, so that heads of every prefix length have the same one
    target; otherwise the recurring prefix must be the only one of its kind, and short-prefix heads may share their
    attention. NotApplicable when the text has too few such places.
    """
    if lm.tokens.natural is None:
        raise NotApplicable("prefix examples need natural text; this subject has no source of it")
    head = np.array([lm.tokens.bos] if bos and lm.tokens.bos is not None else [], dtype=np.int64)
    length = min(length, lm.context, sliding_window(lm) or lm.context)
    ids, query, key, match = [], [], [], []
    seen: set[bytes] = set()
    tries = 50 * n
    for _ in range(tries):
        text = np.asarray(lm.tokens.natural(rng, length - len(head)), dtype=np.int64)
        span = np.concatenate([head, text])
        found = _recurrences(span, prefix, unique)
        if len(found) == 0 or span.tobytes() in seen:
            continue
        seen.add(span.tobytes())
        place = found[rng.integers(len(found))]
        ids.append(span)
        query.append(place[0])
        key.append(place[1])
        match.append(place[2])
        if len(ids) == n:
            examples = PrefixExamples(np.stack(ids), np.array(query), np.array(key), np.array(match))
            examples.check()
            return examples
    raise NotApplicable(
        f"{n} natural examples with a recurring prefix of {prefix} needed; {len(ids)} found in {tries} spans"
    )


def corrupted(
    lm: LM, rng: Generator, examples: PrefixExamples, which: Literal["second-back", "unrelated"] = "second-back"
) -> PrefixExamples:
    """The examples with one token replaced by a frequent one that is not in its row.

    Replaced at the *last* occurrence, beside the query, as the source does in real examples: T and everything the key
    side knows stay as they were, and only what the query looks for changes. "second-back" is the token before the
    query's; "unrelated", the control, is the nearest one before the query that does not belong to the recurring
    prefix.
    """
    if which not in ("second-back", "unrelated"):
        raise UsageError(f'corruption "{which}" is unknown; use "second-back" or "unrelated"')
    if examples.prefix.min() < 2:
        raise UsageError(
            "corrupting the second-back token needs examples with a recurring prefix of 2 or more; found 1"
        )
    place = examples.query - (1 if which == "second-back" else examples.prefix)
    if np.any(place <= examples.key):
        raise UsageError("corruption needs a token between T and the recurring prefix; one example has none")
    pool, ids = _pool(lm), examples.ids.copy()
    for row, position in enumerate(place):
        free = pool[~np.isin(pool, ids[row])]
        if len(free) == 0:
            raise NotApplicable(
                f"no frequent token is left to replace one of {len(np.unique(ids[row]))} in a row; shorten the rows"
            )
        ids[row, position] = rng.choice(free)
    return replace(examples, ids=ids)


def attention_to_target(lm: LM, examples: PrefixExamples) -> Heads:
    """Attention from the query to T in each example, float64 [n, layers, heads]."""
    found = np.zeros((len(examples), lm.layers, lm.heads))

    def read(layer: int, pattern: torch.Tensor, rows: slice) -> None:
        query, key = torch.from_numpy(examples.query[rows]), torch.from_numpy(examples.key[rows])
        local = torch.arange(len(query))
        found[rows, layer] = pattern[local, :, query, key].double().cpu().numpy()

    lm.attend(torch.from_numpy(examples.ids), read)
    return found


def _recurrences(span: Ids, prefix: int, unique: bool) -> Ids:
    """(query, key, match length) of each place whose last `prefix` or more tokens occurred before, [found, 3]."""
    t = len(span)
    same = span[:, None] == span[None, :]  # query by earlier place
    earlier = np.tril(np.ones((t, t), dtype=bool), -1)
    match = np.where(same & earlier, 1, 0)
    for back in range(1, t):  # extend every match by one token at a time, all places at once
        longer = np.zeros_like(same)
        longer[back:, back:] = same[:-back, :-back] & earlier[back:, back:]
        grown = (match == back) & longer
        if not grown.any():
            break
        match += grown
    once = (match >= (1 if unique else prefix)).sum(1) == 1
    query, before = np.nonzero((match >= prefix) & once[:, None])
    size = match[query, before]
    key = before + 1
    fits = (key >= SINKS) & (query - size > key)
    return np.stack([query, key, size], axis=1)[fits]


def _pool(lm: LM) -> Ids:
    pool = np.unique(np.asarray(lm.tokens.frequent, dtype=np.int64))
    return pool[~np.isin(pool, [x for x in (lm.tokens.bos, lm.tokens.separator) if x is not None])]
