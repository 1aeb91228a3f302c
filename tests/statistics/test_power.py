"""Plans from pilots: against exact powers of seeds, and against what prompts then do."""

from __future__ import annotations

import math

import numpy as np
import pytest
from claimbench.effect import Value
from claimbench.errors import UsageError
from claimbench.region import above, below, rate_above, rate_below, within
from claimbench.statistics import Prompts, Seeds, default_distance, plan
from scipy import stats


def pilot(spread: float = 1.0, n: int = 400, middle: float = 7.0) -> list[Value]:
    return [Value(float(x), float(x)) for x in middle + spread * stats.norm.ppf((np.arange(n) + 0.5) / n)]


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("distance", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("region", [above(0.1), below(-3.0), within(40.0)])
def test_seeds_have_the_exact_power(distance, region):
    found = plan(pilot(), region, distance, Seeds(), rng=rng())
    p = float(stats.norm.cdf(distance))
    six = p**6
    exact = six + 6 * p**5 * (1 - p) * p**5
    room = 3 * math.sqrt(0.25 / found.draws)
    assert found.power == pytest.approx(exact, abs=room)
    assert found.mean == pytest.approx(6 * six + 11 * (1 - six), abs=5 * room)
    assert (found.needed is not None) == (found.power >= 0.9)
    assert found.needed in (None, 6, 11) and found.explored == 11


def test_prompts_need_fewer_replicates_the_farther_they_are_from_the_edge():
    design = Prompts({"gain": 1.0}, most=60, tuned_for=60)
    near, far = (plan(pilot(0.25), above(0.1), d, design, rng=rng(), draws=150) for d in (0.1, 0.3))
    assert far.power > 0.99 and far.needed < 30 and far.mean < 22
    assert near.power < 0.9 and near.needed > 60 and near.explored == 240
    assert near.mean <= 60 and near.refuted <= 0.1
    assert plan(pilot(0.9), above(0.1), 0.02, design, rng=rng(), draws=40).needed is None


def test_what_is_judged_on_a_log_scale_is_planned_on_it():
    values = [Value(math.exp(value.low), math.exp(value.high)) for value in pilot()]
    design = Prompts({"ratio": 4.0}, most=60, tuned_for=60)
    found = plan(values, above(1.5, scale="log", unit="ratio"), 1.0, design, rng=rng(), draws=100)
    assert found.power > 0.9


def test_rates_need_no_pilot():
    assert plan([], rate_above(0.5), 0.45, Seeds(), rng=rng()).power > 0.8
    assert plan([], rate_below(0.5), 0.45, Seeds(), rng=rng()).power > 0.8
    assert plan([], rate_above(0.5), 0.3, Prompts(most=60), rng=rng(), draws=100).power > 0.8


def test_a_small_pilot_is_widened_and_too_small_a_one_refused():
    two = [Value(0.0, 0.0), Value(1.0, 1.0)] * 2
    assert plan(two, above(0.1), 0.51, Seeds(), rng=rng()).power < 1  # unwidened, every seed would lie beyond
    with pytest.raises(UsageError, match="at least 4 pilot replicates with a finite effect, found 1"):
        plan([Value(0, math.inf)] * 5 + [Value(1, 1)], above(0.1), 0.5, Seeds(), rng=rng())


@pytest.mark.parametrize(("region", "distance"), [(above(0.1), 0.0), (above(0.1), -1.0), (within(0.1), 0.3)])
def test_the_distance_leads_into_the_region(region, distance):
    with pytest.raises(UsageError, match="does not lie inside"):
        plan(pilot(), region, distance, Seeds(), rng=rng())


def test_a_rate_stays_below_one():
    with pytest.raises(UsageError, match=r"a rate of 1.1 is none"):
        plan([], rate_above(0.5), 0.6, Seeds(), rng=rng())


def test_a_distance_where_none_is_stated():
    two = [Value(0.0, 0.0), Value(2.0, 2.0)]
    for region, distance in (
        (above(0.1), 0.1), (below(-3.0), 3.0), (within(0.2), 0.2), (above(2.0, scale="log", unit="ratio"), math.log(2)),
        (rate_above(0.5), 0.4), (rate_below(0.5), 0.4), (above(0.0), 2 * math.sqrt(2)),
    ):  # fmt: skip
        assert default_distance(two, region) == pytest.approx(distance)
    for pilot_of in ([], [Value(1, 1)], [Value(1, 1)] * 4, [Value(0, math.inf)] * 3):
        with pytest.raises(UsageError, match="gives no distance: say one with --at"):
            default_distance(pilot_of, above(0.0))


def test_the_effect_is_named_where_a_design_bounds_several():
    design = Prompts({"a": 1.0, "b": 30.0}, most=60, tuned_for=60)
    narrow, wide = (plan(pilot(0.25), above(0.1), 0.3, design, rng=rng(), draws=60, name=name) for name in "ab")
    assert narrow.power > wide.power
