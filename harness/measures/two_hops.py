"""Two-hop questions over a table of facts, answered with or without the bridge written out (Yao et al. 2025, arXiv:2502.04667).

A fact joins an entity and a relation to an entity, t = table[h, r]. A composition (h, r1, r2) has the bridge b = table[h, r1] and
the answer table[b, r2]. Some facts are set apart: they are trained as facts and stand in no trained composition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import EffectError

if TYPE_CHECKING:
    import torch

    from ..subjects.lm import LM
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Facts:
    """A table of facts and the compositions of it by kind.

    table: [entities, relations], the entity that each fact gives. apart: bool of the same shape, facts in no trained composition.
    trained, held_out: [n, 3], head and two relations; both facts are not apart. apart_pairs: [n, 3], both facts are apart.
    """

    table: Ints
    apart: Mask
    trained: Ints
    held_out: Ints
    apart_pairs: Ints

    @property
    def entities(self) -> int:
        """How many entities there are; relations are numbered behind them, see `Words`."""
        return len(self.table)

    def bridges(self, compositions: Ints) -> Ints:
        """The bridge of each composition, [n]."""
        found: Ints = self.table[compositions[:, 0], compositions[:, 1]]
        return found

    def answers(self, compositions: Ints) -> Ints:
        """The answer of each composition, [n]."""
        found: Ints = self.table[self.bridges(compositions), compositions[:, 2]]
        return found


def draw_facts(rng: np.random.Generator, entities: int, relations: int, apart: float, held_out: float) -> Facts:
    """A uniform table, a share of its facts set apart, and a share of the other compositions held out.

    Raises:
        EffectError: so few facts are apart that no composition has both of its facts there.
    """
    table = rng.integers(0, entities, (entities, relations))
    drawn = np.zeros(table.size, bool)
    drawn[rng.permutation(table.size)[: round(apart * table.size)]] = True
    is_apart = drawn.reshape(table.shape)
    every = np.stack(np.meshgrid(*(np.arange(n) for n in (entities, relations, relations)), indexing="ij"), -1).reshape(-1, 3)
    first, second = is_apart[every[:, 0], every[:, 1]], is_apart[table[every[:, 0], every[:, 1]], every[:, 2]]
    inside = rng.permutation(every[~first & ~second])
    kept = round(held_out * len(inside))
    if not (first & second).any():
        raise EffectError(f"{int(is_apart.sum())} facts apart of {table.size} make no composition; set more apart")
    return Facts(table, is_apart, inside[kept:], inside[:kept], every[first & second])


@dataclass(frozen=True)
class Words:
    """Tokens of facts: entities, then relations, then `=`, a filler and padding."""

    entities: int
    relations: int

    @property
    def equals(self) -> int:
        """The token before each answer."""
        return self.entities + self.relations

    @property
    def filler(self) -> int:
        """A token without content."""
        return self.equals + 1

    @property
    def padding(self) -> int:
        """What stands before and behind a row's tokens."""
        return self.equals + 2

    @property
    def number(self) -> int:
        """Size of the vocabulary."""
        return self.equals + 3

    def fact_rows(self, facts: Facts, pairs: Ints) -> Ints:
        """`h r = t` of entities and relations [n, 2], as [n, 4]."""
        return np.column_stack([pairs[:, 0], self._relation(pairs[:, 1]), self._equals(pairs), facts.table[tuple(pairs.T)]])

    def questions(self, compositions: Ints) -> Ints:
        """`h r1 r2 =`, [n, 4]."""
        relations = self._relation(compositions[:, 1:])
        return np.column_stack([compositions[:, 0], relations, self._equals(compositions)])

    def direct_rows(self, facts: Facts, compositions: Ints) -> Ints:
        """`h r1 r2 = t`, [n, 5]."""
        return np.column_stack([self.questions(compositions), facts.answers(compositions)])

    def chain_rows(self, facts: Facts, compositions: Ints, between: Ints | None = None) -> Ints:
        """`h r1 r2 = b = t`, [n, 7]; between: what stands in the place of the bridge."""
        bridge = facts.bridges(compositions) if between is None else between
        return np.column_stack([self.questions(compositions), bridge, self._equals(compositions), facts.answers(compositions)])

    def _relation(self, relation: Ints) -> Ints:
        found: Ints = relation + self.entities
        return found

    def _equals(self, rows: Ints) -> Ints:
        return np.full(len(rows), self.equals)


def own_answers(lm: LM, words: Words, questions: Ints, chain: bool) -> tuple[Ints, Ints]:
    """(what the network writes first, its answer), each the likeliest token, [n].

    chain: the first token is written behind the question, `=` after it, and the answer is what follows. Without chain both are one.
    """
    first = _likeliest(lm, questions)
    if not chain:
        return first, first
    return first, _likeliest(lm, np.column_stack([questions, first, np.full(len(questions), words.equals)]))


def moved_by_patch(lm: LM, rows: Ints, other: Ints, place: int) -> float:
    """Largest over layers of the mean change, in nats, of the log probability of each row's last token under a patch at one place.

    The stream there, before each layer, is replaced by that of `other`: rows of the same width that should differ there alone.
    """
    if not (rows[:, place] != other[:, place]).all():
        raise EffectError(f"a patch at place {place} needs another token there in each row")
    ids, answers = torch.from_numpy(rows[:, :-1]), torch.from_numpy(rows[:, -1:])
    before = lm.logits(ids)[:, -1].double().log_softmax(-1).gather(1, answers)
    changes = []
    for site in [f"L{layer}.pre@{place}" for layer in range(lm.layers)]:
        after = lm.patched(site, torch.from_numpy(other[:, :-1])).logits(ids)[:, -1].double().log_softmax(-1).gather(1, answers)
        changes.append(float((after - before).abs().mean()))
    return max(changes)


def replaced_at(rng: np.random.Generator, rows: Ints, place: int, low: int, high: int) -> Ints:
    """The rows with another token from low to high - 1 at one place, uniform among the others."""
    found = rows.copy()
    found[:, place] = low + (rows[:, place] - low + rng.integers(1, high - low, len(rows))) % (high - low)
    return found


def lens_ranks(lm: LM, rows: Ints, answers: Ints, places: Sequence[int]) -> NDArray[np.float64]:
    """Median rank (0: first) of a token by the unembedding of the stream after each layer, at each place, [layers, places]."""
    model, found = lm.model, np.zeros((lm.layers, len(places)))
    sites = [f"L{layer}.post@{place}" for layer in range(lm.layers) for place in places]
    streams = lm.activations(torch.from_numpy(rows), sites)
    for number, stream in enumerate(streams.values()):
        logits = model.lm_head(model.transformer.ln_f(stream.reshape(len(rows), -1)))
        own = logits.gather(1, torch.from_numpy(answers)[:, None])
        found[divmod(number, len(places))] = float((logits > own).sum(1).double().median())
    return found


def _likeliest(lm: LM, ids: Ints) -> Ints:
    found: Ints = lm.logits(torch.from_numpy(ids))[:, -1].argmax(-1).cpu().numpy()
    return found
