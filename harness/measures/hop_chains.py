"""Questions of any number of hops over a table of facts, with every bridge written out, and what each written bridge screens off.

A chain of k hops is `h r1 ... rk = b1 = b2 ... = t` (Yao et al. 2025, arXiv:2502.04667); see `two_hops` for the words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .two_hops import Words, moved_by_patch, replaced_at

if TYPE_CHECKING:
    import torch

    from ..subjects.lm import LM
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

Ints = NDArray[np.int64]


def walked(table: Ints, questions: Ints) -> Ints:
    """The entities after each hop, [n, hops], of questions [n, 1 + hops]: a head and relations. table: [entities, relations]."""
    at, found = questions[:, 0], []
    for relation in questions[:, 1:].T:
        at = table[at, relation]
        found.append(at)
    return np.stack(found, 1)


def drawn_questions(rng: np.random.Generator, entities: int, relations: int, hops: int, n: int) -> Ints:
    """n different questions, [n, 1 + hops], uniform among all. Fewer where there are not so many."""
    shape = (entities, *[relations] * hops)
    chosen = rng.permutation(int(np.prod(shape)))[:n]
    return np.stack(np.unravel_index(chosen, shape), 1)


def question_rows(words: Words, questions: Ints) -> Ints:
    """`h r1 ... rk =`, [n, hops + 2]."""
    return np.column_stack([questions[:, 0], questions[:, 1:] + words.entities, np.full(len(questions), words.equals)])


def written(words: Words, questions: Ints, entities: Ints) -> Ints:
    """`h r1 ... rk = e1 = e2 ...`, [n, hops + 1 + 2 x number of entities]: entities [n, any number], in the order of writing."""
    equals = np.full(len(questions), words.equals)
    return np.column_stack([question_rows(words, questions)[:, :-1], *(c for e in entities.T for c in (equals, e))])


def own_chain(lm: LM, words: Words, questions: Ints, written_entities: int) -> Ints:
    """The entities that a network writes, each the likeliest behind its own ones before it, [n, written_entities]."""
    found = np.empty((len(questions), 0), np.int64)
    for _ in range(written_entities):
        rows = written(words, questions, np.column_stack([found, np.zeros(len(questions), np.int64)]))[:, :-1]
        found = np.column_stack([found, lm.logits(torch.from_numpy(rows))[:, -1].argmax(-1).cpu().numpy()])
    return found


def stages(lm: LM, words: Words, questions: Ints, entities: Ints, rng: np.random.Generator) -> Iterator[tuple[str, float]]:
    """What moves the first entity, and behind each written bridge what moves the next one, in nats as `moved_by_patch` says.

    entities: what is written, [n, hops]. Names: "stage 1 by head", "stage 1 by relation 1"; for stage s from 2, which has its
    bridge s - 1 and its relation s, "stage s by bridge" and "stage s by earlier tokens", the most of those before these: head,
    relations and bridges. Other tokens at a place are uniform.
    """
    rows, hops = written(words, questions, entities), questions.shape[1] - 1
    relation = (words.entities, words.entities + words.relations)
    bridges = [hops + 2 + 2 * number for number in range(hops)]  # where each entity is written

    def moved(place: int, stage: int) -> float:
        low, high = relation if 1 <= place <= hops else (0, words.entities)
        whole = rows[:, : bridges[stage - 1] + 1]
        return moved_by_patch(lm, whole, replaced_at(rng, whole, place, low, high), place)

    yield "stage 1 by head", moved(0, 1)
    yield "stage 1 by relation 1", moved(1, 1)
    for stage in range(2, hops + 1):
        yield f"stage {stage} by bridge", moved(bridges[stage - 2], stage)
        earlier = [*range(stage), *bridges[: stage - 2]]
        yield f"stage {stage} by earlier tokens", max(moved(place, stage) for place in earlier)
