"""Rows of three-token chunks that follow rules private to the row: what comes next depends on one token before it, or on two.

An order-1 rule a -> b shows as [x, a, b], with another x at each occurrence. Order-2 rules come in squares: (u, c) -> d,
(u, c') -> e, (v, c) -> f, (v, c') -> g; each shows as [u, c, d], and neither of its two tokens alone tells the third. Which
token plays which part changes from row to row, so nothing about a token tells the order of its rule. A decoy [x, c, default]
shows a trigger of a square behind a token that belongs to none: the answer is always the same token, so that a match of one
token alone misleads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .streams import Batch, data_stream

if TYPE_CHECKING:
    from .streams import Ids, Mask


def rule_rows(
    rng: np.random.Generator, n: int, chunks: int, singles: int, squares: int, tokens: int, decoys: float = 0.0, default: int = -1
) -> tuple[Ids, dict[str, Mask]]:
    """n rows of `chunks` chunks with `singles` order-1 rules and `squares` squares of order-2 rules.

    A share `decoys` of the chunks of order-2 rules are made decoys, which answer `default`. Within a row all parts are
    different tokens. Returns ids int64 [n, chunks, 3], and for each kind ("order-1", "order-2", "decoy") the chunks, bool
    [n, chunks], whose answer follows from what came before.
    """
    parts = rng.permuted(np.tile(np.arange(tokens), (n, 1)), axis=1)
    # rules as columns of `parts`: (second-back or -1, trigger, answer)
    rules = [(-1, 2 * i, 2 * i + 1) for i in range(singles)]
    used = 2 * singles
    for _ in range(squares):
        for which in range(4):
            rules.append((used + which % 2, used + 2 + which // 2, used + 4 + which))
        used += 8
    table = np.array(rules)
    chosen = rng.integers(0, len(rules), (n, chunks))
    columns = table[chosen]
    second = columns[..., 0] >= 0
    decoy = second & (rng.random((n, chunks)) < decoys)
    fillers = used + np.arange(chunks)[None, :] % max(tokens - used, 1)
    columns[..., 0] = np.where(second & ~decoy, columns[..., 0], fillers)
    ids = parts[np.arange(n)[:, None, None], columns]
    ids[..., 2][decoy] = default
    earlier = np.tril(np.ones((chunks, chunks), dtype=bool), -1) & ~decoy[:, None, :]
    shown = (earlier & (chosen[:, :, None] == chosen[:, None, :])).any(2)
    trigger = columns[..., 1]
    met = (earlier & (trigger[:, :, None] == trigger[:, None, :])).any(2)
    return ids, {"order-1": shown & ~second, "order-2": shown & second & ~decoy, "decoy": met & decoy}


@data_stream("rules")
def rules(
    rng: np.random.Generator, n: int, seed: int = 0, tokens: int = 64, bos: int = 64, default: int = 65, chunks: int = 20,
    singles: int = 3, squares: int = 1, decoys: float = 0.0,
) -> Batch:  # fmt: skip
    """Rows of `rule_rows`, half of them behind `bos`. Targets: the third token of each chunk whose answer follows from the row."""
    ids, known = rule_rows(rng, n, chunks, singles, squares, tokens, decoys, default)
    begins = rng.random(n) < 0.5
    rows = np.full((n, 3 * chunks + 1), bos, dtype=np.int64)
    rows[:, 1:] = ids.reshape(n, -1)
    marks = {}
    for name, chunk in known.items():
        if chunk.any():
            marks[name] = np.zeros(rows.shape, dtype=bool)
            marks[name][:, 3::3] = chunk
    for array in (rows, *marks.values()):  # the other half loses its bos; the place that is left at the end is no target
        array[~begins, :-1] = array[~begins, 1:]
    rows[~begins, -1] = rng.integers(0, tokens, int((~begins).sum()))
    for array in marks.values():
        array[~begins, -1] = False
    return Batch(rows, np.logical_or.reduce(list(marks.values())), marks)
