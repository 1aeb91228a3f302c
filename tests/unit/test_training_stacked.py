"""Several seeds as one program: the numbers of each are those of a run of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from claimbench.training import Recipe, Run, Saved, Stage, Stop, functional, network, task, train, train_seeds, train_together
from claimbench.training.stacked import NotStackable, Stack

LLAMA = Recipe(
    name="tiny", version=1, data="labels", options={"items": 10, "labels": 4}, steps=24, batch=8, evaluate_every=8,
    evaluate_rows=16, std=0.1, lr=3e-3, zero=("*.mlp.*",), clip=0.5, warmup=3,
    model={
        "class": "llama", "vocab_size": 14, "hidden_size": 16, "intermediate_size": 4, "num_hidden_layers": 2,
        "num_attention_heads": 4, "max_position_embeddings": 8,
    },
)  # fmt: skip


@network("stacked-bilinear")
def bilinear(width: int = 3) -> Any:
    return functional({"a": (width, width)}, lambda weights, x, y: torch.einsum("nk,kl,nl->n", x, weights.a, y))


@network("stacked-mlp")
def mlp(width: int = 6, dropout: float = 0.0) -> Any:
    return torch.nn.Sequential(torch.nn.Linear(width, 8), torch.nn.ReLU(), torch.nn.Dropout(dropout), torch.nn.Linear(8, 1))


@task("stacked-product")
class Product:
    """The inner product of two vectors, by a bilinear network or from their concatenation."""

    def batch(rng: np.random.Generator, n: int, seed: int = 0, ragged: bool = False) -> dict[str, Any]:
        n = n + int(rng.integers(3)) if ragged else n
        return {"x": rng.normal(size=(n, 3)), "y": rng.normal(size=(n, 3)), "kind": "plain"}

    def loss(model: Any, batch: Any) -> Any:
        assert batch["kind"] == "plain"
        right = (batch["x"] * batch["y"]).sum(-1)
        if hasattr(model, "a"):
            return ((model(batch["x"], batch["y"]) - right) ** 2).mean() + 0.01 * model.a.abs().mean()
        return ((model(torch.cat([batch["x"], batch["y"]], -1))[:, 0] - right) ** 2).mean()


OWN = Recipe(
    name="own", version=1, model={"class": "stacked-bilinear"}, data="stacked-product", std=0.3, lr=1e-2, steps=40, batch=16,
    evaluate_every=10, evaluate_rows=32, checkpoints=(0, 7),
)  # fmt: skip


def agree(together: list[Run], recipe: Recipe, seeds: list[int], tolerance: float = 1e-5) -> None:
    for run, seed in zip(together, seeds, strict=True):
        alone = train(recipe, seed)
        assert run.seed == seed and run.steps == alone.steps and run.stopped == alone.stopped and run.diverged == alone.diverged
        assert run.losses == pytest.approx(alone.losses, rel=tolerance, nan_ok=True)
        assert [p["step"] for p in run.curve] == [p["step"] for p in alone.curve]
        for one, other in zip(run.curve, alone.curve, strict=True):
            assert one == pytest.approx(other, rel=20 * tolerance, abs=20 * tolerance, nan_ok=True)
        for (name, value), other in zip(run.model.named_parameters(), alone.model.parameters(), strict=True):
            torch.testing.assert_close(value, other, rtol=1e-3, atol=1e-4, equal_nan=True, msg=name)
        assert {k: sorted(v) for k, v in run.checkpoints.items()} == {k: sorted(v) for k, v in alone.checkpoints.items()}
        assert not run.model.training and not any(p.requires_grad for p in run.model.parameters())


@pytest.mark.parametrize(
    "recipe",
    [
        OWN,
        OWN.with_(clip=0.1, optimiser="sgd", optimiser_options={"momentum": 0.9}, schedule="cosine"),
        OWN.with_(model={"class": "stacked-mlp"}, weight_decay=0.1, stages=(Stage(10), Stage(10, lr=1e-3, batch=4))),
        LLAMA,
        LLAMA.with_(live_heads={1: 2}, frozen=("model.embed_tokens.weight[0:10]",), scale={"lm_head.weight": 0.0}),
        LLAMA.with_(data="rules", options={"tokens": 12, "bos": 12, "default": 13, "chunks": 5, "singles": 2, "squares": 0},
                    model={"max_position_embeddings": 16}),
    ],
    ids=["own", "sgd", "stages", "llama", "held", "ragged targets"],
)  # fmt: skip
def test_seeds_together_are_the_seeds_alone(recipe: Recipe) -> None:
    if recipe.data == "rules":
        recipe = Recipe(**{**{f: getattr(recipe, f) for f in recipe.__dataclass_fields__}, "options": {
            k: v for k, v in recipe.options.items() if k not in ("items", "labels")}})  # fmt: skip
    seeds = [3, 0, 5]
    agree(train_seeds(recipe, seeds, stacked=True), recipe, seeds)


def test_gpt2_seeds_together() -> None:
    recipe = LLAMA.with_(steps=8)
    recipe = Recipe(
        name="gpt2", version=1, data="labels", options=recipe.options, steps=8, batch=8, evaluate_every=4, evaluate_rows=16,
        model={"class": "gpt2", "vocab_size": 14, "n_positions": 8, "n_embd": 16, "n_layer": 1, "n_head": 2},
    )  # fmt: skip
    agree(train_seeds(recipe, [0, 1], stacked=True), recipe, [0, 1])


def test_a_seed_that_stops_or_diverges_leaves_the_others_alone() -> None:
    level = sorted(point["loss"] for seed in (0, 1, 2) for point in train(OWN, seed).curve)[6]
    stopping = OWN.with_(stop=Stop("loss", below=level), evaluate_every=3)
    together = train_seeds(stopping, [0, 1, 2], stacked=True)
    assert len({run.steps for run in together}) > 1
    agree(together, stopping, [0, 1, 2])
    wild = OWN.with_(optimiser="sgd", lr=0.6, may_diverge=True, steps=120)
    together = train_seeds(wild, [0, 1, 2, 3, 4, 5], stacked=True)
    agree(together, wild, [0, 1, 2, 3, 4, 5], tolerance=1e-3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": {"class": "stacked-mlp", "dropout": 0.5}}, "Dropout draws numbers"),
        ({"stages": (Stage(4, stop=Stop("loss", below=0.0)), Stage(4))}, "before the last may stop early"),
        ({"options": {"ragged": True}}, "differs in shape between seeds"),
    ],
)
def test_what_cannot_go_into_one_program_is_named_and_trained_alone(changes: dict[str, Any], words: str) -> None:
    recipe = OWN.with_(**changes)
    with pytest.raises(NotStackable, match=words):
        train_seeds(recipe, [0, 1], stacked=True)
    assert [run.losses for run in train_seeds(recipe, [0, 1])] == [train(recipe, seed).losses for seed in (0, 1)]


def test_the_trial_changes_no_numbers() -> None:
    agree(train_seeds(OWN, [0, 1, 2]), OWN, [0, 1, 2])


HELD = OWN.with_(
    name="held", model={"class": "stacked-mlp"}, frozen=("0.bias",), weight_decay=0.1,
    stages=(Stage(12), Stage(14, lr=1e-3, batch=4)),
)  # fmt: skip


@pytest.mark.parametrize("stop", [1, 11, 12, 13, 25])
def test_seeds_that_are_killed_together_go_on_together_with_the_same_numbers(
    stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    seeds, steps = [0, 1, 2], [0]
    whole = train_seeds(HELD, seeds, stacked=True)
    step = Stack.step

    def counted(self: Stack) -> None:
        if steps[0] == stop:
            raise Killed
        step(self)
        steps[0] += 1

    monkeypatch.setattr(Stack, "step", counted)
    with pytest.raises(Killed):
        train_together(HELD, seeds, stacked=True, saved={s: Saved(tmp_path / f"{s}.state", every=0.0) for s in seeds})
    monkeypatch.setattr(Stack, "step", lambda self: (step(self), steps.append(1))[0])
    again = train_together(HELD, seeds, saved={s: Saved(tmp_path / f"{s}.state") for s in seeds})
    assert again is not None and not again.problems
    assert sum(steps[1:]) == 26 - (stop - (stop == 12)), "it goes on from the last state, which is never at the end of a stage"
    for one, other in zip(again.runs, whole, strict=True):
        assert (one.losses, one.curve, one.stopped, one.steps) == (other.losses, other.curve, other.stopped, other.steps)
        for mine, theirs in zip(one.model.parameters(), other.model.parameters(), strict=True):
            assert torch.equal(mine, theirs)


def test_seeds_whose_states_are_of_several_steps_go_on_alone(tmp_path: Path) -> None:
    saved = {s: Saved(tmp_path / f"{s}.state", every=0.0) for s in (0, 1)}
    train(HELD, 1, saved=saved[1])
    assert train_together(HELD, [0, 1], stacked=True, saved=saved) is None
