"""Ceilings of who sees the asked class, or the labels of a context beside it, against counting over all contexts."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from claimbench.measures.label_bags import bag_ceiling, bag_posterior, best_accuracies, drawn_contexts, query_ceiling

RNG = np.random.default_rng(3)


def every_context(tables: np.ndarray, pairs: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Asked classes, labels of the context and answers of all contexts of all tasks."""
    asked, bags, answers = [], [], []
    for table in tables:
        for kinds in permutations(range(tables.shape[1]), pairs + 1):
            asked.append(kinds[-1])
            bags.append(table[list(kinds[:-1])])
            answers.append(table[kinds[-1]])
    return np.array(asked), np.array(bags), np.array(answers)


@pytest.mark.parametrize("labels", [2, 4, 9])
def test_posterior_is_the_share_of_contexts_with_that_answer(labels: int) -> None:
    tables = RNG.integers(labels, size=(3, 6))
    tables[0, 0] = labels - 1  # the number of labels is read off the tables
    asked, bags, answers = every_context(tables, 3)
    found = bag_posterior(tables, asked, bags)
    for row in RNG.integers(len(asked), size=20):
        alike = (asked == asked[row]) & (np.sort(bags, 1) == np.sort(bags[row])).all(1)
        assert found[row] == pytest.approx(np.bincount(answers[alike], minlength=labels) / alike.sum())


def test_query_ceiling_is_that_of_the_commonest_answer() -> None:
    tables = np.array([[0, 1, 2], [0, 1, 0], [0, 2, 1]])
    assert query_ceiling(tables) == pytest.approx((3 + 2 + 1) / 9)


@pytest.mark.parametrize(("classes", "level"), [(8, 0.786), (16, 0.633), (32, 0.565)])
def test_two_bijective_tasks_have_the_level_of_the_theory(classes: int, level: float) -> None:
    tables = np.stack([np.arange(classes), np.roll(np.arange(classes), 1)])
    kinds, names, _ = drawn_contexts(RNG, tables, 20_000, 4)
    chance = 4 / (classes - 1)
    assert chance + (1 - chance) / 2 == pytest.approx(level, abs=5e-4)
    assert bag_ceiling(tables, kinds[:, -1], names[:, :-1]) == pytest.approx(level, abs=0.01)


def test_best_answers_reach_the_ceilings() -> None:
    tables = RNG.integers(16, size=(3, 32))
    alone, by_bag, ceiling = best_accuracies(RNG, tables, 20_000, 4)
    assert alone == pytest.approx(query_ceiling(tables), abs=0.015)
    assert by_bag == pytest.approx(ceiling, abs=0.015)


def test_contexts_hold_different_classes_and_their_labels_of_one_task() -> None:
    tables = RNG.integers(5, size=(2, 7))
    kinds, names, tasks = drawn_contexts(RNG, tables, 500, 4)
    assert all(len(set(row)) == 5 for row in kinds)
    assert all((names[row] == tables[tasks[row], kinds[row]]).all() for row in range(500))
    assert set(tasks) == {0, 1} and set(kinds[:, -1]) == set(range(7))
