"""Fourier figures, local dimension and censored times on tables, clouds and times whose answers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from claimbench.effect import Value
from claimbench.errors import EffectError
from claimbench.measures.dimension import distinct, nearest_likelihood, two_nearest
from claimbench.measures.fourier import (
    frequency_density,
    frequency_entropy,
    phase_balance,
    product_table,
    sum_table,
)
from claimbench.measures.times import greatest, lasting_fall, least, ratio_of, to_rank

PRIME = 59


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_an_exact_sum_is_sparse_and_balanced() -> None:
    table = sum_table(rng(), PRIME, columns=200, keys=5)
    assert frequency_density(table) == pytest.approx(5 / 29)
    assert phase_balance(table, weighted=True) > 0.8
    assert frequency_entropy(table) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("even", [True, False])
def test_an_exact_product_uses_all_frequencies_in_one_phase(even: bool) -> None:
    table = product_table(rng(), PRIME, columns=200, even=even)
    assert frequency_density(table) == 0.5  # one phase of each frequency, and none of them weaker than another
    assert phase_balance(table) < 1e-6
    noisy = table + 0.01 * rng(1).normal(size=table.shape)
    assert frequency_density(noisy) == 1.0  # the other phase is that of the noise, which uses all frequencies too
    assert phase_balance(noisy) < 0.02


def test_products_multiply() -> None:
    """f(a) f(b) depends on a b alone: for a single key the angles add."""
    from claimbench.measures.fourier import _logarithms

    logarithms = _logarithms(PRIME)
    a, b = np.meshgrid(np.arange(1, PRIME), np.arange(1, PRIME))
    added = (logarithms[a - 1] + logarithms[b - 1]) % (PRIME - 1)
    np.testing.assert_array_equal(added, logarithms[a * b % PRIME - 1])


def test_a_random_table_uses_all_in_both_phases() -> None:
    table = rng().normal(size=(PRIME, 128))
    assert frequency_density(table) == 1.0
    assert phase_balance(table) > 0.85
    assert frequency_entropy(table) > 0.8 * math.log(29)


def test_one_phase_is_seen_behind_frequencies_that_are_not_used() -> None:
    table = np.cos(2 * np.pi * 3 * np.arange(PRIME) / PRIME)[:, None] + 1e-6 * rng().normal(size=(PRIME, 32))
    assert phase_balance(table) > 0.7  # the mean is that of the noise
    assert phase_balance(table, weighted=True) < 1e-3


@pytest.mark.parametrize("wrong", [np.ones((PRIME, 3)), np.full((PRIME, 3), np.nan), np.ones(PRIME)])
def test_tables_without_a_spectrum_are_refused(wrong: np.ndarray) -> None:
    for measure in (frequency_density, phase_balance, frequency_entropy):
        with pytest.raises(EffectError):
            measure(wrong)


def test_composite_moduli_have_no_product_table() -> None:
    with pytest.raises(EffectError, match="not prime"):
        product_table(rng(), 15, keys=2)


def cube(dimension: int, n: int = 1000) -> np.ndarray:
    """A uniform cube, turned at random into 64 dimensions."""
    turned = np.linalg.qr(rng(1).normal(size=(64, dimension)))[0]
    return rng(2).random((n, dimension)) @ turned.T


def sphere(dimension: int, n: int = 1000) -> np.ndarray:
    points = rng(3).normal(size=(n, dimension + 1))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


@pytest.mark.parametrize("estimate", [two_nearest, nearest_likelihood])
@pytest.mark.parametrize("cloud", [cube, sphere])
@pytest.mark.parametrize("dimension", [2, 5])
def test_known_dimensions_are_found(estimate, cloud, dimension: int) -> None:  # type: ignore[no-untyped-def]
    assert estimate(cloud(dimension), at=np.arange(200)).mean() == pytest.approx(dimension, rel=0.15)


@pytest.mark.parametrize("estimate", [two_nearest, nearest_likelihood])
def test_estimates_rise_where_they_run_low(estimate) -> None:  # type: ignore[no-untyped-def]
    found = [estimate(cube(dimension), at=np.arange(100)).mean() for dimension in (2, 5, 10, 20)]
    assert (np.diff(found) > 1).all()
    assert found[-1] < 20


def test_dimension_is_blind_to_scale_and_refuses_repetitions() -> None:
    points = cube(3, n=200)
    np.testing.assert_allclose(two_nearest(points, 30), two_nearest(1000 * points, 30))
    twice = np.concatenate([points, points[:5]])
    with pytest.raises(EffectError, match="distinct"):
        two_nearest(twice, 30)
    np.testing.assert_array_equal(distinct(twice), points)
    with pytest.raises(EffectError, match="neighbours"):
        nearest_likelihood(points[:10], 20)


def test_censored_times_keep_both_ends() -> None:
    assert ratio_of(Value(100, 120), Value(10, 20)) == Value(5, 12)
    assert ratio_of(Value(100, math.inf), Value(0, 20)) == Value(5, math.inf)
    assert ratio_of(Value(100, 120), Value(50, math.inf)) == Value(0, 2.4)
    assert least([Value(100, math.inf), Value(40, 60), Value(50, 55)]) == Value(40, 55)
    assert least([Value(100, math.inf), Value(90, math.inf)]) == Value(90, math.inf)
    assert greatest([Value(100, math.inf), Value(40, 60)]) == Value(100, math.inf)
    assert greatest([Value(-math.inf, 1), Value(0, 0.5)]) == Value(0, 1)
    assert to_rank(Value(100, 400), 1000) == 200
    assert to_rank(Value(900, math.inf), 1000) == 1000


@pytest.mark.parametrize(
    "wrong",
    [lambda: least([]), lambda: greatest([]), lambda: to_rank(Value(1, 2), 0), lambda: ratio_of(Value(1, 2), Value(0, 0))],
)
def test_times_that_cannot_be_compared_are_refused(wrong) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(EffectError):
        wrong()


def test_a_lasting_fall_is_the_last_one() -> None:
    steps = range(0, 70, 10)
    assert lasting_fall(steps, [10, 9, 10, 11, 11, 8, 7]) == Value(40, 50)
    assert lasting_fall(steps, [10, 9, 10, 11, 11, 8, 11]) == Value(60, math.inf)
    with pytest.raises(EffectError, match="positive"):
        lasting_fall(steps, [0.0] * 7)
