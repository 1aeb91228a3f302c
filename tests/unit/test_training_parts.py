"""What recipes name: networks, tasks, optimisers, probes, clamps, preparations; censored and diverged runs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from claimbench import Value, log_ratio, steps_to
from claimbench.errors import DeclarationError, InvalidMeasurement, LoadError
from claimbench.training import (
    Recipe,
    Stage,
    Stop,
    clamp,
    declare_recipe,
    functional,
    load,
    load_checkpoint,
    load_initial,
    network,
    output_replaced,
    probe,
    record,
    recorded_curve,
    task,
    train,
)  # fmt: skip
from claimbench.training.declared import recipe as named


@network("test-square", initial=lambda model, rng: model.a.copy_(torch.from_numpy(0.1 * rng.standard_normal(model.a.shape))))
def square(width: int = 3) -> Any:
    return functional({"a": (width, width)}, lambda weights, x: x @ weights.a)


@network("test-two-layers")
def two_layers(width: int = 3, dropout: float = 0.0) -> Any:
    return torch.nn.Sequential(torch.nn.Linear(width, 8), torch.nn.ReLU(), torch.nn.Dropout(dropout), torch.nn.Linear(8, width))


@network("test-no-module")
def no_module() -> Any:
    return {"a": 1}


@task("test-identity")
class Identity:
    """y = x."""

    def batch(rng: Any, n: int, seed: int = 0, width: int = 3) -> dict[str, Any]:
        return {"x": rng.normal(size=(n, width)), "name": "plain values pass"}

    def loss(model: Any, batch: Any) -> Any:
        return ((model(batch["x"]) - batch["x"]) ** 2).mean()

    def metrics(model: Any, batch: Any) -> dict[str, Any]:
        return {"largest": model(batch["x"]).abs().max()}


@probe("test-moved")
def moved(model: Any, initial: dict[str, Any]) -> dict[str, Any]:
    return {"moved": sum((p - initial[name]).norm() for name, p in model.named_parameters())}


@probe("test-drawn")
def drawn(model: Any, rng: np.random.Generator, scale: float = 1.0) -> dict[str, Any]:
    return {"drawn": scale * rng.random()}


SQUARE = Recipe(
    name="square", version=1, model={"class": "test-square"}, data="test-identity", lr=1e-2, batch=16, steps=30,
    evaluate_every=10, evaluate_rows=32, probes=("test-moved",),
)  # fmt: skip


def test_an_own_network_and_task_train_and_are_evaluated() -> None:
    run = train(SQUARE.with_(evaluate_start=True, probes=("test-moved", ("test-drawn", {"scale": 2.0}))), 0)
    assert [point["step"] for point in run.curve] == [0, 10, 20, 30]
    assert set(run.final) == {"step", "stage", "loss", "largest", "moved", "drawn"}
    assert run.curve[0]["moved"] == 0 < run.curve[1]["moved"] and run.final["loss"] < run.curve[0]["loss"]
    assert len({point["drawn"] for point in run.curve}) == 1, "a probe draws the same at every record"
    assert len(run.losses) == 20 and not run.model.training
    assert train(SQUARE, 0).losses == run.losses, "what is measured does not change what is trained"


def test_records_may_grow_apart() -> None:
    run = train(SQUARE.with_(evaluate_every=2, evaluate_growth=2.0, curve_points=3), 0)
    assert [point["step"] for point in run.curve] == [2, 4, 8, 16, 30]


def test_dropout_is_drawn_from_the_seed() -> None:
    noisy = SQUARE.with_(model={"class": "test-two-layers", "dropout": 0.5})
    before = torch.random.get_rng_state()
    one, again, plain = train(noisy, 0), train(noisy, 0), train(noisy.with_(model={"dropout": 0.0}), 0)
    assert one.losses == again.losses != plain.losses
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("adam", {}), ("amsgrad", {"eps": 1e-6}), ("adamax", {}), ("nadam", {}), ("radam", {}), ("rmsprop", {}), ("adagrad", {}),
        ("sgd", {"momentum": 0.9, "nesterov": True}),
    ],
)  # fmt: skip
def test_optimisers_by_name_learn(name: str, options: dict[str, Any]) -> None:
    run = train(SQUARE.with_(optimiser=name, optimiser_options=options, lr=5e-2, evaluate_start=True), 0)
    assert run.final["loss"] < 0.95 * run.curve[0]["loss"]


def test_a_run_begins_from_another_and_keeps_checkpoints(tmp_path: Path) -> None:
    base = SQUARE.with_(checkpoints=(0, 10))
    run = train(base, 1)
    path = record(run, tmp_path)
    assert torch.equal(load_checkpoint(base, path, 10).a, run.checkpoints[10]["a"])
    assert torch.equal(load_initial(base, 1).a, run.checkpoints[0]["a"])
    assert torch.equal(load(base, path).a, run.model.a) and not torch.equal(run.model.a, run.checkpoints[10]["a"])
    with pytest.raises(LoadError, match="keeps no checkpoint of step 20; it keeps 0, 10"):
        load_checkpoint(base, path, 20)
    tuned = SQUARE.with_(name="tuned", of=base, prepare=("weights",), evaluate_start=True)
    assert train(tuned, 1).curve[0]["loss"] == pytest.approx(run.final["loss"])
    assert train(tuned.with_(prepare=(("weights", {"shift": 1}),)), 1).curve[0]["loss"] != pytest.approx(run.final["loss"])
    asked: list[tuple[str, int]] = []
    train(tuned, 1, trained=lambda other, seed: asked.append((other.name, seed)) or run.model)  # type: ignore[func-returns-value]
    assert asked == [("square", 1)]
    assert tuned.digest() != tuned.with_(of=base.with_(lr=0.5)).digest(), "the run that is read is a part of the identity"


def test_a_clamp_of_an_own_network_holds_in_training_and_evaluation_but_not_in_probes() -> None:
    @clamp("test-zero-hidden")
    def zero_hidden(model: Any) -> Any:
        return output_replaced(model[0], torch.zeros_like)

    @probe("test-plain-output")
    def plain_output(model: Any, batch: Any) -> dict[str, Any]:
        return {"output": model(batch["x"]).std(0).sum()}

    clamped = SQUARE.with_(model={"class": "test-two-layers"}, clamps=("test-zero-hidden",), probes=("test-plain-output",))
    run = train(clamped, 0)
    before = load_initial(clamped, 0)
    assert torch.equal(before[0].weight, run.model[0].weight) and not torch.equal(before[3].bias, run.model[3].bias)
    assert run.final["output"] > 0
    assert run.final["largest"] == pytest.approx(float(run.model[3].bias.abs().max()))


def test_a_clamp_of_a_language_model_sees_the_rows() -> None:
    rows: list[int] = []

    @clamp("test-first-token")
    def first_token(lm: Any, batch: Any) -> Any:
        n, t = batch.ids.shape
        rows.append(n)
        pattern = torch.zeros(n, 1, t, t)
        pattern[..., 0] = 1.0
        return lm.replaced("L0.H1.pattern", pattern)

    tiny = Recipe(
        name="tiny", version=1, data="labels", options={"items": 10, "labels": 4}, steps=6, batch=8, evaluate_every=3,
        evaluate_rows=80, std=0.1,
        model={"class": "gpt2", "vocab_size": 14, "n_positions": 8, "n_embd": 16, "n_layer": 1, "n_head": 2},
    )  # fmt: skip
    clamped, plain = train(tiny.with_(clamps=("test-first-token",)), 0), train(tiny, 0)
    assert rows == [8, 8, 8, 160, 8, 8, 8, 160]
    before = load_initial(tiny, 0).transformer.h[0].attn.c_attn.weight
    query = slice(8, 16)  # of the second head
    assert torch.equal(before[:, query], clamped.model.transformer.h[0].attn.c_attn.weight[:, query])
    assert not torch.equal(before[:, query], plain.model.transformer.h[0].attn.c_attn.weight[:, query])


def test_clamps_that_no_pass_meets_are_refused() -> None:
    @task("test-inside")
    class Inside:
        def batch(rng: Any, n: int, seed: int = 0) -> dict[str, Any]:
            return {"x": rng.normal(size=(n, 3))}

        def loss(model: Any, batch: Any) -> Any:
            return (model[3](model[1](model[0](batch["x"]))) ** 2).mean()

    @clamp("test-nothing")
    def nothing(model: Any) -> Any:
        return output_replaced(model[0], torch.zeros_like)

    with pytest.raises(InvalidMeasurement, match=r"let the task's loss call model\(...\)"):
        train(SQUARE.with_(data="test-inside", model={"class": "test-two-layers"}, clamps=("test-nothing",), probes=()), 0)


def test_a_run_that_diverges_says_when_where_the_recipe_allows_it(tmp_path: Path) -> None:
    wild = SQUARE.with_(optimiser="sgd", lr=1e9)
    with pytest.raises(InvalidMeasurement, match=r"at step \d; lower the rate, or say may_diverge=True"):
        train(wild, 0)
    run = train(wild.with_(may_diverge=True, evaluate_every=1), 0)
    assert run.diverged is not None and run.diverged == run.steps == run.final["step"] > 0
    found = recorded_curve(record(run, tmp_path))
    assert found["diverged"] == run.diverged and found["check"] == {}
    assert any(math.isnan(value) for value in found["curve"][-1].values())
    assert steps_to(run, "loss", below=1e-3) == Value(run.steps, math.inf)


def test_steps_to_a_criterion_lie_between_two_records_and_are_open_if_it_is_never_met() -> None:
    class Curve:
        curve = tuple({"step": step, "accuracy": value} for step, value in ((10, 0.1), (20, 0.6), (30, 0.4), (40, 0.7), (50, 0.9)))

    assert steps_to(Curve(), "accuracy", above=0.5) == Value(10, 20)
    assert steps_to(Curve(), "accuracy", above=0.5, times=2) == Value(30, 40)
    assert steps_to(Curve(), "accuracy", below=0.2) == Value(0, 10)
    assert steps_to(Curve(), "accuracy", above=0.95) == Value(50, math.inf)
    assert steps_to(Curve(), "accuracy", above=0.8, times=2) == Value(40, math.inf)
    with pytest.raises(DeclarationError, match='no "acc"; it has step, accuracy'):
        steps_to(Curve(), "acc", above=0.5)


def test_the_ratio_of_two_times_holds_all_that_they_may_be() -> None:
    ratio = log_ratio(Value(100, 200), Value(50, 100))
    assert (ratio.low, ratio.high) == pytest.approx((0.0, math.log(4)))
    assert log_ratio(Value(100, math.inf), Value(10, 20)).high == math.inf
    assert log_ratio(Value(10, 20), Value(100, math.inf)).high == pytest.approx(math.log(0.2))
    assert log_ratio(Value(0, 10), Value(0, 10)) == Value(-math.inf, math.inf)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": "test-identit"}, 'did you mean "test-identity"'),
        ({"model": {"class": "test-squar"}}, 'did you mean "test-square"'),
        ({"model": {"height": 3}}, "unexpected keyword argument 'height'; it takes width"),
        ({"model": {"class": "test-no-module"}}, r"gave a dict; it must return a torch.nn.Module"),
        ({"options": {"height": 3}}, "task test-identity: .*it takes rng, n, seed, width"),
        ({"optimiser": "adamww"}, 'did you mean "adamw"'),
        ({"optimiser_options": {"momentum": 1}}, "unexpected keyword argument 'momentum'"),
        ({"probes": ("test-move",)}, 'did you mean "test-moved"'),
        ({"clamps": ("nothing-like-it",)}, 'clamp "nothing-like-it" is unknown'),
        ({"prepare": ("weights",)}, "name its recipe with of="),
        ({"frozen": ("a",)}, "nothing to train"),
        ({"stop": Stop("los", below=0)}, 'stops on "los", but test-identity yields loss, largest, moved'),
    ],
)
def test_mistakes_are_one_line(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(DeclarationError, match=words):
        train(SQUARE.with_(**changes), 0)


def test_a_stage_may_change_the_data() -> None:
    @task("test-zero")
    class Zero:
        batch = Identity.batch

        def loss(model: Any, batch: Any) -> Any:
            return (model(batch["x"]) ** 2).mean()

    run = train(SQUARE.with_(stages=(Stage(10), Stage(10, data="test-zero"))), 0)
    assert "largest" in run.curve[0] and "largest" not in run.curve[1]


def test_recipes_by_name_are_looked_up_when_they_are_used() -> None:
    later = named("test-later").with_(lr=0.5).with_(options={"width": 2}, of=named("test-later"))
    with pytest.raises(DeclarationError, match='recipe "test-later" is unknown'):
        later.digest()
    declared = declare_recipe(SQUARE.with_(name="test-later"))
    assert later.found == declared.with_(lr=0.5, options={"width": 2}, of=declared)
    assert later.digest() == later.found.digest() and later.steps == 30
    with pytest.raises(DeclarationError, match='two recipes are called "test-later"'):
        declare_recipe(declared.with_(lr=0.5))
