"""When copying comes about in a series: half-rises from planted curves, and what a checkpoint that copies, or does not, shows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from claimbench.measures.over_training import NAMES, at_step, formation
from claimbench.subjects.family import family, load_organisms
from claimbench.subjects.shipped import shipped_root

STEPS = [0, 100, 200, 400, 800, 1600, 3200]


def rise(at: float) -> list[float]:
    return [1 / (1 + (at / max(step, 1)) ** 8) for step in STEPS]


def records(**at: float) -> list[dict[str, float]]:
    curves = {name: rise(at[name.replace(" ", "_")]) for name in NAMES}
    return [{name: values[k] for name, values in curves.items()} for k in range(len(STEPS))]


def test_what_rises_together_has_a_ratio_of_nothing_and_what_comes_first_a_lower_one() -> None:
    found = formation(STEPS, records(order_gain=600, induction=600, context_label=120, right_label=600))
    assert found.heads_over_gain.low <= 0 <= found.heads_over_gain.high
    assert found.context_over_right.high < 0 and found.half["context label"].high <= 200
    assert (found.half["right label"].low, found.half["right label"].high) == (400, 800)


def test_a_series_that_never_gets_there_says_so() -> None:
    flat = [{name: 0.01 for name in NAMES} for _ in STEPS]
    found = formation(STEPS, flat)
    assert all(math.isinf(each.high) for each in found.half.values())
    assert math.isinf(found.heads_over_gain.high) and math.isinf(found.heads_over_gain.low)


@pytest.mark.parametrize(("name", "copies"), [("constructed-induction-head", True), ("untrained-copying", False)])
def test_a_checkpoint_is_read(name: str, copies: bool) -> None:
    load_organisms([shipped_root() / "fixtures" / "organisms"])
    found = at_step(family(name).subject(0), np.random.default_rng(0), rows=4)
    assert set(found) == set(NAMES)
    assert (found["order gain"] > 1) == copies and (found["right label"] > 0.9) == copies
    assert found["right label"] <= found["context label"] <= 1
    assert (found["induction"] > 0.3) == copies
