"""One trainer: the same numbers for the same recipe and seed, stops when told, and leaves alone what is held."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from claimbench.errors import DeclarationError, InvalidMeasurement
from claimbench.training import Recipe, Stage, Stop, check, disagreements, live_heads, train
from claimbench.training.networks import initial_network

MODEL = {
    "class": "llama", "vocab_size": 14, "hidden_size": 16, "intermediate_size": 4, "num_hidden_layers": 2,
    "num_attention_heads": 4, "max_position_embeddings": 8,
}  # fmt: skip


def tiny(**changes: Any) -> Recipe:
    base = Recipe(
        name="tiny", version=1, model=MODEL, data="labels", options={"items": 10, "labels": 4}, steps=12, batch=8,
        evaluate_every=4, evaluate_rows=16, std=0.1, zero=("*.mlp.*",),
    )  # fmt: skip
    return base.with_(**changes)


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(one: Any, other: Any) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one).values(), weights(other).values(), strict=True))


def test_a_seed_gives_the_same_network_and_curve_again_and_another_seed_does_not() -> None:
    one, again, other = train(tiny(), 3), train(tiny(), 3), train(tiny(), 4)
    assert same(one.model, again.model) and one.curve == again.curve
    assert not same(one.model, other.model) and one.curve != other.curve


def test_training_changes_nothing_outside() -> None:
    torch.manual_seed(5)
    np.random.seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    state = np.random.get_state()[1].tolist()  # type: ignore[index,union-attr]
    threads = torch.get_num_threads()
    train(tiny(), 0)
    assert torch.equal(torch.rand(3), expected)
    assert np.random.get_state()[1].tolist() == state  # type: ignore[index,union-attr]
    assert torch.get_num_threads() == threads


def test_the_curve_and_progress_agree() -> None:
    seen: list[int] = []
    run = train(tiny(steps=10), 0, lambda step, metrics: seen.append(step))
    assert seen == [point["step"] for point in run.curve] == [4, 8, 10]
    assert run.steps == 10 and run.stopped == [False]
    assert {"loss", "trained pairs accuracy", "held-out pairs loss"} <= set(run.final)
    assert not run.model.training and not any(p.requires_grad for p in run.model.parameters())


def test_a_stage_ends_when_its_criterion_is_met_so_many_times() -> None:
    always = Stop("loss", below=100.0, times=2)
    run = train(tiny(stages=(Stage(40, stop=always), Stage(4, {"items": 9}))), 0)
    assert run.stopped == [True, False] and run.steps == 12
    assert [point["stage"] for point in run.curve] == [0, 0, 1]


def test_a_criterion_that_is_not_met_does_not_end_a_stage() -> None:
    run = train(tiny(stages=(Stage(8, stop=Stop("loss", below=1e-9)),)), 0)
    assert run.stopped == [False] and run.steps == 8


def test_a_stop_on_an_unknown_metric_is_named() -> None:
    with pytest.raises(DeclarationError, match='stops on "lss", but labels yields loss'):
        train(tiny(stop=Stop("lss", below=1.0)), 0)


def test_a_loss_that_is_not_finite_is_no_result() -> None:
    with pytest.raises(InvalidMeasurement, match="lower the rate"):
        train(tiny(lr=1e30, std=1e4), 0)


def test_zero_and_frozen_entries_stay() -> None:
    recipe = tiny(frozen=("model.embed_tokens.weight[0:10]",), weight_decay=0.1)
    before = weights(initial_network(recipe, 1).model)
    after = weights(train(recipe, 1).model)
    embedding = "model.embed_tokens.weight"
    assert torch.equal(before[embedding][:10], after[embedding][:10])
    assert not torch.equal(before[embedding][10:], after[embedding][10:])
    assert all(not value.any() for name, value in after.items() if ".mlp." in name)


def test_a_pattern_that_matches_nothing_is_refused() -> None:
    with pytest.raises(DeclarationError, match=r'no parameter matches "\*\.mpl\.\*"'):
        train(tiny(zero=("*.mpl.*",)), 0)


def slices(model: Any, heads: list[int]) -> torch.Tensor:
    attention = model.model.layers[1].self_attn
    columns = [h * attention.head_dim + i for h in heads for i in range(attention.head_dim)]
    return torch.cat([attention.v_proj.weight[columns], attention.o_proj.weight[:, columns].T])


def test_heads_that_do_not_live_are_silent_and_the_seed_draws_them() -> None:
    recipe = tiny(live_heads={1: 1})
    assert {live_heads(recipe, seed)[1][0] for seed in range(20)} == {0, 1, 2, 3}
    model, living = train(recipe, 2).model, live_heads(recipe, 2)[1]
    assert not slices(model, [h for h in range(4) if h not in living]).any()
    assert slices(model, living).all()


def test_released_heads_learn_from_silence_and_settled_ones_stay() -> None:
    first = Stage(8)
    recipe = tiny(live_heads={1: 2}, stages=(first, Stage(8, release=True, settle=True)))
    living = live_heads(recipe, 2)[1]
    silent = [h for h in range(4) if h not in living]
    half, whole = train(tiny(live_heads={1: 2}, stages=(first,)), 2).model, train(recipe, 2).model
    assert torch.equal(slices(half, living), slices(whole, living))
    assert not slices(half, silent).any() and slices(whole, silent).any()
    assert torch.equal(half.model.embed_tokens.weight, whole.model.embed_tokens.weight)
    assert not torch.equal(half.lm_head.weight, whole.lm_head.weight)


def test_arms_of_one_seed_share_initial_weights() -> None:
    one, other = (initial_network(tiny(**change), 7).model for change in ({}, {"lr": 0.5, "name": "another"}))
    assert same(one, other)


def test_gpt2_trains_too() -> None:
    model = {"class": "gpt2", "vocab_size": 14, "n_positions": 8, "n_embd": 16, "n_layer": 1, "n_head": 2}
    recipe = Recipe(name="tiny", version=1, model=model, data="labels", options={"items": 10, "labels": 4}, steps=3, batch=4)
    assert same(train(recipe, 0).model, train(recipe, 0).model)
    with pytest.raises(DeclarationError, match="llama class"):
        train(recipe.with_(live_heads={0: 1}), 0)


def test_check_sees_what_training_changed_and_repeats() -> None:
    recipe = tiny(steps=60, lr=1e-2)
    untrained, trained = check(initial_network(recipe, 0).model, recipe, 0), check(train(recipe, 0).model, recipe, 0)
    assert trained["loss"] < untrained["loss"] - 0.5
    assert disagreements(trained, untrained)
    assert disagreements(trained, check(train(recipe, 0).model, recipe, 0)) == []


def test_disagreements_name_the_metric() -> None:
    assert disagreements({"loss": 1.0, "x accuracy": 0.5}, {"loss": 1.01, "x accuracy": 0.9}) == [
        "x accuracy: rebuilt 0.5, recorded 0.9, tolerance 0.05"
    ]
    assert disagreements({"loss": float("nan")}, {"loss": 1.0})
    with pytest.raises(DeclarationError, match="different metrics"):
        disagreements({"loss": 1.0}, {"los": 1.0})
