"""three-phase: the constant that its orthogonality witness shows, which is one by construction (arXiv:2604.14430)."""

from __future__ import annotations

import numpy as np
from claimbench import claim, negative, positive, simulation, step, within

PHASES, TOKENS, CHANNELS = 3, 1024, 32


@step
def stream(rng):
    """An embedding output [tokens, phases, channels] whose phases cancel, with the horn 1 / t added to each."""
    x = rng.standard_normal((TOKENS, PHASES, CHANNELS))
    x -= x.mean(axis=(1, 2), keepdims=True)
    return x + horn()


@step
def horn_alone():
    """Planted: the horn without an embedding."""
    return np.broadcast_to(horn(), (TOKENS, PHASES, CHANNELS))


def horn():
    return (1 / np.arange(1, TOKENS + 1))[:, None, None]


@claim(
    "three-phase/horn-witness-constant",
    on=simulation("embedding output"),
    evidence="instrument",
    holds={"from 3 H_T / T": within(1e-9, unit="1"), "from the paper's 0.0220": within(5e-5, unit="1")},
    why="equal up to rounding of numbers of 64 bits, and to the four digits that the paper gives",
    documented="the witness stays at 0.0220 throughout training",
    controls=[positive(stream=horn_alone), negative(power=2, label="the squared term of the paper's code")],
)
def the_witness_is_a_constant(stream, power=1):
    """Witness of an embedding output minus three times the mean of 1 / t over positions, and minus the figure of the paper.

    The witness: sum over the three phases of their channel means, mean over 1,024 positions, before any block. Whatever the
    embeddings are, what is left of balanced phases is the horn alone: an identity, it says nothing of what training does.
    """
    witness = (stream.mean(axis=2).sum(axis=1) ** power).mean()
    return {
        "from 3 H_T / T": witness - PHASES * (1 / np.arange(1, TOKENS + 1)).mean(),
        "from the paper's 0.0220": witness - 0.0220,
    }
