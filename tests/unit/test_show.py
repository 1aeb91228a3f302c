"""`claimbench show`: at which bound a claim clips its effects where prompt batches are the replicates."""

from __future__ import annotations

from typing import Any

import pytest
from claimbench import above, causal_lm, rate_above
from claimbench.running.show import _claim_lines

from running_fakes import declared


def bounds_shown(**made: Any) -> list[str]:
    head = "  on one given model: "
    return [line.removeprefix(head) for line in _claim_lines("claim", declared(**made)) if line.startswith(head)]


@pytest.mark.parametrize(
    ("region", "bounds", "said"),
    [
        (above(0.5, unit="nat"), None, "effect clipped at ±1"),
        (above(3.0, unit="nat"), None, "effect clipped at ±6"),
        (above(0.5, unit="nat"), 2.5, "effect clipped at ±2.5"),
        (above(2.0, unit="ratio", scale="log"), 3.0, "effect clipped at ±3 on the log scale"),
    ],
)
def test_the_bound_is_shown(region: Any, bounds: float | None, said: str) -> None:
    assert bounds_shown(holds=region, bounds=bounds) == [said]


def test_every_effect_has_its_bound_and_a_rate_has_none() -> None:
    regions = {"large": above(0.5, unit="nat"), "small": above(-4.0, unit="nat"), "event": rate_above(0.5)}
    assert bounds_shown(holds=regions) == ["large clipped at ±1", "small clipped at ±8"]


def test_a_claim_without_a_model_form_clips_nothing() -> None:
    assert bounds_shown(on=causal_lm(organism="fake", model="it trains")) == []
