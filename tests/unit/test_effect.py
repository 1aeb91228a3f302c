"""Effects: what a claim function may return, and what it may not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from claimbench.effect import Value, as_effects
from claimbench.errors import EffectError
from claimbench.region import above, below, interval, rate_above, within

ONE = {"effect": above(0.1)}
RATE = {"groks": rate_above(0.5)}
TWO = {"gain": above(0.1, unit="nat"), "score": within(0.05, unit="attention")}


@pytest.mark.parametrize(
    ("raw", "regions", "expected"),
    [
        (0.5, ONE, {"effect": Value(0.5, 0.5)}),
        (2, ONE, {"effect": Value(2, 2)}),
        (np.float32(0.5), ONE, {"effect": Value(0.5, 0.5)}),
        (np.array(0.5), ONE, {"effect": Value(0.5, 0.5)}),
        ((0.2, 0.3), ONE, {"effect": Value(0.2, 0.3)}),
        ([0.2, math.inf], ONE, {"effect": Value(0.2, math.inf)}),
        (Value(-math.inf, 1), ONE, {"effect": Value(-math.inf, 1)}),
        (True, RATE, {"groks": Value(1, 1)}),
        (np.False_, RATE, {"groks": Value(0, 0)}),
        (0, RATE, {"groks": Value(0, 0)}),
        ((False, True), RATE, {"groks": Value(0, 1)}),
        ({"score": 0.01, "gain": (1, 2)}, TWO, {"gain": Value(1, 2), "score": Value(0.01, 0.01)}),
        ((0, 3), {"times": above(2, scale="log")}, {"times": Value(0, 3)}),
    ],
)
def test_what_a_claim_may_return(raw, regions, expected):
    effects = as_effects(raw, regions)
    assert effects == expected and list(effects) == list(regions)


@pytest.mark.parametrize(
    ("raw", "regions", "says"),
    [
        (math.nan, ONE, "'effect': an effect must be a number, found NaN"),
        (math.inf, ONE, "'effect': an infinite effect"),
        (-math.inf, ONE, "'effect': an infinite effect"),
        ((math.inf, math.inf), ONE, "infinite effect"),
        ((0.3, 0.2), ONE, "smaller end first"),
        ((math.nan, 0.2), ONE, "NaN"),
        ((1, 2, 3), ONE, "a pair"),
        ("0.5", ONE, "must be a number, found str '0.5'"),
        ("x" * 100, ONE, r"\.\.\."),
        (None, ONE, "found nothing"),
        (1j, ONE, "must be a number"),
        (np.array([0.5, 0.6]), ONE, "must be a number"),
        (True, ONE, "only a rate takes yes or no"),
        (0.5, RATE, "a replicate is 0 or 1, found 0.5"),
        ((0.5, 1), RATE, "a replicate is 0 or 1, found 0.5 to 1"),
        (0.5, TWO, "return a dict"),
        ({"gain": 1}, TWO, "'score' is missing"),
        ({}, ONE, "found nothing"),
        ({"gain": 1, "scores": 0}, TWO, "did you mean 'score'"),
        ({"gain": 1, "score": 0, "zzz": 1}, TWO, "unknown effect 'zzz'; the claim"),
        (0.0, {"ratio": above(2, scale="log")}, "between 0 and inf, found 0"),
        (-1.0, {"ratio": above(2, scale="log")}, "log scale"),
        (1.0, {"share": interval(0.2, 0.8, scale="logit")}, "between 0 and 1"),
        ((0.5, 1.5), {"share": below(0.8, scale="logit")}, "between 0 and 1"),
    ],
)
def test_what_a_claim_may_not_return(raw, regions, says):
    with pytest.raises(EffectError, match=says) as error:
        as_effects(raw, regions)
    assert "\n" not in str(error.value)


def test_a_value_goes_to_json_and_back():
    for value in (Value(0.5, 0.5), Value(-math.inf, 1), Value(0, math.inf)):
        assert Value.from_json(value.to_json()) == value
    assert Value(0, math.inf).to_json() == [0, None]
    assert Value(1, 1).point and not Value(0, 1).point
