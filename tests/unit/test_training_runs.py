"""Runs in the store and recorded ones: taken when they are of the present values and code, resumed, refused, replayed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from claimbench.errors import InvalidMeasurement, LoadError, StoreError
from claimbench.running.code_digest import helpers_digest
from claimbench.running.collecting import load_module
from claimbench.running.runs import Runs, recorded_folder
from claimbench.running.store import Store
from claimbench.training import (
    Recipe,
    Saved,
    Stage,
    functional,
    named_functions,
    network,
    preparation,
    record,
    task,
    train,
    train_seeds,
    train_together,
)
from claimbench.training import resume as resuming
from claimbench.training.functions import functions_digest
from claimbench.training.loop import Loop
from claimbench.training.registry import Registry


@network("runs-square")
def square(dropout: float = 0.0) -> Any:
    drop = torch.nn.Dropout(dropout)
    made = functional({"a": (3, 3), "b": (3,)}, lambda weights, x: drop(x @ weights.a) + weights.b)
    made.drop = drop
    return made


@task("runs-identity")
class Identity:
    def batch(rng: np.random.Generator, n: int, seed: int = 0, shift: float = 0.0) -> dict[str, Any]:
        return {"x": rng.normal(size=(n, 3)) + shift}

    def loss(model: Any, batch: Any) -> Any:
        return ((model(batch["x"]) - batch["x"]) ** 2).mean()


RECIPE = Recipe(
    name="square", version=1, model={"class": "runs-square", "dropout": 0.2}, data="runs-identity", lr=1e-2, batch=8,
    evaluate_every=5, evaluate_rows=16, checkpoints=(3, 30), stages=(Stage(13), Stage(21, {"shift": 1.0}, lr=1e-3)),
)  # fmt: skip


def runs(folder: Path, **options: Any) -> Runs:
    return Runs(Store(folder / "store"), recorded=folder / "recorded", **options)


@pytest.mark.parametrize("stop", [1, 4, 13, 14, 20, 33])
def test_a_run_that_is_interrupted_at_any_step_goes_on_as_if_it_had_not_been(stop: int, tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    whole, saved, seen = train(RECIPE, 2), Saved(tmp_path / "2.state", every=0.0), [0]
    after_step = saved.after_step

    def kill(loop: Loop, seconds: float) -> None:
        after_step(loop, seconds)
        seen[0] += 1
        if loop.run.steps == stop:
            raise Killed

    saved.after_step = kill  # type: ignore[method-assign]
    with pytest.raises(Killed):
        train(RECIPE, 2, saved=saved)
    again = train(RECIPE, 2, saved=Saved(tmp_path / "2.state", every=0.0))
    assert (again.losses, again.curve, again.stopped, again.steps) == (whole.losses, whole.curve, whole.stopped, whole.steps)
    for one, other in zip(again.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(one, other)
    assert {s: w["a"].tolist() for s, w in again.checkpoints.items()} == {s: w["a"].tolist() for s, w in whole.checkpoints.items()}


@pytest.mark.parametrize("content", [b"", b"no state", b"PK\x03\x04"])
def test_a_torn_or_foreign_state_counts_as_none(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "0.state"
    path.write_bytes(content)
    assert train(RECIPE, 0, saved=Saved(path)).losses == train(RECIPE, 0).losses
    loop_of = RECIPE.with_(lr=0.5)
    state = Saved(path, every=0.0)
    train(loop_of, 0, saved=state)
    assert path.exists() and train(RECIPE, 0, saved=Saved(path)).losses == train(RECIPE, 0).losses


SCRIPT = """
import sys, time
sys.path.insert(0, {unit!r})
import test_training_runs as here
from claimbench.training import resume
resume.EVERY = 0.0
resume.Saved.__init__.__defaults__ = (0.0,)
step = here.Loop.step
here.Loop.step = lambda self: (step(self), time.sleep(0.02), print(self.run.steps, flush=True))[0]
here.runs(here.Path({folder!r})).get(here.RECIPE, 1)
"""


def test_a_killed_process_leaves_a_state_that_the_next_goes_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = SCRIPT.format(unit=str(Path(__file__).parent), folder=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 9 and list(tmp_path.rglob("*.state")):
                os.kill(process.pid, signal.SIGKILL)
                break
    steps: list[int] = []
    step = Loop.step
    monkeypatch.setattr(Loop, "step", lambda self: (steps.append(self.run.steps), step(self))[1])
    found = runs(tmp_path).get(RECIPE, 1)
    whole = train(RECIPE, 1)
    assert steps[0] >= 8, "it began anew"
    assert found.record["losses"] == pytest.approx(whole.losses, rel=1e-6)
    assert found.curve[-1]["loss"] == pytest.approx(whole.final["loss"], rel=1e-4)
    assert not list(found.path.parent.glob("*.state*"))


def test_recorded_runs_are_taken_with_and_without_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = recorded_folder(tmp_path / "recorded", RECIPE)
    for seed in (0, 1):
        record(train(RECIPE, seed), folder)
    (folder / "1.safetensors").unlink()
    found = runs(tmp_path).get(RECIPE, 0)
    assert found.path == folder / "0.safetensors" and found.steps == 34
    assert not (tmp_path / "store" / "runs").exists()
    curve_only = runs(tmp_path).get(RECIPE, 1)
    assert curve_only.path.parent == folder and curve_only.curve[-1]["step"] == 34
    assert torch.equal(curve_only.model.a, train(RECIPE, 1).model.a)
    assert (tmp_path / "store" / "runs").exists(), "its weights were trained where they were asked for"
    assert runs(tmp_path, retrain="all").get(RECIPE, 0).path.parent != folder
    assert runs(tmp_path).get(RECIPE.with_(lr=0.5), 0).path.parent != folder


def test_a_recorded_run_that_does_not_come_out_again_names_the_step(tmp_path: Path) -> None:
    folder = recorded_folder(tmp_path / "recorded", RECIPE)
    path = record(train(RECIPE, 0), folder).with_suffix(".json")
    body = json.loads(path.read_text())
    body["losses"][7] *= 1.1
    path.write_text(json.dumps(body))
    with pytest.raises(InvalidMeasurement, match=r"square at seed 0 does not come out again: at step 7 .*record it again"):
        runs(tmp_path).get(RECIPE, 0)
    assert runs(tmp_path, retrain="none").get(RECIPE, 0).steps == 34
    body["digest"] = "0" * 64
    path.write_text(json.dumps(body))
    with pytest.raises(LoadError, match="of other values than recipe square"):
        runs(tmp_path).get(RECIPE, 0)


def test_a_recipe_that_is_not_deterministic_is_found_out(tmp_path: Path) -> None:
    calls = [0]

    @task("runs-moody")
    class Moody:
        def batch(rng: np.random.Generator, n: int, seed: int = 0) -> dict[str, Any]:
            calls[0] += 1
            return {"x": rng.normal(size=(n, 3)) + calls[0]}

        loss = Identity.loss

    with pytest.raises(InvalidMeasurement, match="not deterministic: at seed 0 the loss of step 0 was"):
        runs(tmp_path).get(RECIPE.with_(name="moody", data="runs-moody", stages=(Stage(4),)), 0)


def test_several_seeds_at_once_are_those_that_were_missing(tmp_path: Path) -> None:
    recipe = RECIPE.with_(model={"dropout": 0.0})
    mine = runs(tmp_path)
    first = mine.get(recipe, 1)
    before = first.path.stat().st_mtime_ns
    found = mine.get_all(recipe, [0, 1, 2])
    assert [run.seed for run in found] == [0, 1, 2] and found[1].path.stat().st_mtime_ns == before
    for run in found:
        assert run.record["losses"] == pytest.approx(train(recipe, run.seed).losses, rel=1e-4)


def test_a_run_that_begins_from_another_trains_that_one_once(tmp_path: Path) -> None:
    @preparation("runs-half")
    def half(net: Any, of: Any) -> None:
        net.model.load_state_dict({name: value / 2 for name, value in of().state_dict().items()})

    ticket = RECIPE.with_(name="ticket", of=RECIPE, prepare=("runs-half",))
    mine = runs(tmp_path)
    arm, base = mine.get(ticket, 0), mine.get(RECIPE, 0)
    assert torch.equal(arm.initial.a, base.model.a / 2)
    assert len(list((tmp_path / "store" / "runs").iterdir())) == 2


def test_a_full_disk_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(resuming.Saved, "after_step", full)
    with pytest.raises(StoreError, match=r"No space left on device.*free some space"):
        runs(tmp_path).get(RECIPE, 0)


CODE = """
class Edited:
    def batch(rng, n, seed=0):
        return {"x": rng.normal(size=(n, 3))}

    def loss(model, batch):
        return (model(batch["x"]) ** 2).mean()
"""


def test_a_task_whose_code_changes_is_another_and_a_comment_changes_nothing(tmp_path: Path) -> None:
    def source(name: str, code: str) -> str:
        (tmp_path / f"{name}.py").write_text(code)
        registry: Registry[Any] = Registry("task")
        registry.add("edited", load_module(tmp_path / f"{name}.py").Edited)
        return registry.source("edited")

    first = source("one", CODE)
    assert source("two", CODE.replace("        return {", "        # a remark\n        return {")) == first
    assert source("three", CODE.replace("** 2", "** 4")) != first
    assert Runs.identity(RECIPE) != Runs.identity(RECIPE.with_(optimiser="adam"))
    assert functions_digest(RECIPE) == functions_digest(RECIPE.with_(lr=0.5))


HELPED = """
from claimbench.training import functional, network, task

SHIFT = 1.0


def shifted(x):
    return x + SHIFT


@network("{name}-net")
def net():
    return functional({{"a": (3, 3)}}, lambda weights, x: x @ weights.a)


@task("{name}-task")
class Shifted:
    def batch(rng, n, seed=0):
        return {{"x": shifted(rng.normal(size=(n, 3)))}}

    def loss(model, batch):
        return (model(batch["x"]) ** 2).mean()
"""


def helped(tmp_path: Path, name: str, code: str = HELPED) -> Recipe:
    (tmp_path / f"{name}.py").write_text(code.format(name=name))
    load_module(tmp_path / f"{name}.py")
    return Recipe(name=name, version=1, model={"class": f"{name}-net"}, data=f"{name}-task", steps=22, batch=4, std=0.3)


def code_of(recipe: Recipe) -> str | None:
    return helpers_digest(*named_functions(recipe))


def test_helpers_that_functions_reach_by_name_count_and_where_there_are_none_nothing_changes(tmp_path: Path) -> None:
    plain = RECIPE.with_(model={"dropout": 0.0})
    assert code_of(plain) == code_of(plain.with_(lr=0.5))
    bare = helped(tmp_path, "bare", HELPED.replace("shifted(rng.normal(size=(n, 3)))", "rng.normal(size=(n, 3))"))
    assert code_of(bare) is None
    assert Runs.identity(bare) == f"{functions_digest(bare)[:8]}-{bare.digest()}"
    first = helped(tmp_path, "one")
    same = helped(tmp_path, "two", HELPED.replace("SHIFT = 1.0", "SHIFT = 1.0  # a remark"))
    assert code_of(first) == code_of(same) is not None
    for number, (old, new) in enumerate([("SHIFT = 1.0", "SHIFT = 2.0"), ("x + SHIFT", "x - SHIFT")]):
        assert code_of(helped(tmp_path, f"other{number}", HELPED.replace(old, new))) != code_of(first), new


@pytest.mark.parametrize("agrees", [True, False])
def test_a_run_from_when_helpers_did_not_count_is_taken_over_if_it_comes_out_again(tmp_path: Path, agrees: bool) -> None:
    recipe = helped(tmp_path, f"older-{agrees}".lower())
    path = record(train(recipe, 0), tmp_path / "store" / "runs" / f"{functions_digest(recipe)[:8]}-{recipe.digest()}"[:41])
    body = json.loads(path.with_suffix(".json").read_text())
    body["seconds"] = 12345.0
    if not agrees:
        body["losses"][3] *= 1.1
    path.with_suffix(".json").write_text(json.dumps(body))
    found = runs(tmp_path).get(recipe, 0)
    assert found.path.parent != path.parent and found.model.a.shape == (3, 3)
    assert (found.record["seconds"] == 12345.0) is agrees


@task("runs-hole")
class Hole(Identity):
    """Seed 1 meets a batch that is not finite, sooner or later."""

    def batch(rng: np.random.Generator, n: int, seed: int = 0) -> dict[str, Any]:
        return {"x": rng.normal(size=(n, 3)) * (np.inf if seed == 1 and rng.random() < 0.3 else 1.0)}


def test_one_seed_that_diverges_does_not_end_the_others(tmp_path: Path) -> None:
    hole = Recipe(name="hole", version=1, model={"class": "runs-square"}, data="runs-hole", steps=30, batch=4, std=0.3)
    step = train(hole.with_(may_diverge=True), 1).diverged
    assert step is not None
    words = rf"training hole at seed 1: the loss is nan at step {step}"
    together = train_together(hole, range(4), stacked=True)
    assert together is not None and [run.seed for run in together.runs] == [0, 2, 3]
    assert [run.steps for run in together.runs] == [30, 30, 30] and list(together.problems) == [1]
    with pytest.raises(InvalidMeasurement, match=words):
        train_seeds(hole, range(4), stacked=True)
    mine = runs(tmp_path)
    with pytest.raises(InvalidMeasurement, match=words):
        mine.get_all(hole, range(4))
    assert mine.missing(hole, range(4)) == [1]


def test_two_processes_want_one_run_and_one_of_them_trains_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = SCRIPT.format(unit=str(Path(__file__).parent), folder=str(tmp_path))
    steps, said = [], []
    step = Loop.step
    monkeypatch.setattr(Loop, "step", lambda self: (steps.append(self.run.steps), step(self))[1])
    monkeypatch.setattr("claimbench.running.store.PATIENCE", 0.05)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        other.stdout.readline()  # it trains, so it holds the lock
        mine = runs(tmp_path)
        mine.store.say = said.append
        found = mine.get(RECIPE, 1)
    assert other.returncode == 0 and found.steps == 34 and not steps
    assert len(said) == 1 and f"held by process {other.pid}" in said[0]


def test_a_lock_whose_holder_died_is_free(tmp_path: Path) -> None:
    script = SCRIPT.format(unit=str(Path(__file__).parent), folder=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        other.stdout.readline()
        os.kill(other.pid, signal.SIGKILL)
    assert list((tmp_path / "store" / "locks").glob("*.holder")), "it left its name behind"
    assert runs(tmp_path).get(RECIPE, 1).steps == 34


def test_a_disk_that_is_full_when_a_state_is_saved_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    mine = runs(tmp_path)
    path = mine._path(RECIPE, 0)
    path.parent.mkdir(parents=True)
    path.with_name("0.state.part").symlink_to("/dev/full")
    monkeypatch.setattr(resuming.Saved.__init__, "__defaults__", (0.0,))
    with pytest.raises(StoreError, match=r"No space left on device.*free some space"):
        mine.get(RECIPE, 0)


def test_progress_is_told_at_every_record_and_not_of_a_run_that_is_there(tmp_path: Path) -> None:
    told: list[int] = []
    found = runs(tmp_path, progress=lambda step, metrics: told.append(step)).get(RECIPE, 1)
    assert told == [point["step"] for point in found.curve] and told[-1] == RECIPE.most_steps
    runs(tmp_path, progress=lambda step, metrics: told.append(-1)).get(RECIPE, 1)
    assert -1 not in told
