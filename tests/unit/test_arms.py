"""Arms: a claim about training receives the run of each recipe at the replicate's seed; runs are trained once and shared."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from claimbench import Claim, DeclarationError, Value, above, claim, negative, positive, step
from claimbench.running import executor, workers
from claimbench.running.interruption import Interruption
from claimbench.running.item import items_of
from claimbench.running.measure import parts_of
from claimbench.running.options import checked
from claimbench.running.session import Session
from claimbench.training import Recipe

SHORT = Recipe(
    name="short",
    version=1,
    model={
        "class": "llama", "vocab_size": 55, "hidden_size": 16, "intermediate_size": 4, "num_hidden_layers": 1,
        "num_attention_heads": 2, "max_position_embeddings": 8,
    },
    data="labels",
    steps=4,
    evaluate_every=2,
    evaluate_rows=16,
    batch=8,
)  # fmt: skip
LONGER = SHORT.with_(name="longer", steps=8)


def longer_runs_have_more_steps(long, short):
    """Steps of the long arm minus those of the short one."""
    return long.record["steps"] - short.record["steps"]


def declared(**more: Any) -> Claim:
    """The claim; not at module level, where pytest would collect it."""
    return claim(
        "paper/longer-runs-have-more-steps",
        arms={"long": LONGER, "short": SHORT},
        holds=above(2.0, unit="steps"),
        why="by construction",
        documented="none",
        controls=[positive(long=LONGER.with_(steps=12)), negative(long=SHORT)],
        **more,
    )(longer_runs_have_more_steps)


def session(folder: Path) -> Session:
    return Session(checked(store=folder, profile="smoke"))


def test_a_claim_about_training_is_judged_and_its_controls_replace_arms(tmp_path: Path) -> None:
    results = [session(tmp_path).run(i) for i in items_of(declared(), "id", with_controls=True)]
    assert [r["verdict"] for r in results] == ["SUPPORTED", "SUPPORTED", "REFUTED"]
    assert results[0]["subject_kind"] == "recipe" and results[0]["replicate_unit"] == "seed"


@step
def lengths(arms, observe):
    """Steps of every arm, at every seed."""
    times = {name: Value(0.0, float(run.steps)) for name, run in arms.items()}
    observe.times("Steps", times, budget=20, unit="steps")


@step(scope="subject")
def of_one_seed(short, observe):
    """Shown of the first seed alone."""
    observe.value("Seed", short.seed, unit="1")
    first, again = (short.batch(np.random.default_rng(5), 3).ids for _ in range(2))
    observe.value("Rows", len(first), unit="1")
    observe.value("Equal", float((first == again).all()), unit="1")


def test_what_is_shown_of_arms_is_shown_of_every_seed_and_leaves_the_effects_in_the_store(tmp_path: Path) -> None:
    (plain,) = items_of(declared(), "id")
    session(tmp_path).run(plain)
    before = {path.name for path in tmp_path.rglob("*.json")}
    (shown,) = items_of(declared(shows=[lengths, of_one_seed]), "id")
    measured = session(tmp_path).measurer
    for part in parts_of(plain, 0):
        assert measured.keys.of(plain, part, 0) == measured.keys.of(shown, part, 0)
    found = session(tmp_path).run(shown)["observations"]
    assert [(arm["name"], arm["runs"], arm["at"]) for arm in found["Steps"]["arms"]] == [("long", 6, [8]), ("short", 6, [4])]
    assert [found[title]["rows"] for title in ("Seed", "Rows", "Equal")] == [[[0, 0]], [[0, 3]], [[0, 1.0]]]
    assert len({path.name for path in tmp_path.rglob("*.json")} - before) == 6 + 1  # what is shown, and nothing else


def test_runs_are_trained_once_and_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from claimbench import training

    trained = []
    train, train_together = training.train, training.train_together

    def one(recipe, seed, **more):
        trained.append((recipe.name, seed))
        return train(recipe, seed, **more)

    def several(recipe, seeds, **more):
        found = train_together(recipe, seeds, **more)
        trained.extend((recipe.name, run.seed) for run in (found.runs if found else ()))
        return found

    monkeypatch.setattr(training, "train", one)
    monkeypatch.setattr(training, "train_together", several)
    for item in items_of(declared(), "id", with_controls=True):
        session(tmp_path).run(item)
    assert len(trained) == len(set(trained)) + 6, "the longer arm of the positive control is another recipe of the same name"
    count = len(trained)
    session(tmp_path).run(next(iter(items_of(declared(), "id"))))
    assert len(trained) == count


def test_a_claim_without_subject_or_arms_is_refused() -> None:
    with pytest.raises(DeclarationError, match="no subject"):
        claim(
            "paper/nothing", holds=above(0, unit="nat"), why="-", documented="-",
            controls=[positive(label="a", x=1), negative(label="b", x=2)],
        )(longer_runs_have_more_steps)  # fmt: skip


class Pool:
    """Does at once, in this process, what it is given."""

    def __init__(self) -> None:
        self.given: list[tuple[str, object]] = []

    def submit(self, function, *arguments):
        self.given.append((function.__name__, arguments[-1]))
        done = Future()
        done.set_result(function(*arguments))
        return done


@pytest.mark.parametrize(("jobs", "parts"), [(1, [[0, 1, 2, 3, 4, 5]]), (3, [[0, 3], [1, 4], [2, 5]])])
def test_processes_train_the_seeds_of_an_arm_together_before_they_measure(
    jobs: int, parts: list[list[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, pool = session(tmp_path), Pool()
    items = list(items_of(declared(), "id", with_controls=True))
    by_label = {item.label: item for item in items}
    monkeypatch.setattr(workers, "session", lambda: shared)
    monkeypatch.setattr(executor.Order, "of", lambda item: SimpleNamespace(item=lambda: by_label[item.label]))
    executor._Schedule(items, shared, pool, jobs, lambda *_: None).run(Interruption())
    trained = [seeds for name, seeds in pool.given if name == "_train"]
    assert trained == 3 * parts, "three recipes, each once: long, short, and the longer one of the positive control"
    assert [shared.replay(item)[0].verdict.value for item in items] == ["SUPPORTED", "SUPPORTED", "REFUTED"]
