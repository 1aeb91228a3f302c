"""Circuits of two attention layers: what sequences hold, what a restriction lets through, and what the curve measures."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from claimbench.running.collecting import load_all_organisms, load_module
from claimbench.training import recipes, train

FILE = Path(__file__).parents[2] / "fixtures" / "organisms" / "task_circuits.py"
SEED, ROWS = 5, 400


@pytest.fixture(scope="module")
def organisms() -> ModuleType:
    load_all_organisms([], FILE.parents[2])
    return load_module(FILE)


@pytest.fixture(scope="module")
def shown(organisms: ModuleType) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = organisms.TaskCircuits.probe(np.random.default_rng(3), ROWS, SEED)
    return found


def net(organisms: ModuleType, edges: str, heads: int = 1) -> Any:
    model = organisms.task_circuits(edges=edges, heads=heads)
    organisms._initial(model, np.random.default_rng(1))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if not name.endswith("bias"):
                weight *= 3.0  # so that attention is not uniform
    return model


def nearest(vectors: np.ndarray, known: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.square(vectors[..., None, :] - known).sum(-1).argmin(-1)
    return found


def read(organisms: ModuleType, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Classes [rows, pairs + 1] and labels [rows, pairs] of sequences, by the nearest vectors."""
    _, means, vectors = organisms.world(SEED, 3, 32, 16, False)
    parts = x[..., : organisms.DIMENSIONS]
    return nearest(parts[:, ::2], means), nearest(parts[:, organisms.LABEL_AT], vectors)


def test_a_context_labels_its_items_by_one_task_and_asks_for_another_class(
    organisms: ModuleType, shown: dict[str, np.ndarray]
) -> None:
    tables = organisms.world(SEED, 3, 32, 16, False)[0]
    kinds, names = read(organisms, shown["x"])
    assert all(len(set(row)) == organisms.PAIRS + 1 for row in kinds)
    fits = [(table[kinds[:, :-1]] == names).all(1) & (table[kinds[:, -1]] == shown["y"]) for table in tables]
    assert np.any(fits, axis=0).all()


def test_permuted_labels_are_the_same_bag_and_other_ones_are_of_another_task(
    organisms: ModuleType, shown: dict[str, np.ndarray]
) -> None:
    tables = organisms.world(SEED, 3, 32, 16, False)[0]
    few = len(shown["other x"])
    kinds, names = read(organisms, shown["x"][:few])
    again, permuted = read(organisms, shown["permuted x"])
    assert (kinds == again).all() and (np.sort(names) == np.sort(permuted)).all() and (names != permuted).any()
    _, other = read(organisms, shown["other x"])
    of_task = np.stack([(table[kinds[:, :-1]] == other).all(1) for table in tables])
    right = np.stack([table[kinds[:, -1]] == shown["y"][:few] for table in tables])
    assert of_task.any(0).all() and (of_task & ~right).any(0).mean() > 0.5


def test_bijective_tasks_share_no_pair(organisms: ModuleType) -> None:
    for seed in range(5):
        tables = organisms.world(seed, 2, 8, 8, True)[0]
        assert (np.sort(tables) == np.arange(8)).all() and (tables[0] != tables[1]).all()


@pytest.mark.parametrize(
    ("edges", "first_query", "label", "second"),
    [
        ("query", {8}, "own", {8}),
        ("bag", {1, 3, 5, 7}, "own", {8}),
        ("chunk", {8}, "item", {1, 3, 5, 7}),
        ("items", {0, 2, 4, 6}, "own", {0, 2, 4, 6}),
    ],
)
def test_attention_stays_on_the_edges(
    organisms: ModuleType, shown: dict[str, np.ndarray], edges: str, first_query: set[int], label: str, second: set[int]
) -> None:
    _, (one, two) = net(organisms, edges)(torch.from_numpy(shown["x"]), patterns=True)
    assert set(torch.nonzero(one[:, 0, -1].sum(0))[:, 0].tolist()) == first_query
    assert set(torch.nonzero(two[:, 0, 0].sum(0))[:, 0].tolist()) == second
    labels = torch.arange(1, 9, 2)
    assert (one[:, 0, labels, labels - int(label == "item")] == 1).all()


def test_each_restriction_lets_through_what_it_says(organisms: ModuleType, shown: dict[str, np.ndarray]) -> None:
    x, labels = torch.from_numpy(shown["x"][: len(shown["other x"])]), organisms.LABEL_AT
    permuted, other = x.clone(), x.clone()
    for changed, name in ((permuted, "permuted x"), (other, "other x")):
        changed[:, labels] = torch.from_numpy(shown[name][:, labels])
    moved = {
        edges: [not torch.allclose(model(x), model(changed), atol=1e-4) for changed in (permuted, other)]
        for edges, model in ((edges, net(organisms, edges)) for edges in ("query", "items", "chunk", "all"))
    }
    assert moved == {"query": [False, False], "items": [False, False], "chunk": [True, True], "all": [True, True]}


def test_later_tokens_are_not_seen(organisms: ModuleType, shown: dict[str, np.ndarray]) -> None:
    x = torch.from_numpy(shown["x"])
    changed = x.clone()
    changed[:, 4] += 1.0
    before, after = (net(organisms, "all", heads=2)(each, patterns=True)[1][0] for each in (x, changed))
    assert torch.equal(before[:, :, :4], after[:, :, :4]) and not torch.equal(before[:, :, 5], after[:, :, 5])


def test_a_short_run_learns_what_the_query_alone_tells(organisms: ModuleType) -> None:
    recipe = recipes()["circuits-query"].with_(steps=150, evaluate_every=50, evaluate_rows=1024)
    run = train(recipe, SEED)
    assert run.final["accuracy"] > 0.8 * run.final["query ceiling"] > 2 / 16
    assert run.final["own 1"] == run.final["own 2"] == 1.0
    assert run.final["query ceiling"] < run.final["bag ceiling"] < 1
