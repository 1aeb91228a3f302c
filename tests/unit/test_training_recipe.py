"""Recipes are plain, frozen values with a digest that says when two of them train the same thing."""

from __future__ import annotations

import dataclasses
import json

import pytest
from claimbench.errors import DeclarationError
from claimbench.training import Recipe, Stage, Stop


def recipe(**changes: object) -> Recipe:
    base = Recipe(name="tiny", version=1, model={"class": "llama", "vocab_size": 8}, data="labels", options={"items": 5})
    return base.with_(**changes)


def test_digest_depends_on_values_only() -> None:
    assert recipe().digest() == recipe().digest()
    assert recipe(lr=2e-3).digest() != recipe().digest()
    assert recipe(options={"labels": 3}).digest() != recipe().digest()
    assert recipe(stages=(Stage(5, release=True),)).digest() != recipe(stages=(Stage(5),)).digest()


def test_a_value_at_its_default_does_not_enter_the_digest() -> None:
    assert recipe(lr=Recipe.lr).digest() == recipe().digest()
    assert "lr" not in recipe().to_json()


def test_with_merges_mappings_and_replaces_the_rest() -> None:
    derived = recipe(options={"labels": 3}, steps=7)
    assert dict(derived.options) == {"items": 5, "labels": 3}
    assert derived.steps == 7
    assert dict(recipe().options) == {"items": 5}


def test_nothing_can_be_changed_in_place() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe().lr = 1.0  # type: ignore[misc]
    with pytest.raises(TypeError):
        recipe().options["items"] = 9  # type: ignore[index]
    with pytest.raises(TypeError):
        Stage(3, {"a": 1}).options["a"] = 2  # type: ignore[index]


def test_to_json_is_json() -> None:
    full = recipe(stages=(Stage(5, {"a": [1, 2]}, stop=Stop("loss", below=0.1)),), live_heads={1: 2})
    assert json.loads(json.dumps(full.to_json())) == full.to_json()


def test_steps_of_the_plan() -> None:
    assert recipe(steps=9).most_steps == 9
    assert recipe(steps=9, stages=(Stage(3), Stage(4))).most_steps == 7


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lrr": 1.0}, 'did you mean "lr"'),
        ({"schedule": "linear"}, '"constant" or "cosine"'),
        ({"steps": 0}, "at least 1"),
        ({"model": {"class": None}}, "needs a .class."),
        ({"curve_points": 0}, "at least 1"),
        ({"probes": "strength"}, "a tuple of names"),
        ({"checkpoints": (-1,)}, "0 or more"),
    ],
)
def test_mistakes_are_named(changes: dict[str, object], words: str) -> None:
    with pytest.raises(DeclarationError, match=words):
        recipe(**changes)


def test_values_that_are_not_plain_have_no_digest() -> None:
    with pytest.raises(DeclarationError, match="use numbers, strings"):
        recipe(options={"items": object()}).digest()


def test_a_stop_has_one_edge() -> None:
    with pytest.raises(DeclarationError, match="one of above= and below="):
        Stop("loss")
    with pytest.raises(DeclarationError, match="one of above= and below="):
        Stop("loss", above=1.0, below=0.0)
    assert Stop("loss", below=0.5).reached(0.4) and not Stop("loss", below=0.5).reached(0.6)
    assert Stop("accuracy", above=0.5).reached(0.6) and not Stop("accuracy", above=0.5).reached(float("nan"))
