"""Specification curves: which choices are crossed, what is counted, and that the plot holds them all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from claimbench import negative, positive, step, variant
from claimbench.reporting import specification, words
from claimbench.running.robust import dimensions, robust, specifications

from running_fakes import declared, fake_family, nothing, session


@pytest.fixture(autouse=True)
def families() -> None:
    fake_family("fake", [1.0 + 0.1 * seed for seed in range(11)])
    fake_family("fake-strong", [2.0])


@step
def lengths(lm: Any) -> tuple[int, int]:
    """Lengths of prompts."""
    return (20, 40)


@step
def level(lm: Any) -> float:
    """Level."""
    return float(lm.facts["level"])


def chosen(level: float, rng: Any, lengths: tuple[int, int], sign: int = 1, mode: str = "mean", bos: bool = True) -> float:
    """Level, with a sign."""
    return sign * level * (0.1 if mode == "zero" else 1.0) + 0.0001 * sum(lengths) + 0.01 * float(rng.normal())


def made(**more: Any) -> Any:
    variants = [variant("upside down", sign=-1), variant("twice", sign=2)]
    return declared(chosen, variants=variants, controls=[positive(on="fake-strong"), negative(level=nothing)], **more)


def test_dimensions_are_declared_alternatives_and_standard_ones() -> None:
    found = {d.name: list(d.values) for d in dimensions(made())}
    assert found == {
        "sign": ["1", "-1", "2"],
        "mode": ["mean", "resample", "zero"],
        "bos": ["True", "False"],
        "lengths": ["x 1", "x 0.5", "x 1.5"],
    }
    left = {d.name: list(d.values) for d in dimensions(made(), {"sign = -1", "bos = False"})}
    assert left["sign"] == ["1", "2"] and "bos" not in left


def other_mode(level: float, mode: str = "fast") -> float:
    """A choice of the same name that means something else."""
    return level


def test_a_standard_name_with_another_meaning_is_left_alone() -> None:
    assert dimensions(declared(other_mode)) == []


def test_fewest_changes_first_and_what_is_left_out_is_counted() -> None:
    dims = dimensions(made())
    some, in_all = specifications(dims, 8)
    assert in_all == 3 * 3 * 2 * 3 and len(some) == 8
    own = some[0]
    assert [sum(spec[name] != own[name] for name in own) for spec in some] == [0] + [1] * 7


def test_the_curve_counts_signs_and_verdicts(tmp_path: Path) -> None:
    shared = session(tmp_path, profile="smoke")
    unreasonable = {"mode = resample": "not here", "bos = False": "", "lengths = x 0.5": "", "lengths = x 1.5": ""}
    entry = robust(made(), "toy", {"float32": shared}, unreasonable=unreasonable)
    verdicts = {(s["choices"]["sign"], s["choices"]["mode"]): s["verdict"] for s in entry["specifications"]}
    assert verdicts == {
        ("1", "mean"): "SUPPORTED",
        ("2", "mean"): "SUPPORTED",
        ("-1", "mean"): "REFUTED",
        ("1", "zero"): "REFUTED",
        ("2", "zero"): "REFUTED",
        ("-1", "zero"): "REFUTED",
    }
    assert entry["counts"] == {
        "specifications": 6, "measured": 6, "same sign": 4, "same verdict": 2, "opposite verdict": 4,
    }  # fmt: skip
    assert words.trust(entry).startswith("4 of 6 specifications agree in sign, 2 of 6 in the verdict, 4 say the opposite")
    drawn = specification.curves(entry)
    assert drawn.count("<title>") == 6 and drawn.count("v-REFUTED") == 8 and "sign -1" in drawn


def test_lengths_are_scaled_from_what_the_step_yields(tmp_path: Path) -> None:
    unreasonable = {"sign = -1": "", "sign = 2": "", "mode = resample": "", "mode = zero": "", "bos = False": ""}
    entry = robust(made(), "toy", {"float32": session(tmp_path, profile="smoke")}, unreasonable=unreasonable)
    found = {spec["choices"]["lengths"]: spec["effects"][0]["estimate"] for spec in entry["specifications"]}
    assert found["x 0.5"] == pytest.approx(found["x 1"] - 0.003, abs=1e-9)
    assert found["x 1.5"] == pytest.approx(found["x 1"] + 0.003, abs=1e-9)
