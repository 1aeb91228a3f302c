"""Binding variants: when another reasonable choice points the other way."""

from __future__ import annotations

import math

import pytest
from claimbench.region import above, below, rate_above, within
from claimbench.statistics import agrees
from judgement_helpers import judged


@pytest.mark.parametrize(
    ("region", "main", "other", "agree"),
    [
        (above(0.1), 1.0, 0.01, True),
        (above(0.1), 1.0, -0.01, False),
        (above(0.1), 1.0, (-math.inf, math.inf), True),
        (below(0.1), 0.01, -0.01, True),  # zero is inside: a sign says nothing
        (below(0.1), 0.01, 1.0, False),
        (within(0.1), 0.01, -0.01, True),
        (within(0.1), 0.01, 1.0, False),
        (rate_above(0.5), 1, 0, False),
        (rate_above(0.5), 1, 1, True),
        (above(2, scale="log"), 3.0, 1.5, False),
    ],
)
def test_agreement(region, main, other, agree):
    assert agrees(judged([main] * 6, region), judged([other] * 6, region)) is agree


def test_effects_are_matched_by_name():
    main = judged([{"a": 1.0, "b": 1.0}] * 6, {"a": above(0.1), "b": above(0.1)})
    assert agrees(main, judged([-1.0] * 6, {"c": above(0.1)}))
    assert not agrees(main, judged([-1.0] * 6, {"b": above(0.1)}))
