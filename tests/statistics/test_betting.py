"""The betting confidence sequence: exact martingale checks, all looks on the edge, widths and numbers of prompts."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from claimbench.statistics.betting import STAKES, TOLERANCE, WEIGHTS, first_crossing, log_capital, lower_limit

ERROR = 0.025
SHAPES = {
    "coin": lambda rng, size: (rng.random(size) < 0.5).astype(float),
    "rare": lambda rng, size: (rng.random(size) < 0.1).astype(float),
    "uniform": lambda rng, size: rng.random(size),
    "skewed": lambda rng, size: rng.beta(0.5, 4.5, size),
    "narrow": lambda rng, size: rng.beta(50, 50, size),
    "one batch in ten fails": lambda rng, size: np.where(rng.random(size) < 0.1, 0.0, rng.beta(20, 5, size)),
}
MEANS = dict(zip(SHAPES, (0.5, 0.1, 0.5, 0.1, 0.5, 0.9 * 0.8), strict=True))


def test_stakes_are_shares_and_weights_add_up():
    assert WEIGHTS.sum() == pytest.approx(1) and (WEIGHTS > 0).all()
    assert (STAKES > 0).all() and (STAKES < 1).all()


@pytest.mark.parametrize("m", [0.1, 0.5, 0.8])
def test_the_capital_is_a_martingale_exactly(m):
    """Over all paths of ten coins with mean m: expected capital one, and it ever reaches 1/error with at most error."""
    expected, reached = 0.0, 0.0
    for path in itertools.product((0.0, 1.0), repeat=10):
        x = np.array(path)
        probability = float(np.prod(np.where(x == 1, m, 1 - m)))
        capital = log_capital(x, m)
        expected += probability * math.exp(capital[-1])
        reached += probability * math.isfinite(first_crossing(capital, ERROR, 1))
    assert expected == pytest.approx(1, abs=1e-9)
    assert reached <= ERROR


@pytest.mark.parametrize("shape", SHAPES)
def test_all_looks_on_the_edge(shape):
    """False support at the true mean, looking after each of 300 replicates: at most 2.5 % and two standard errors."""
    rng = np.random.default_rng(5)
    draws, mean = 2000, MEANS[shape]
    x = SHAPES[shape](rng, (draws, 300))
    for side in (x, 1 - x):
        m = mean if side is x else 1 - mean
        rate = np.mean([math.isfinite(first_crossing(log_capital(row, m), ERROR, 1)) for row in side])
        assert rate <= ERROR + 2 * math.sqrt(ERROR * (1 - ERROR) / draws)


def test_the_limit_is_where_a_grid_of_capitals_puts_it():
    rng = np.random.default_rng(6)
    for n in (1, 5, 25):
        x = rng.beta(3, 2, n)
        grid = np.linspace(0.005, 0.995, 100)
        excluded = [m for m in grid if max(_plain_capital(x, m)) >= 1 / ERROR]
        limit = lower_limit(x, ERROR)
        assert abs(limit - max(excluded, default=0.0)) <= 0.01 + 1e-9
        assert log_capital(x, max(limit, TOLERANCE)).max() >= -math.log(ERROR) or limit == 0


def _plain_capital(x: np.ndarray, m: float) -> list[float]:
    """The same mixture written as plain products, one gambler after the other."""
    totals = []
    for n in range(1, len(x) + 1):
        total = 0.0
        for stake, weight in zip(STAKES, WEIGHTS, strict=True):
            capital = 1.0
            for value in x[:n]:
                capital *= 1 + stake * (value / m - 1)
            total += weight * capital
        totals.append(total)
    return totals


def test_the_capital_falls_as_the_mean_rises_and_does_not_depend_on_order():
    x = np.random.default_rng(7).random(50)
    paths = np.array([log_capital(x, m) for m in np.linspace(0.01, 0.99, 99)])
    assert (np.diff(paths, axis=0) < 0).all()
    assert log_capital(x[::-1], 0.4)[-1] == pytest.approx(log_capital(x, 0.4)[-1])


def test_no_data_exclude_nothing():
    assert lower_limit(np.array([]), ERROR) == 0
    assert lower_limit(np.zeros(100), ERROR) == 0
    assert first_crossing(log_capital(np.ones(100), 0.5), ERROR, 90) == 90


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n", [10, 100, 1000])
def test_the_sequence_is_about_as_narrow_as_the_published_one(shape, n):
    """At most 1.1 times as wide as the hedged predictable plug-in sequence of the paper, written out here."""
    rng = np.random.default_rng(8)
    ours, theirs = 0.0, 0.0
    for _ in range(3 if n == 1000 else 12):
        x = SHAPES[shape](rng, n)
        ours += 1 - lower_limit(1 - x, ERROR) - lower_limit(x, ERROR)
        theirs += 1 - _published_limit(1 - x) - _published_limit(x)
    assert ours <= 1.1 * theirs


def _published_limit(x: np.ndarray) -> float:
    """Waudby-Smith and Ramdas, eq. 24 to 27: bets from the running variance, truncated at 1/(2 m)."""
    n = np.arange(1, len(x) + 1)
    mean = (0.5 + np.cumsum(x)) / (n + 1)
    variance = (0.25 + np.cumsum((x - mean) ** 2)) / (n + 1)
    bets = np.sqrt(2 * math.log(1 / ERROR) / (np.append(0.25, variance[:-1]) * n * np.log(n + 1)))
    low, high = 0.0, 1.0
    while high - low > 1e-6:
        m = (low + high) / 2
        if np.cumsum(np.log1p(np.minimum(bets, 0.5 / m) * (x - m))).max() >= -math.log(ERROR):
            low = m
        else:
            high = m
    return low


@pytest.mark.parametrize("n", [10, 100, 1000])
def test_the_sequence_is_about_as_narrow_as_an_independent_library(n):
    library = pytest.importorskip("confseq.betting", reason="the library confseq is not installed")
    x = np.random.default_rng(9).beta(2, 3, n)
    lower, upper = library.betting_cs(x, alpha=2 * ERROR, running_intersection=True)
    width = 1 - lower_limit(1 - x, ERROR) - lower_limit(x, ERROR)
    assert width <= 1.1 * (upper[-1] - lower[-1]) + 0.002


def test_prompts_to_a_verdict_against_a_fixed_design():
    """Against a fixed n with power 0.9 at d*: fewer at d*, far fewer beyond, cut off at 1.5 times as many."""
    rng = np.random.default_rng(10)
    fixed, spread, edge = 200, 0.2, 0.55
    distance = (1.96 + 1.2816) * spread / math.sqrt(fixed)
    for times, reach in ((1, 0.85), (2, 0.30), (3, 0.20)):
        x = np.clip(rng.normal(edge + times * distance, spread, (400, fixed * 3 // 2)), 0, 1)
        stops = [first_crossing(log_capital(row, edge), ERROR, 1) for row in x]
        assert np.mean(np.minimum(stops, fixed * 1.5)) <= reach * fixed
        assert np.mean(np.isfinite(stops)) >= (0.80 if times == 1 else 0.999)
