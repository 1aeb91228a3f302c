"""Correlations across runs: sixteen at least, an interval that covers, and data that say nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from claimbench.errors import EffectError
from claimbench.region import above, below, interval, rate_above, within
from claimbench.statistics import judge_correlation
from claimbench.verdict import Verdict
from scipy import stats

S, R, U = Verdict.SUPPORTED, Verdict.REFUTED, Verdict.INCONCLUSIVE
POSITIVE = above(0, unit="correlation")


def pairs(strength: float, n: int = 16, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return x, strength * x + math.sqrt(1 - strength**2) * rng.normal(size=n)


def test_a_strong_correlation_is_found_at_sixteen_runs():
    x, y = pairs(0.95)
    found = judge_correlation(x, y, POSITIVE)
    (effect,) = found.effects
    assert (found.verdict, found.n, found.decided) == (S, 16, True)
    assert effect.estimate == pytest.approx(stats.kendalltau(x, y).statistic)
    assert 0 < effect.low < effect.estimate < effect.high < 1
    assert "Kendall's tau" in found.reason and "16 runs" in found.reason
    assert 0 < found.p_value <= 0.05
    assert judge_correlation(x, -y, POSITIVE).verdict is R
    assert judge_correlation(x, y, interval(-0.9, 0.1, unit="correlation")).verdict is R
    assert judge_correlation(x, y, below(0.999, unit="correlation")).verdict is S
    assert judge_correlation(x, y, above(-1.0, unit="correlation")).p_value == 0


def test_fewer_than_sixteen_never_decide_and_surplus_is_ignored():
    x, y = pairs(0.95, 30)
    for n in (0, 1, 2, 3, 15):
        found = judge_correlation(x[:n], y[:n], POSITIVE)
        assert (found.verdict, found.n, found.needed, found.decided) == (U, n, 16 - n, False)
        assert "fewer than 16 runs never decide" in found.reason
    assert judge_correlation(x, y, POSITIVE) == judge_correlation(x[:16], y[:16], POSITIVE)
    assert judge_correlation(x, y, POSITIVE, runs=30).n == 30
    short = judge_correlation(x, y, POSITIVE, runs=6)
    assert (short.verdict, short.n, short.needed, short.decided) == (U, 6, None, True)


def test_undecided_says_what_it_could_have_seen():
    found = judge_correlation(*pairs(0.3), POSITIVE)
    (effect,) = found.effects
    assert found.verdict is U and "exhausted" in found.reason and found.p_value == 1
    assert found.detectable == {"correlation": max(effect.estimate - effect.low, effect.high - effect.estimate)}


def test_a_null_needs_more_runs():
    x, y = pairs(0.0, 200, seed=3)
    assert judge_correlation(x, y, within(0.3, unit="correlation"), runs=200).verdict is S


def test_constants_decide_nothing_and_perfect_agreement_has_a_width():
    x = np.arange(16.0)
    same = judge_correlation(x, np.ones(16), POSITIVE)
    assert (same.verdict, same.effects[0].estimate, same.detectable) == (U, None, None)
    assert (same.effects[0].low, same.effects[0].high) == (-1, 1) and "the same in all runs" in same.reason
    perfect = judge_correlation(x, x**3, POSITIVE).effects[0]
    assert perfect.estimate == 1 and 0.3 < perfect.low < 0.6 and perfect.high == 1
    assert judge_correlation(x, x, above(0.9999, unit="correlation")).verdict is U


def test_one_wild_run_and_a_monotone_rescaling_change_little():
    x, y = pairs(0.9)
    plain = judge_correlation(x, y, POSITIVE)
    assert judge_correlation(np.exp(x), y**3, POSITIVE) == plain
    y[3] = -1e9
    assert judge_correlation(x, y, POSITIVE).effects[0].estimate > plain.effects[0].estimate - 0.25


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(EffectError, match="two finite numbers a run"):
        judge_correlation([1.0, 2.0], [1.0], POSITIVE)
    with pytest.raises(EffectError, match="two finite numbers a run"):
        judge_correlation([1.0, math.nan], [1.0, 2.0], POSITIVE)
    for region in (rate_above(0.5), above(0.5, scale="logit", unit="correlation")):
        with pytest.raises(EffectError, match="linear scale"):
            judge_correlation([1.0], [1.0], region)


SHAPES = {
    "normal": lambda rng, n: (x := rng.normal(size=n), 0.8 * x + 0.6 * rng.normal(size=n)),
    "skewed": lambda rng, n: (x := rng.exponential(size=n), x + rng.exponential(size=n)),
    "heavy-tailed": lambda rng, n: (x := rng.standard_t(2, size=n), 0.7 * x + rng.standard_t(2, size=n)),
    "discrete": lambda rng, n: ((x := rng.integers(0, 4, n)).astype(float), np.round(0.6 * x + rng.normal(size=n))),
    "dependent, uncorrelated": lambda rng, n: (x := rng.normal(size=n), x * rng.normal(size=n)),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_interval_covers(shape):
    rng = np.random.default_rng(4)
    x, y = SHAPES[shape](rng, 4000)
    truth = float(np.mean(np.sign(x - x[:, None]) * np.sign(y - y[:, None]))) * 4000 / 3999
    draws, above_it, below_it = 1000, 0, 0
    for _ in range(draws):
        (effect,) = judge_correlation(*SHAPES[shape](rng, 16), POSITIVE).effects
        above_it, below_it = above_it + (effect.low > truth), below_it + (effect.high < truth)
    room = 2 * math.sqrt(0.025 * 0.975 / draws) + 0.01  # and the error of the truth itself
    assert max(above_it, below_it) / draws <= 0.025 + room
    assert (above_it + below_it) / draws <= 0.05 + room
