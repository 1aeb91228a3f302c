"""Recorded runs come back as they were, and never under another recipe's name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from claimbench.errors import LoadError
from claimbench.training import Recipe, Run, check, load, record, recorded_curve, train

RECIPE = Recipe(
    name="tiny", version=1, data="labels", options={"items": 10, "labels": 4}, steps=60, batch=8, evaluate_every=2,
    evaluate_rows=16, zero=("*.mlp.*",), live_heads={1: 2},
    model={
        "class": "llama", "vocab_size": 14, "hidden_size": 16, "intermediate_size": 4, "num_hidden_layers": 2,
        "num_attention_heads": 4, "max_position_embeddings": 8,
    },
)  # fmt: skip


@pytest.fixture(scope="module")
def run() -> Run:
    return train(RECIPE, 5)


def test_weights_come_back_and_zeros_are_not_stored(run: Run, tmp_path: Path) -> None:
    path = record(run, tmp_path / "tiny")
    loaded = load(RECIPE, path)
    for (name, was), now in zip(run.model.state_dict().items(), loaded.state_dict().values(), strict=True):
        assert torch.equal(was, now), name
    assert not loaded.training and not any(p.requires_grad for p in loaded.parameters())
    assert b".mlp." not in path.read_bytes()
    assert sorted(p.name for p in path.parent.iterdir()) == ["5.json", "5.safetensors"]


def test_recording_twice_gives_the_same_bytes(run: Run, tmp_path: Path) -> None:
    one, again = (record(run, tmp_path / name).read_bytes() for name in ("a", "b"))
    assert one == again


def test_the_curve_is_small_and_says_where_and_when(run: Run, tmp_path: Path) -> None:
    found = recorded_curve(record(run, tmp_path))
    assert len(found["curve"]) <= 20 and found["curve"][-1]["step"] == 60
    assert found["digest"] == RECIPE.digest() and found["seed"] == 5
    assert {"date", "cpu", "torch", "python"} <= set(found["made"])
    assert found["check"] == pytest.approx(check(run.model, RECIPE, 5), rel=1e-3)


def test_weights_of_other_values_or_another_seed_are_refused(run: Run, tmp_path: Path) -> None:
    path = record(run, tmp_path)
    with pytest.raises(LoadError, match=r"digest .* wanted, .* found; rebuild"):
        load(RECIPE.with_(lr=0.5), path)
    with pytest.raises(LoadError, match="seed 6 wanted, 5 found"):
        load(RECIPE, path.rename(tmp_path / "6.safetensors"))


@pytest.mark.parametrize("kept", [0, 5, 400])
def test_damaged_or_missing_files_are_one_line(run: Run, tmp_path: Path, kept: int) -> None:
    path = record(run, tmp_path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(LoadError, match="cannot be read"):
        load(RECIPE, path)
    with pytest.raises(LoadError, match="cannot be read"):
        load(RECIPE, tmp_path / "7.safetensors")
    path.with_suffix(".json").write_text(json.dumps({})[:1])
    with pytest.raises(LoadError, match="cannot be read"):
        recorded_curve(path)
