"""Fourier figures of a table over residues, such as an embedding: how many frequencies it uses, and in which phase.

A table is [modulus, columns]: a row for each residue. Coefficients are those of the discrete Fourier transform over the
residues, at the frequencies 1 to modulus // 2; the constant is left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EffectError

Array = NDArray[np.float64]


def phases(table: Any) -> tuple[Array, Array]:
    """Norms over columns of the cosine and of the sine coefficients, each [frequencies]."""
    found = _coefficients(table)
    return np.linalg.norm(found.real, axis=1), np.linalg.norm(found.imag, axis=1)


def frequency_density(table: Any, share: float = 0.5) -> float:
    """Share of cosine norms above `share` of the largest cosine norm, and of sine norms likewise; 0 to 1.

    FFD of Furuta et al. 2024 with their eta = 0.5: low where few frequencies are used, 1 where all are used alike. A phase
    that does not occur at all counts as unused.
    """
    norms = phases(table)
    least = 1e-9 * max(norm.max() for norm in norms)
    return float(np.mean([norm > max(share * norm.max(), least) for norm in norms]))


def phase_balance(table: Any, weighted: bool = False) -> float:
    """Mean over frequencies of the smaller of the cosine and the sine norm over the larger: FCR of Furuta et al. 2024.

    Near 1: both phases are used alike; near 0: each frequency has one of them, a cosine (or sine) bias. weighted: by the
    frequency's share of the squared norm, so that frequencies which are not used do not count.
    """
    cosine, sine = phases(table)
    larger, smaller = np.maximum(cosine, sine), np.minimum(cosine, sine)
    used = larger > 1e-9 * larger.max()
    weights = (cosine**2 + sine**2)[used] if weighted else None
    return float(np.average(smaller[used] / larger[used], weights=weights))


def frequency_entropy(table: Any) -> float:
    """Entropy (nats) of a column's power over frequencies, averaged over columns by their power; 0: one frequency in each."""
    power = np.abs(_coefficients(table)) ** 2
    total = power.sum(axis=0)
    shares = power[:, total > 0] / total[total > 0]
    entropies = -(shares * np.log(np.maximum(shares, 1e-300))).sum(axis=0)
    return float(np.average(entropies, weights=total[total > 0]))


def _coefficients(table: Any) -> NDArray[np.complex128]:
    found = np.asarray(table, dtype=float)
    if found.ndim != 2 or len(found) < 3 or not np.isfinite(found).all():
        raise EffectError(f"a table has a row of finite numbers for each of at least 3 residues, found shape {found.shape}")
    varies = found - found.mean(axis=0)
    if np.abs(varies).max() <= 1e-12 * np.abs(found).max():
        raise EffectError("a constant table has no frequency")
    return np.asarray(np.fft.rfft(varies, axis=0)[1:])


def sum_table(rng: np.random.Generator, modulus: int, columns: int = 64, keys: int = 5) -> Array:
    """An exact embedding for addition: a column is a wave of one of a few frequencies, at a random phase. [modulus, columns]."""
    frequencies = rng.choice(np.arange(1, modulus // 2 + 1), size=keys, replace=False)
    turns = np.outer(np.arange(modulus), rng.choice(frequencies, size=columns)) / modulus
    return np.asarray(np.cos(2 * np.pi * (turns + rng.random(columns))))


def product_table(rng: np.random.Generator, modulus: int, columns: int = 64, keys: int = 5, even: bool = True) -> Array:
    """An exact embedding for multiplication modulo a prime: the same waves over discrete logarithms, their frequencies all even
    or all odd; 0 has a row of zeros. [modulus, columns].

    A character of even frequency is an even function of the residue and one of odd frequency an odd one, so the Fourier
    transform over residues is all cosine or all sine, and Gauss sums spread it over all frequencies alike.
    """
    logarithms = _logarithms(modulus)
    frequencies = rng.choice(np.arange(2 if even else 1, (modulus - 1) // 2, 2), size=keys, replace=False)
    turns = np.outer(logarithms, rng.choice(frequencies, size=columns)) / (modulus - 1)
    return np.concatenate([np.zeros((1, columns)), np.cos(2 * np.pi * (turns + rng.random(columns)))])


def _logarithms(modulus: int) -> NDArray[np.int64]:
    """Exponents by which the least generator gives 1, 2, ..., modulus - 1; EffectError where the modulus is not prime."""
    for base in range(2, modulus):
        powers = [1]
        while len(powers) < modulus - 1 and (following := powers[-1] * base % modulus) not in (0, 1):
            powers.append(following)
        if len(set(powers)) == modulus - 1:
            return np.argsort(powers)
    raise EffectError(f"{modulus} has no generator of all its residues: it is not prime")
