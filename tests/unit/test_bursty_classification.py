"""The task of bursty classification: what its sequences hold, and that its measures see what is planted in a network."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from claimbench.running.collecting import load_all_organisms, load_module
from claimbench.training import recipes, train

FILE = Path(__file__).parents[2] / "fixtures" / "organisms" / "bursty_classification.py"
SEED = 5


@pytest.fixture(scope="module")
def organisms() -> ModuleType:
    load_all_organisms([], FILE.parents[2])
    return load_module(FILE)


def drawn(organisms: ModuleType, kind: str = "known", n: int = 200, **options: Any) -> dict[str, np.ndarray]:
    given: dict[str, Any] = {"classes": 64, "burst": 1, "noise": 0.0, "labels": 16} | options
    found: dict[str, np.ndarray] = organisms.sequences(np.random.default_rng(3), n, SEED, kind, **given)
    return found


def class_of(organisms: ModuleType, items: np.ndarray) -> np.ndarray:
    """The class whose mean lies nearest."""
    means, _ = organisms._world(SEED, 64, 16)
    found: np.ndarray = np.square(items[..., None, :] - means).sum(-1).argmin(-1)
    return found


def items_of_context(organisms: ModuleType, x: np.ndarray) -> np.ndarray:
    found: np.ndarray = x[:, organisms.ITEM_AT, organisms.PLACES :]
    return found


@pytest.mark.parametrize("burst", [1, 2, 4])
def test_each_class_of_the_context_occurs_as_often_as_the_burst_and_one_of_them_is_asked(organisms: ModuleType, burst: int) -> None:
    found = drawn(organisms, burst=burst)
    classes = class_of(organisms, items_of_context(organisms, found["x"]))
    asked = class_of(organisms, found["x"][:, -1, organisms.PLACES :])
    assert (found["match"].sum(1) == burst).all()
    assert ((classes == asked[:, None]) == found["match"]).all()
    assert all(set(np.unique(row, return_counts=True)[1]) == {burst} for row in classes)
    assert (found["y"] == asked % 16).all() and (found["context"] == classes % 16).all()


def test_kinds_differ_in_what_helps(organisms: ModuleType) -> None:
    swapped, absent, novel = (drawn(organisms, kind) for kind in ("swapped", "absent", "novel"))
    asked = class_of(organisms, swapped["x"][:, -1, organisms.PLACES :])
    assert (swapped["y"] != asked % 16).all(), "what was learned in weights is wrong"
    assert (swapped["context"][swapped["match"]] == swapped["y"]).all(), "the context is right"
    assert not absent["match"].any()
    classes = class_of(organisms, items_of_context(organisms, absent["x"]))
    assert (classes != class_of(organisms, absent["x"][:, -1, organisms.PLACES :])[:, None]).all()
    means, _ = organisms._world(SEED, 64, 16)
    away = np.linalg.norm(novel["x"][:, -1, None, organisms.PLACES :] - means, axis=-1).min()
    assert away > 0.3, "classes that training never sees"


def test_labels_tokens_carry_vectors_and_the_items_too_where_they_are_summed(organisms: ModuleType) -> None:
    plain, summed = drawn(organisms), drawn(organisms, summed=True)
    _, vectors = organisms._world(SEED, 64, 16)
    at = organisms.LABEL_AT
    np.testing.assert_allclose(plain["x"][:, at, organisms.PLACES :], vectors[plain["context"]], atol=1e-6)
    np.testing.assert_allclose(
        summed["x"][:, at, organisms.PLACES :],
        vectors[plain["context"]] + items_of_context(organisms, plain["x"]),
        atol=1e-6,
    )
    np.testing.assert_allclose(plain["x"][:, :, : organisms.PLACES].sum(-1), 1.0)


def test_frequencies_follow_the_exponent(organisms: ModuleType) -> None:
    found = drawn(organisms, n=4000, zipf=1.0, kind="absent")
    counts = np.bincount(class_of(organisms, found["x"][:, -1, organisms.PLACES :]), minlength=64)
    uniform = drawn(organisms, n=4000, kind="absent")
    flat = np.bincount(class_of(organisms, uniform["x"][:, -1, organisms.PLACES :]), minlength=64)
    assert counts[0] > 5 * counts[20:].mean() and flat.max() < 2 * flat.mean()


def test_measures_see_a_network_that_names_the_first_context_label(organisms: ModuleType) -> None:
    """Attention set by hand: the last token reads labels, all others themselves; the classifier knows nothing."""
    made = recipes()["bursty-many-classes"]
    from claimbench.training.networks import initial_network
    from claimbench.training.tasks import as_tensors, evaluated, task_named

    model = initial_network(made, 0).model
    batch = as_tensors(organisms.BurstyClassification.probe(np.random.default_rng(0), 256, seed=0))
    found = evaluated(task_named("bursty-classification"), model, batch)
    context = batch["novel context"].numpy()
    distinct = np.array([len(set(row)) for row in context])
    commonest = np.array([np.bincount(row).max() for row in context]) / context.shape[1]
    assert found["random label"] == pytest.approx((1 / distinct).mean())
    assert found["commonest label"] == pytest.approx(commonest.mean())
    assert found["item attention"] == pytest.approx(np.mean([1 / (i + 1) for i in organisms.LABEL_AT]), abs=0.05), "chance"
    with torch.no_grad():
        model.third_bias[3] = 100.0
    named = evaluated(task_named("bursty-classification"), model, batch)
    assert named["context label"] == pytest.approx((context == 3).any(1).mean())
    assert named["in context"] == pytest.approx((batch["novel y"] == 3).double().mean().item())


def test_a_few_classes_are_learned_in_weights(organisms: ModuleType) -> None:
    run = train(recipes()["bursty-few-classes"].with_(steps=150, evaluate_every=50, evaluate_rows=256), SEED)
    assert run.curve[-1]["in weights"] > 0.9 > 0.3 > run.curve[-1]["swapped"]


def minimal(**values: float) -> Any:
    from claimbench.training.networks import initial_network

    model = initial_network(recipes()["minimal-many-classes"], 0).model
    with torch.no_grad():
        for name, value in values.items():
            getattr(model, name).fill_(value)
    return model.requires_grad_(False)


def test_the_minimal_model_attends_by_its_four_numbers_alone(organisms: ModuleType) -> None:
    found = drawn(organisms, kind="novel", n=64)
    x = torch.from_numpy(found["x"])
    _, (first, second) = minimal()(x, patterns=True)
    assert torch.allclose(second, torch.full_like(second, 1 / organisms.TOKENS)), "nothing is preferred"
    torch.testing.assert_close(first[0], torch.tril(torch.ones(9, 9)) / torch.arange(1, 10)[:, None])
    _, (first, second) = minimal(previous=20.0, match=20.0, label=20.0)(x, patterns=True)
    assert float(first[:, organisms.LABEL_AT, organisms.ITEM_AT].min()) > 0.99
    on_labels = second[:, 0, organisms.LABEL_AT].numpy()
    assert on_labels.sum(1).min() > 0.99 and (on_labels[found["match"]] > 0.99).all(), "the right label is attended to"


def test_the_minimal_model_reads_what_it_attends_to_and_knows_no_positions(organisms: ModuleType) -> None:
    x = torch.from_numpy(drawn(organisms, n=16)["x"])
    moved = x.clone()
    moved[..., : organisms.PLACES] = moved[..., : organisms.PLACES].roll(1, -1)
    able = minimal(previous=20.0, match=20.0, label=20.0, read=1.0)
    torch.testing.assert_close(able(x), able(moved))
    other = x.clone()
    other[:, organisms.LABEL_AT, organisms.PLACES :] = other[:, organisms.LABEL_AT, organisms.PLACES :].flip(0)
    assert (able(x) - able(other)).abs().max() > 0.01
    blind = minimal(previous=20.0, match=20.0, label=20.0, read=0.0)
    torch.testing.assert_close(blind(x), blind(other))
