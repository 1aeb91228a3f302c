"""Error rates of whole verdicts, simulated at the edge, for the shapes that effects of trained nets take."""

from __future__ import annotations

import math

import numpy as np
import pytest
from claimbench.region import above, below, within
from claimbench.statistics import Prompts, Seeds, judge
from claimbench.verdict import Verdict
from judgement_helpers import points

DRAWS = 2000
#: Draws whose median is zero.
SHAPES = {
    "normal": lambda rng, size: rng.normal(size=size),
    "skewed": lambda rng, size: rng.lognormal(size=size) - 1.0,
    "heavy-tailed": lambda rng, size: rng.standard_cauchy(size=size),
    # one seed in ten fails: five ninths of the others lie above the median of all
    "bimodal": lambda rng, size: np.where(rng.random(size) < 0.1, -10.0, rng.normal(0.13971, 1.0, size)),
    "discrete": lambda rng, size: rng.choice([-1.0, 0.0, 1.0], p=[0.3, 0.25, 0.45], size=size),
    "two values": lambda rng, size: rng.choice([-1.0, 1.0], size=size),
}


def at_most(rate: float, target: float, draws: int) -> bool:
    return rate <= target + 2 * math.sqrt(target * (1 - target) / draws)


@pytest.mark.parametrize("shape", SHAPES)
def test_seeds_on_the_edge(shape):
    """Over both looks, false SUPPORTED is at most 2.5 % at an edge on either side, and the interval covers 95 %."""
    rng = np.random.default_rng(21)
    covered, supported = 0, {"above": 0, "below": 0}
    for row in SHAPES[shape](rng, (DRAWS, 11)):
        for name, region in (("above", above(0.0)), ("below", below(0.0))):
            found = judge(points(row), {"effect": region}, Seeds())
            supported[name] += found.verdict is Verdict.SUPPORTED
        covered += found.effects[0].low <= 0.0 <= found.effects[0].high
    assert at_most(supported["above"] / DRAWS, 0.025, DRAWS)
    assert at_most(supported["below"] / DRAWS, 0.025, DRAWS)
    assert at_most(1 - covered / DRAWS, 0.05, DRAWS)


def test_the_t_interval_would_support_half_of_the_time():
    """Why it is shown and not judged: one seed in ten fails and the mean is on the edge."""
    rng = np.random.default_rng(22)
    supported = 0
    for row in np.where(rng.random((DRAWS, 6)) < 0.1, -9.0, rng.normal(1.0, 0.05, (DRAWS, 6))):
        supported += judge(points(row), {"effect": above(0.0)}, Seeds()).effects[0].t_low > 0
    assert supported / DRAWS > 0.4


def test_power_and_seeds_at_two_standard_deviations():
    rng = np.random.default_rng(23)
    found = [judge(points(row), {"effect": above(0.0)}, Seeds()) for row in rng.normal(2.0, 1.0, (DRAWS, 11))]
    assert np.mean([one.verdict is Verdict.SUPPORTED for one in found]) >= 0.97
    assert np.mean([one.n for one in found]) <= 6.8


@pytest.mark.parametrize("shape", ["normal", "bimodal", "two values"])
def test_prompts_on_the_edge_of_their_clipped_mean(shape):
    """Whole verdicts after every one of 120 batches: at most 2.5 % false support at the true clipped mean."""
    rng = np.random.default_rng(24)
    draws, bound = 250, 2.0
    mean = float(np.clip(SHAPES[shape](rng, 1_000_000), -bound, bound).mean())
    design = Prompts({"effect": bound}, most=120)
    found = [judge(points(row), {"effect": above(mean)}, design).verdict for row in SHAPES[shape](rng, (draws, 120))]
    assert at_most(np.mean([one is Verdict.SUPPORTED for one in found]), 0.025, draws)
    assert at_most(np.mean([one is Verdict.REFUTED for one in found]), 0.025, draws)


def test_prompts_find_a_null():
    rng = np.random.default_rng(25)
    design = Prompts({"effect": 1.0}, most=300)
    found = [judge(points(row), {"effect": within(0.15)}, design) for row in rng.normal(0, 0.3, (60, 300))]
    assert np.mean([one.verdict is Verdict.SUPPORTED for one in found]) >= 0.9
