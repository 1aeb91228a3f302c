"""Regions: what lies inside, what outside, and which regions are refused."""

from __future__ import annotations

import math

import pytest
from claimbench.errors import DeclarationError
from claimbench.region import UNITS, Region, above, below, interval, rate_above, rate_below, within
from hypothesis import given
from hypothesis import strategies as st

NUMBERS = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("region", "text"),
    [
        (above(0.1, unit="share of gain"), "above 0.1 share of gain"),
        (below(math.log(0.7), unit="log steps"), "below -0.356675 log steps"),
        (within(0.02, unit="nat"), "within ±0.02 nat"),
        (interval(0.35, 0.65, unit="accuracy"), "0.35 to 0.65 accuracy"),
        (above(2), "above 2"),
        (rate_above(0.5), "rate above 0.5"),
        (rate_below(0.1), "rate below 0.1"),
        (Region(0.4, 0.6, "rate", of="rate"), "rate 0.4 to 0.6"),
    ],
)
def test_a_region_reads_as_a_phrase(region, text):
    assert str(region) == text
    assert region.to_json()["text"] == text


def test_edges_are_outside_and_open_ends_fit_only_where_there_is_no_edge():
    region = above(0.1)
    assert region.contains(0.2, math.inf) and not region.contains(0.1, 1)
    assert region.disjoint(-1, 0.1) and not region.disjoint(-1, 0.1000001)
    assert (
        within(1).contains(-0.9, 0.9) and not within(1).contains(-math.inf, 0.9) and not within(1).contains(0, math.inf)
    )
    assert within(1).disjoint(1, 2) and within(1).disjoint(-math.inf, -1) and not within(1).disjoint(-2, 2)
    assert below(0).contains(-math.inf, -1) and below(0).disjoint(0, math.inf)


def test_json_has_null_for_an_absent_edge():
    assert below(1, unit="nat").to_json() == {
        "low": None, "high": 1.0, "unit": "nat", "of": "typical", "scale": "linear", "text": "below 1 nat",
    }  # fmt: skip
    assert above(1).to_json()["high"] is None


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: interval(1, 0), "empty region"),
        (lambda: interval(1, 1), "empty region"),
        (lambda: within(-0.1), "empty region"),
        (lambda: above(math.nan), "must be a number"),
        (lambda: above("0.1"), "must be a number"),
        (lambda: above(True), "must be a number"),
        (lambda: Region(-math.inf, math.inf), "without any edge"),
        (lambda: above(math.inf), "empty region"),
        (lambda: above(0.1, unit="nats"), "did you mean 'nat'"),
        (lambda: above(0.1, unit="zzzzqqq"), "unknown unit 'zzzzqqq'; known"),
        (lambda: Region(0, 1, of="mean"), "not of 'mean'"),
        (lambda: above(0.1, scale="cubic"), "unknown scale"),
        (lambda: above(0, scale="log"), "log scale must lie between 0"),
        (lambda: above(1, scale="logit"), "logit scale must lie between 0 and 1"),
        (lambda: rate_above(1), "a rate must lie between 0 and 1"),
        (lambda: rate_above(0), "a rate must lie between 0 and 1"),
        (lambda: rate_below(1.5), "a rate must lie between 0 and 1"),
        (lambda: Region(0.5, math.inf, "nat", of="rate"), "rate_above"),
        (lambda: Region(0.5, math.inf, "rate", of="rate", scale="logit"), "rate_above"),
    ],
)
def test_a_bad_region_is_refused_in_one_line(make, says):
    with pytest.raises(DeclarationError, match=says) as error:
        make()
    assert "\n" not in str(error.value)


def test_every_unit_says_what_it_means():
    assert all(UNITS[unit] for unit in UNITS)


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_no_interval_is_both_inside_and_outside(a, b, c, d):
    if a == b:
        return
    region = interval(min(a, b), max(a, b))
    low, high = min(c, d), max(c, d)
    assert not (region.contains(low, high) and region.disjoint(low, high))
    assert not (above(a).contains(low, high) and below(a).contains(low, high))
    assert above(a).contains(low, high) <= below(a).disjoint(low, high)


@given(st.floats(1e-6, 1 - 1e-6), st.sampled_from(["linear", "log", "logit"]))
def test_scales_go_there_and_back(x, scale):
    region = above(0.5, scale=scale)
    assert region.backward(region.forward(x)) == pytest.approx(x, rel=1e-9)


def test_scales_keep_open_ends_open():
    log, logit = above(2, scale="log"), above(0.5, scale="logit")
    assert log.forward(0) == -math.inf and log.forward(math.inf) == math.inf
    assert log.backward(-math.inf) == 0 and log.backward(math.inf) == math.inf and log.backward(1e5) == math.inf
    assert logit.forward(0) == -math.inf and logit.forward(1) == math.inf
    assert logit.backward(-math.inf) == 0 and logit.backward(math.inf) == 1
    assert log.domain == (0, math.inf) and logit.domain == (0, 1)
