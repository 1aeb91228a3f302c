"""The betting confidence sequence: exact martingale checks, all looks on the edge, widths and numbers of prompts."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from claimbench.statistics.betting import (
    MOST_STAKED,
    PRIOR_VARIANCE,
    STAKES,
    TOLERANCE,
    TUNING,
    WEIGHTS,
    Bets,
    cashed,
    first_crossing,
)

ERROR = 0.025
PLANNED = 133  # what a maximum of 200 stands for
SHAPES = {
    "coin": lambda rng, size: (rng.random(size) < 0.5).astype(float),
    "rare": lambda rng, size: (rng.random(size) < 0.1).astype(float),
    "uniform": lambda rng, size: rng.random(size),
    "skewed": lambda rng, size: rng.beta(0.5, 4.5, size),
    "narrow": lambda rng, size: rng.beta(50, 50, size),
    "one batch in ten fails": lambda rng, size: np.where(rng.random(size) < 0.1, 0.0, rng.beta(20, 5, size)),
}
MEANS = dict(zip(SHAPES, (0.5, 0.1, 0.5, 0.1, 0.5, 0.9 * 0.8), strict=True))


def log_capital(x: np.ndarray, m: float, planned: float = PLANNED) -> np.ndarray:
    return Bets.on(x, planned).log_capital(m)


def limit(x: np.ndarray, planned: float = PLANNED) -> float:
    return Bets.on(x, planned).lower_limit(ERROR)


def width(x: np.ndarray, planned: float = PLANNED) -> float:
    return 1 - limit(1 - x, planned) - limit(x, planned)


def test_stakes_are_shares_and_weights_leave_some_for_the_tuned_gambler():
    assert 0 < sum(WEIGHTS) < 1 and min(WEIGHTS) > 0 and len(WEIGHTS) == len(STAKES)
    assert min(STAKES) > 0 and max(*STAKES, MOST_STAKED) < 1


@pytest.mark.parametrize("planned", [1, 40, 10_000])
@pytest.mark.parametrize("m", [0.1, 0.5, 0.8])
def test_the_capital_is_a_martingale_exactly(m, planned):
    """Over all paths of ten coins with mean m: expected capital one, and it ever reaches 1/error with at most error.

    Also of the capital at a stop, which makes it an e-value.
    """
    expected, stopped, reached = 0.0, 0.0, 0.0
    for path in itertools.product((0.0, 1.0), repeat=10):
        x = np.array(path)
        probability = float(np.prod(np.where(x == 1, m, 1 - m)))
        capital = log_capital(x, m, planned)
        expected += probability * math.exp(capital[-1])
        stopped += probability * cashed(capital, ERROR, 10)
        reached += probability * math.isfinite(first_crossing(capital, ERROR, 1))
    assert expected == pytest.approx(1, abs=1e-9) and stopped == pytest.approx(1, abs=1e-9)
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


def test_the_capital_is_that_of_gamblers_written_out():
    x = np.random.default_rng(6).beta(3, 2, 25)
    assert np.exp(log_capital(x, 0.45)) == pytest.approx(_plain_capital(x, 0.45))


def test_the_limit_is_where_a_grid_of_capitals_puts_it():
    rng = np.random.default_rng(6)
    for n in (1, 5, 25):
        x = rng.beta(3, 2, n)
        grid = np.linspace(0.005, 0.995, 100)
        excluded = [m for m in grid if max(_plain_capital(x, m)) >= 1 / ERROR]
        found = limit(x)
        assert abs(found - max(excluded, default=0.0)) <= 0.01 + 1e-9
        assert log_capital(x, max(found, TOLERANCE)).max() >= -math.log(ERROR) or found == 0


def _plain_capital(x: np.ndarray, m: float) -> list[float]:
    """The same mixture written as plain products, one gambler after the other."""
    totals = np.zeros(len(x))
    for stake, weight in [*zip(STAKES, WEIGHTS, strict=True), (None, 1 - sum(WEIGHTS))]:
        capital, mean_sum, variance_sum = 1.0, 0.5, PRIOR_VARIANCE
        for n, value in enumerate(x):
            tuned = min(MOST_STAKED, TUNING * m / math.sqrt(variance_sum / (n + 1) * PLANNED))
            if n == 0:
                tuned = min(MOST_STAKED, TUNING * m / math.sqrt(PRIOR_VARIANCE * PLANNED))
            capital *= 1 + (tuned if stake is None else stake) * (value / m - 1)
            mean_sum += value
            variance_sum += (value - mean_sum / (n + 2)) ** 2
            totals[n] += weight * capital
    return totals.tolist()


def test_the_capital_falls_as_the_mean_rises():
    x = np.random.default_rng(7).random(50)
    paths = np.array([log_capital(x, m) for m in np.linspace(0.01, 0.99, 99)])
    assert (np.diff(paths, axis=0) < 0).all()


def test_the_future_does_not_change_the_past():
    x = np.random.default_rng(7).random(50)
    assert (log_capital(x, 0.4)[:20] == log_capital(x[:20], 0.4)).all()
    assert Bets.on(x, PLANNED).first(20).lower_limit(ERROR) == limit(x[:20])


def test_extremes():
    assert limit(np.array([])) == 0
    assert limit(np.zeros(100)) == 0
    assert 0.9 < limit(np.ones(100)) < 1
    assert limit(np.ones(10**4)) < 1  # never everything
    assert first_crossing(log_capital(np.ones(100), 0.5), ERROR, 90) == 90
    assert cashed(np.array([]), ERROR, 0) == 1
    assert cashed(np.array([0.0, 4.0, -5.0]), ERROR, 3) == pytest.approx(math.exp(4.0))  # taken when it was won
    assert cashed(np.array([0.0, 4.0, -5.0]), ERROR, 1) == 1
    assert math.isfinite(cashed(np.array([1e4]), ERROR, 1))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n", [10, 100, 1000])
def test_the_sequence_is_about_as_narrow_as_the_published_one(shape, n):
    """At most 1.1 times as wide as the hedged predictable plug-in sequence of the paper, written out here."""
    rng = np.random.default_rng(8)
    ours, theirs = 0.0, 0.0
    for _ in range(3 if n == 1000 else 12):
        x = SHAPES[shape](rng, n)
        ours += width(x)
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


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n", [10, 100, 1000])
def test_the_sequence_is_about_as_narrow_as_that_of_an_independent_library(shape, n):
    """`ville`, the hedged capital sequence; it is a pure Python package."""
    library = pytest.importorskip("ville", reason="the library ville is not installed")
    rng = np.random.default_rng(9)
    ours, theirs = 0.0, 0.0
    for _ in range(2 if n == 1000 else 8):
        x = SHAPES[shape](rng, n)
        ours += width(x)
        lower, upper = library.BettingCS(alpha=2 * ERROR).fit(x).interval()
        theirs += upper - lower
    assert ours <= 1.1 * theirs


#: Spread as a part of the bound; 1 is a coin, that is a rate. Below 0.3 no bet whatever does much better here.
SPREADS = [0.3, 0.4, 0.6, 1.0]


@pytest.mark.parametrize("spread", SPREADS)
def test_prompts_to_a_verdict_against_a_fixed_design(spread):
    """Against a fixed n with power 0.9 at d*: fewer at d*, far fewer beyond, cut off at 1.5 times as many."""
    rng = np.random.default_rng(10)
    fixed, sd, edge = PLANNED, spread / 2, 0.5
    distance = (1.96 + 1.2816) * sd / math.sqrt(fixed)
    for times, reach in ((1, 0.85), (2, 0.30), (3, 0.20)):
        x = _beta(rng, edge + times * distance, sd, (600, fixed * 3 // 2))
        stops = np.array([first_crossing(log_capital(row, edge), ERROR, 1) for row in x])
        assert np.mean(np.minimum(stops, fixed * 1.5)) <= reach * fixed
        assert np.mean(np.isfinite(stops)) >= (0.85 if times == 1 else 0.999)


@pytest.mark.parametrize("spread", SPREADS)
def test_prompts_to_a_null_against_two_one_sided_tests(spread):
    """Truth zero, margin such that a fixed pair of tests at the same error has power 0.9: at most 1.1 times as many."""
    rng = np.random.default_rng(11)
    fixed, sd = PLANNED, spread / 2
    margin = (1.96 + 1.6449) * sd / math.sqrt(fixed)
    stops = []
    for row in _beta(rng, 0.5, sd, (400, fixed * 3 // 2)):
        paths = (log_capital(row, 0.5 - margin), log_capital(1 - row, 0.5 - margin))
        stops.append(max(first_crossing(path, ERROR, 1) for path in paths))
    assert np.mean(np.minimum(stops, fixed * 1.5)) <= 1.1 * fixed
    assert np.mean(np.isfinite(stops)) >= 0.9


def _beta(rng: np.random.Generator, mean: float, sd: float, size: tuple[int, int]) -> np.ndarray:
    """Draws from the beta distribution with this mean and standard deviation (nothing is cut off), or coins."""
    if sd == 0.5:
        return (rng.random(size) < mean).astype(float)
    total = mean * (1 - mean) / sd**2 - 1
    return rng.beta(mean * total, (1 - mean) * total, size)
