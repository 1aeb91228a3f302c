"""What the labels of a context tell about the label asked for, when each context labels its items by one of several tasks.

A task is a table that gives each class a label. A context holds items of different classes with their labels by one task, and
asks for the label of one more class (Minegishi et al. 2025, arXiv:2505.16694). All values are exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]


def query_ceiling(tables: Ids) -> float:
    """Best expected accuracy of one who sees the asked class alone; tables [tasks, classes], tasks and classes alike often."""
    labels = int(tables.max()) + 1
    counts = np.stack([(tables == label).sum(0) for label in range(labels)])
    return float(counts.max(0).mean() / len(tables))


def bag_posterior(tables: Ids, asked: Ids, bags: Ids) -> Floats:
    """Probability of each label, [rows, labels], for one who sees the asked class [rows] and the bag of labels [rows, pairs].

    The context's classes differ from each other and from the asked one, and are alike often, as are tasks; so a task gives a
    bag with the chance of drawing these labels without replacement from its table without the asked class. The order of the
    labels tells nothing.
    """
    labels, pairs = int(tables.max()) + 1, bags.shape[1]
    left = np.stack([np.bincount(table, minlength=labels) for table in tables])[:, None].repeat(len(asked), 1)
    answers = tables[:, asked]
    np.put_along_axis(left, answers[..., None], np.take_along_axis(left, answers[..., None], -1) - 1, -1)
    chance = np.ones(answers.shape)
    rows = np.arange(len(asked))
    for place in range(pairs):  # the label at a place, after those before it were taken
        chance *= left[:, rows, bags[:, place]]
        left[:, rows, bags[:, place]] -= 1
    chance /= chance.sum(0)
    found = np.zeros((len(asked), labels))
    for weight, answer in zip(chance, answers, strict=True):
        found[rows, answer] += weight
    return found


def bag_ceiling(tables: Ids, asked: Ids, bags: Ids) -> float:
    """Best expected accuracy on these rows of one who sees the asked class and the labels, not the items."""
    return float(bag_posterior(tables, asked, bags).max(1).mean())


def drawn_contexts(rng: np.random.Generator, tables: Ids, n: int, pairs: int) -> tuple[Ids, Ids, Ids]:
    """Classes [n, pairs + 1], different in a row, the last one asked for; their labels by the row's task; the tasks [n]."""
    kinds = rng.permuted(np.tile(np.arange(tables.shape[1]), (n, 1)), axis=1)[:, : pairs + 1]
    tasks = rng.integers(len(tables), size=n)
    return kinds, tables[tasks[:, None], kinds], tasks


def best_accuracies(rng: np.random.Generator, tables: Ids, n: int, pairs: int) -> tuple[float, float, float]:
    """On n drawn contexts: accuracy of the best answer by the asked class, by class and bag, and the ceiling of the latter."""
    kinds, names, _ = drawn_contexts(rng, tables, n, pairs)
    posterior = bag_posterior(tables, kinds[:, -1], names[:, :-1])
    alone = np.stack([(tables == label).sum(0) for label in range(posterior.shape[1])]).argmax(0)[kinds[:, -1]]
    right = [float((found == names[:, -1]).mean()) for found in (alone, posterior.argmax(1))]
    return right[0], right[1], float(posterior.max(1).mean())
