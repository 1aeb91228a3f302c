"""fixtures/build.py records the arms of claims."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from claimbench.running.runs import Runs
from claimbench.running.store import Store

ROOT = Path(__file__).parents[2]
CLAIMS = '''
"""Two arms."""
from claimbench import above, claim, negative, positive
from claimbench.training import Recipe

SHORT = Recipe(
    name="short", version=1, data="labels", options={"items": 10, "labels": 4}, steps=4, batch=4, evaluate_every=2,
    evaluate_rows=4, model={"class": "gpt2", "vocab_size": 14, "n_positions": 8, "n_embd": 8, "n_layer": 1, "n_head": 1},
)
LONG = SHORT.with_(name="long", steps=6)


@claim(
    "paper/long", arms={"long": LONG, "short": SHORT}, holds=above(1.0, unit="steps"), why="-", documented="-",
    controls=[positive(long=LONG.with_(steps=8)), negative(long=SHORT)],
)
def longer(long, short):
    """Steps of one arm over the other."""
    return long.steps - short.steps
'''


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("fixtures_build", ROOT / "fixtures" / "build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "RUNS", tmp_path / "runs")
    return module


def test_arms_of_claims_and_controls_are_recorded_and_taken(build: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "test_long.py"
    path.write_text(CLAIMS)
    found = build.arms([path])
    assert sorted((recipe.name, recipe.steps) for recipe in found.values()) == [("long", 6), ("long", 8), ("short", 4)]
    for digest, recipe in found.items():
        lines = build.build_arms([path], digest, [0, 1], str(tmp_path / "store"), recipe.name == "short")
        assert [line[0] for line in lines] == ["0", "1"]
        taken = Runs(Store(tmp_path / "other"), recorded=tmp_path / "runs").get(recipe, 1)
        assert taken.path.is_relative_to(tmp_path / "runs") and taken.steps == recipe.steps
        assert taken.path.is_file() == (recipe.name == "short") and build._recorded(recipe, 1)
    assert not (tmp_path / "other" / "runs").exists()


def test_seeds_are_shared_out() -> None:
    spec = importlib.util.spec_from_file_location("fixtures_build", ROOT / "fixtures" / "build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module._parts([0, 1, 2, 3, 4], 2) == [[0, 2, 4], [1, 3]]
    assert module._parts([7], 2) == [[7]] and module._parts([], 2) == []
