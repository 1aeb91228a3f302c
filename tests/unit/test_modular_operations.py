"""Operations on residues: a transformer of one layer against attention written out, splits, held parts; and noisy sequences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from claimbench.running.collecting import load_all_organisms, load_module
from claimbench.training import recipes, train
from claimbench.training.networks import initial_network
from claimbench.training.preparing import prepared_network

ORGANISMS = Path(__file__).parents[2] / "fixtures" / "organisms"
SEED = 71


def test_the_transformer_is_attention_from_the_last_token() -> None:
    load_all_organisms([], ORGANISMS.parents[1])
    model = initial_network(recipes()["operation-sum"], SEED).model
    a, operation, b = torch.tensor([3, 40, 7]), torch.zeros(3, dtype=torch.long), torch.tensor([5, 40, 0])
    with torch.no_grad():
        tokens = torch.stack([a, 43 + operation, b], 1)
        stream = model.embed[tokens]  # [rows, 3, width]
        query, key, value = (
            (stream @ part).unflatten(2, (4, 16)).transpose(1, 2) for part in (model.query, model.key, model.value)
        )
        mixed = torch.nn.functional.scaled_dot_product_attention(query, key, value)[:, :, -1].flatten(1)
        at_last = stream[:, -1] + mixed @ model.mix
        expected = (at_last + torch.relu(at_last @ model.into) @ model.out) @ model.unembed
        torch.testing.assert_close(model(a, operation, b), expected)


def test_an_operation_has_its_split_whatever_is_beside_it() -> None:
    load_all_organisms([], ORGANISMS.parents[1])
    module = load_module(ORGANISMS / "modular_operations.py")
    alone, beside = (module.rows_of(SEED, 11, 0.75, names, 0.0) for names in (("ab",), ("a+b", "ab")))
    for name in ("a", "b", "y", "train"):
        np.testing.assert_array_equal(alone[name], beside[name][121:])
    assert (alone["y"] == alone["a"] * alone["b"] % 11).all() and alone["train"].sum() == np.ceil(0.75 * 121)
    assert set(beside["operation"][121:]) == {1}


def test_random_labels_are_those_trained_on() -> None:
    load_all_organisms([], ORGANISMS.parents[1])
    module = load_module(ORGANISMS / "modular_operations.py")
    true, drawn = (module.rows_of(SEED, 11, 0.5, ("a+b",), random) for random in (0.0, 1.0))
    same = true["y"] == drawn["y"]
    assert same[~true["train"]].all() and same[true["train"]].mean() < 0.4


def test_parts_of_another_are_held() -> None:
    load_all_organisms([], ORGANISMS.parents[1])
    recipe = recipes()["operation-difference-with-embedding-of-sum"].with_(steps=3, stop=None)
    assert recipe.of is not None
    recipe = recipe.with_(of=recipe.of.with_(steps=2))
    source, model = train(recipe.of, SEED).model, train(recipe, SEED).model  # type: ignore[arg-type]
    before = prepared_network(recipe, SEED, lambda other, at: train(other, at).model).model
    torch.testing.assert_close(model.embed, source.embed)
    assert not torch.equal(model.into, before.into)
    torch.testing.assert_close(before.into, initial_network(recipe, SEED).model.into)


def test_a_share_of_the_labels_trained_on_is_noise_and_fresh_ones_are_true() -> None:
    load_all_organisms([], ORGANISMS.parents[1])
    module = load_module(ORGANISMS / "noisy_sequences.py")
    clean, noisy = (module.sequences_of(SEED, 2000, noise, 0.6) for noise in (0.0, 0.4))
    np.testing.assert_array_equal(clean["ids"], noisy["ids"])
    np.testing.assert_array_equal(clean["true"], noisy["true"])
    assert abs((clean["y"] != noisy["y"]).mean() - 0.4 * 3 / 4) < 0.03  # a label drawn anew is right by chance in one of four


def test_the_mask_of_the_last_record_is_noted() -> None:
    load_all_organisms([], ORGANISMS.parents[1])
    run = train(recipes()["modular-structure"].with_(steps=60), SEED)
    changes = [record["change"] for record in run.curve]
    assert changes[0] == 0.0 and all(0 < change < 1 for change in changes[1:])
    still = train(recipes()["modular-structure"].with_(steps=60, lr=0.0), SEED)
    assert all(record["change"] == 0.0 for record in still.curve)
