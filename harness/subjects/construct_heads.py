"""The parts of hand-written nets: codes for tokens and positions, and the kinds of heads.

Score terms are written in nats: weight times a similarity that is 1 for a match, so a head's pattern can be computed
on paper.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations

import numpy as np

from .construct import Array, Construction, Head, Move, Term

CODE = 16  # dimensions of a token code
COHERENCE = 0.25  # largest similarity of two different token codes, in absolute value
POSITIONS = 16  # dimensions of a position code
PERIOD = 257
FREQUENCIES = (5, 25, 28, 49, 54, 106, 119, 120)  # of 257; found by search for small sidelobes
SIDELOBE = 0.4326  # largest similarity of the codes of two different positions below 257 (the smallest is -0.4716)


@cache
def _codes() -> Array:
    """144 unit vectors in 16 dimensions: nine mutually unbiased bases, so similarities are 0 or +-1/4.

    The identity, and the Hadamard basis with the signs of eight quadratic forms in four bits whose pairwise sums are
    bent (a Kerdock set; Calderbank, Cameron, Kantor and Seidel 1997). A form is given by its products of bits, one
    bit a product.
    """
    bits = (np.arange(16)[:, None] >> np.arange(4)) & 1
    hadamard = (-1.0) ** (bits @ bits.T) / 4
    products = np.stack([bits[:, i] * bits[:, j] for i, j in combinations(range(4), 2)], axis=1)
    forms = (np.array([0, 12, 22, 27, 39, 41, 53, 58])[:, None] >> np.arange(6)) & 1
    return np.concatenate([np.eye(16), *(hadamard * (-1.0) ** (products @ form) for form in forms)])


def token_codes(rng: np.random.Generator, count: int) -> Array:
    """[count, 16]: unit codes drawn without replacement from 144 whose similarities are 0 or +-1/4."""
    return np.asarray(_codes()[rng.permutation(144)[:count]])


def position_codes(context: int) -> Array:
    """[context, 16]: unit codes (cos, sin at eight frequencies) whose similarity depends on the distance only."""
    angle = 2 * np.pi * np.outer(np.arange(context), FREQUENCIES) / PERIOD
    codes: Array = np.concatenate([np.cos(angle), np.sin(angle)], axis=1) / np.sqrt(len(FREQUENCIES))
    return codes


def shift(lag: int) -> Array:
    """[16, 16]: turns the code of position i into that of position i - lag."""
    angle = 2 * np.pi * lag * np.array(FREQUENCIES) / PERIOD
    cos, sin = np.diag(np.cos(angle)), np.diag(np.sin(angle))
    return np.block([[cos, -sin], [sin, cos]])


# ---- scores


def match(net: Construction, query: str, key: str, weight: float, through: Array | None = None) -> Term:
    """weight * similarity of slot `query` at the query with slot `key` at the key, or of query @ through with key."""
    reader = net.select(query) * weight
    return Term(reader if through is None else reader @ through, net.select(key))


def at_lag(net: Construction, lag: int, weight: float) -> Term:
    """weight at the position `lag` before the query, at most SIDELOBE * weight elsewhere."""
    return Term(net.select("position") @ shift(lag) * weight, net.select("position"))


def at_lag_beyond_first(net: Construction, lag: int, weight: float) -> Term:
    """As `at_lag`, but 0 for the key at position 0, so that a sink there keeps its own score whatever the distance."""
    blank = net.select("first") @ position_codes(1)
    return Term(net.select("position") @ shift(lag) * weight, net.select("position") - blank)


def offset(net: Construction, **slots: float) -> Term:
    """A score of the key alone: the sum of weight times one-dimensional slot, e.g. bos=20, first=-10."""
    key = sum((net.select(slot) * weight for slot, weight in slots.items()), np.zeros((net.size, 1)))
    return Term(np.zeros((net.size, 1)), key, np.ones(1))


# ---- heads


def copy(net: Construction, source: str, target: str, gain: float = 1.0) -> Move:
    """Carries slot `source` of the attended tokens to slot `target`."""
    return Move(net.select(source), net.select(target).T * gain)


def murmur(net: Construction, gain: float = 0.3) -> Move:
    """Carries the token through a random map into the noise slot, which only the readout reads, and faintly."""
    noise = net.select("noise")
    read = np.concatenate([net.select(slot) for slot in ("token", "bos") if slot in net.slots], axis=1)
    mixing = net.rng.standard_normal((read.shape[1], noise.shape[1])) / np.sqrt(noise.shape[1])
    return Move(read, gain * mixing @ noise.T)


def previous_token(net: Construction, target: str, lag: int = 1) -> Head:
    """Attends to the token `lag` back and stores its code in slot `target`."""
    return Head("previous token" if lag == 1 else f"{lag} back", (at_lag(net, lag, 40.0),), copy(net, "token", target))


def bystanders(net: Construction, count: int) -> list[Head]:
    """Heads outside the circuit: uniform, mostly first position, self, and fixed lags from 3 on; they murmur."""
    kinds: list[tuple[Term, ...]] = [(), (offset(net, first=4.0),), (at_lag(net, 0, 40.0),)]
    kinds += [(at_lag(net, lag, 40.0),) for lag in range(3, 3 + max(0, count - len(kinds)))]
    return [Head("bystander", terms, murmur(net)) for terms in kinds[:count]]


def read_out(net: Construction, codes: Array, gain: float, faint: float = 0.15) -> None:
    """Logits: gain * similarity of slot `output` with each token's code [vocab, k], plus a faint reading of noise."""
    noise = net.select("noise")
    net.readout = net.select("output") @ codes.T * gain
    net.readout = net.readout + noise @ net.rng.standard_normal((noise.shape[1], net.vocab)) * faint
