"""The plan: what a session would spend, from committed costs, and what it would reuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from claimbench.running import committed
from claimbench.running.plan import plan_table

from running_fakes import declared, fake_family, fake_lm, item, session


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    fake_family("fake", [1.0])
    monkeypatch.setattr(committed, "folder_of", lambda claim: tmp_path)
    return tmp_path


def costs(folder: Path, content: dict[str, object]) -> None:
    (folder / "costs.json").write_text(json.dumps({"effect_is_large": content}))


def row(text: str, start: str) -> list[str]:
    return next(line for line in text.splitlines() if line.startswith(start)).split()


def test_unknown_costs_are_called_unknown(folder: Path) -> None:
    text = plan_table([item(declared())], session(folder))
    assert row(text, "test_toy.py::effect_is_large[fake]")[1:] == ["6", "seeds", "0", "unknown", "unknown", "unknown"]
    assert "; 1 item of unknown cost" in text and not any((folder / "store" / "entries").iterdir())


def test_costs_are_counted_for_what_is_missing(folder: Path) -> None:
    costs(folder, {"fake": {"seconds": 2.0, "forward_passes": 10, "peak_memory_mb": 300}})
    shared = session(folder)
    for index in range(4):
        shared.measurer.replicate(item(declared()), index)
    text = plan_table([item(declared())], shared)
    assert row(text, "test_toy.py::effect_is_large[fake]")[1:] == ["6", "seeds", "4", "20", "4", "300"]
    assert "in all: 20 forward passes, 4 s of one core, 300 MB at most" in text


def test_a_given_model_goes_from_one_batch_to_the_next(folder: Path) -> None:
    text = plan_table([item(declared(), "gpt", "model")], session(folder, {"gpt": fake_lm(1.0, "a" * 64)}))
    assert "2 prompt batches" in " ".join(row(text, "test_toy.py::effect_is_large[gpt]"))
