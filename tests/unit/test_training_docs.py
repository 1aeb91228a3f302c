"""What docs/training.md shows is what runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from claimbench.running.collecting import claims_in, load_module
from claimbench.running.item import items_of
from claimbench.running.options import checked
from claimbench.running.session import Session
from claimbench.subjects.family import load_organisms
from claimbench.training import Recipe, clamp, output_replaced, preparation, recipes, train

PAGE = Path(__file__).parents[2] / "docs" / "training.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
GPT2 = {"class": "gpt2", "vocab_size": 14, "n_positions": 8, "n_embd": 16, "n_layer": 1, "n_head": 2}
DENSE = Recipe(
    name="dense", version=1, model=GPT2, data="labels", options={"items": 10, "labels": 4}, steps=4, batch=8, evaluate_rows=8
)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The example's claim and its controls, run in a folder of its own."""
    folder = tmp_path_factory.mktemp("example")
    (folder / "organisms").mkdir()
    (folder / "organisms" / "in_context.py").write_text('"""Shown."""\n' + BLOCKS[0])
    (folder / "test_regression.py").write_text('"""Shown."""\n' + BLOCKS[1])
    load_organisms([folder / "organisms"])
    [declared] = claims_in(load_module(folder / "test_regression.py"))
    items = list(items_of(declared, "id", with_controls=True))
    return [Session(checked(store=folder / "store", profile="smoke")).run(item) for item in items]


def test_the_example_is_short_and_its_claim_and_controls_come_out(results: list[dict[str, Any]]) -> None:
    lines = [line for block in BLOCKS[:2] for line in block.splitlines() if line.strip()]
    assert len(lines) < 55
    assert [r["verdict"] for r in results] == ["SUPPORTED", "SUPPORTED", "REFUTED"]
    assert "in-context-regression" in recipes()


def test_the_clamps_shown_hold() -> None:
    shown: dict[str, Any] = {"torch": torch, "clamp": clamp, "output_replaced": output_replaced}
    exec(BLOCKS[2], shown)
    run = train(DENSE.with_(clamps=("previous-token",)), 0)
    assert run.final["loss"] != train(DENSE, 0).final["loss"]


def test_the_preparation_shown_prunes_for_good() -> None:
    shown: dict[str, Any] = {"torch": torch, "preparation": preparation, "DENSE": DENSE}
    exec(BLOCKS[3], shown)
    model = train(shown["TICKET"], 0).model
    left = {name: float((weight != 0).float().mean()) for name, weight in model.named_parameters() if weight.dim() > 1}
    assert all(0.25 < share <= 0.35 for share in left.values()), left
