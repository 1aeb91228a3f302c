"""The plan: what a session would spend, from committed costs, and what it would reuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from claimbench.errors import UsageError
from claimbench.running import committed, estimate
from claimbench.running import plan as room
from claimbench.running.budget import Budget, Need, parse_budget, refusal
from claimbench.running.item import Item, Subject
from claimbench.running.plan import check_budget, plan, plan_table

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
    assert row(text, "test_toy.py::effect_is_large[fake]")[1:] == ["6", "seeds", "4", "20", "4", "300", "committed"]
    assert "in all: 20 forward passes, 4 s of one core, 300 MB at most" in text


def test_a_given_model_goes_from_one_batch_to_the_next(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "pace_of", lambda *_: estimate.Pace(0.5, 700, True))
    costs(folder, {"fake": {"seconds": 2.0, "forward_passes": 10, "peak_memory_mb": 300}})
    text = plan_table([item(declared(), "gpt", "model")], session(folder, {"gpt": fake_lm(1.0, "a" * 64)}))
    told = row(text, "test_toy.py::effect_is_large[gpt]")
    assert told[1:] == ["2", "prompt", "batches", "0", "20", "10", "700", "probe"]


def shared(folder: Path, name: str, **more: object) -> str:
    """A folder with a configuration and no weights: a llama of the published 7B shape unless told otherwise."""
    told = {
        "model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
        "num_attention_heads": 32, "vocab_size": 32000, "tie_word_embeddings": False, **more,
    }  # fmt: skip
    (folder / name).mkdir()
    (folder / name / "config.json").write_text(json.dumps(told))
    return str(folder / name)


def on_model(path: str) -> Item:
    made = declared()
    return Item(made, f"claims/test_toy.py::{made.name}", Subject("big", "model", path))


def test_a_model_too_large_to_load_is_computed_from_its_configuration(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "matmul_rate", lambda *_: 1e11)
    costs(folder, {"fake": {"seconds": 2.0, "forward_passes": 10, "peak_memory_mb": 300}})
    (line,) = plan([on_model(shared(folder, "seven"))], session(folder))
    weights = 6_738_415_616  # the published number
    assert line.source == "config" and line.cost is not None
    flops = 2 * estimate.LENGTH * (weights - 32000 * 4096) + 4 * 32 * estimate.LENGTH**2 * 4096
    assert line.cost["seconds"] == pytest.approx(10 * flops / 1e11)
    more = 2 * estimate.LONGER * (weights - 32000 * 4096) + 4 * 32 * estimate.LONGER**2 * 4096
    assert line.pace is not None and line.pace.longer == (estimate.LONGER, pytest.approx(more / 1e11))
    text = plan_table([on_model(str(folder / "seven"))], session(folder))
    assert f"big: a sequence of 80 tokens takes {flops / 1e11:.3g} s, one of 320 tokens" in text
    assert 4 * weights / 1e6 < line.cost["peak_memory_mb"] < 1.2 * 4 * weights / 1e6
    (half,) = plan([on_model(str(folder / "seven"))], session(folder, dtype="bfloat16"))
    assert half.cost is not None and 2 * weights / 1e6 < half.cost["peak_memory_mb"] < 1.2 * 2 * weights / 1e6


def test_a_tied_head_multiplies_and_holds_no_weights_of_its_own(folder: Path) -> None:
    small = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 500}
    apart = estimate._Shape.of(shared(folder, "apart", **small), "float32")
    tied = estimate._Shape.of(shared(folder, "tied", **small, tie_word_embeddings=True), "float32")
    assert apart.weights - tied.weights == 500 * 64 and apart.multiplied == tied.multiplied


def test_a_tiny_model_is_probed_and_not_taken_for_the_shipped_one(folder: Path) -> None:
    import shutil

    from claimbench.subjects.shipped import shipped_models

    shutil.copytree(shipped_models()["stories260K"], folder / "stories260K")
    content = {"fake": {"seconds": 2.0, "forward_passes": 10, "peak_memory_mb": 300}}
    costs(folder, {**content, "stories260K": {"seconds": 9.0, "forward_passes": 9, "peak_memory_mb": 9}})
    made = declared()
    subject = Subject("stories260K", "model", str(folder / "stories260K"))
    (line,) = plan([Item(made, "claims/test_toy.py::x", subject)], session(folder))
    assert line.source == "probe" and line.cost is not None
    assert line.cost["forward_passes"] == 10 and 0 < line.cost["seconds"] < 1000 and line.cost["peak_memory_mb"] > 50
    assert line.pace is not None and line.pace.longer is not None
    tokens, seconds = line.pace.longer
    assert tokens == 320 and seconds > line.pace.seconds, "four times the tokens take longer"
    (shipped,) = plan([Item(made, "claims/test_toy.py::x", Subject("stories260K", "model", "stories260K"))], session(folder))
    assert shipped.source == "committed" and shipped.cost is not None and shipped.cost["forward_passes"] == 9


def test_a_budget_is_refused_with_the_numbers_and_what_would_fit(folder: Path) -> None:
    costs(folder, {"fake": {"seconds": 20.0, "forward_passes": 10, "peak_memory_mb": 3000}})
    check_budget([item(declared())], session(folder, budget="2m,3GB"))
    for budget, told in (("119s", "2 min of 119 s"), ("1h,2999MB", "3 GB of 2.999 GB")):
        with pytest.raises(UsageError, match=told):
            check_budget([item(declared())], session(folder, budget=budget))
    fake_family("other", [1.0])
    with pytest.raises(UsageError, match=r"cost of 1 of 1 items is unknown"):
        check_budget([item(declared(), "other")], session(folder, budget="1h"))


def test_a_busy_machine_is_told_and_its_processor_time_counts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setattr(estimate.os, "cpu_count", lambda: 2)
    for load, told in ((1.9, None), (7.0, "load average 7.0 on 2 cores")):
        monkeypatch.setattr(estimate.os, "getloadavg", lambda load=load: (load, 0.0, 0.0))
        assert estimate.busy() == told
        waits = estimate._fastest(lambda: time.sleep(0.02))  # takes no processor time
        assert (waits < 0.02) == (told is not None)
        assert estimate._fastest(lambda: time.sleep(0.02), "cuda") >= 0.02
        monkeypatch.setattr(room, "pace_of", lambda *_: estimate.Pace(0.5, 700, True))
        costs(folder, {"fake": {"seconds": 2.0, "forward_passes": 10, "peak_memory_mb": 300}})
        text = plan_table([item(declared(), "gpt", "model")], session(folder, {"gpt": fake_lm(1.0, "a" * 64)}))
        assert ("the machine is busy" in text) == (told is not None)
        assert "busy" not in plan_table([item(declared())], session(folder)), "committed costs are not of now"


NEEDS = [Need("a.py::small[x]", 60, 500), Need("a.py::long[x]", 7200, 500), Need("a.py::fat[x]", 60, 20000)]


def test_a_refusal_names_what_fits() -> None:
    assert refusal(NEEDS, Budget(3600 * 3, 20000), "standard") is None
    said = refusal(NEEDS, Budget(1800, 16000), "standard")
    assert said is not None and "needs 2.033 h of 30 min and 20 GB of 16 GB" in said and "\n" not in said
    assert "1 of 3 items would fit (small[x])" in said and "--profile smoke" in said
    assert "--profile smoke" not in str(refusal(NEEDS, Budget(1800, None), "smoke"))
    assert "no item fits: try --profile smoke" in str(refusal(NEEDS, Budget(10, None), "standard"))
    assert "no item fits: use a smaller model" in str(refusal(NEEDS, Budget(None, 10), "standard"))


@pytest.mark.parametrize(
    ("text", "seconds", "megabytes"),
    [("90s", 90, None), ("30m,16GB", 1800, 16000), ("8GB, 2h", 7200, 8000), ("1.5h", 5400, None), ("512MB", None, 512)],
)
def test_budgets_are_read(text: str, seconds: float | None, megabytes: float | None) -> None:
    assert parse_budget(text) == Budget(seconds, megabytes)


@pytest.mark.parametrize("text", ["30", "m", "30 minutes", "-3m", "30m,2h", "8GB,9GB", "0s", "16gb", "30m;16GB", ",", "30M"])
def test_other_budgets_are_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageError, match="--budget") as caught:
        parse_budget(text)
    assert "\n" not in str(caught.value)
