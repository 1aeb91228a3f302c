"""adopt: what holds of the rule by construction, checked on the trainer's ADOPT before anything rests on it (arXiv:2411.02853)."""

from __future__ import annotations

import numpy as np
from claimbench import claim, negative, positive, simulation, step, within
from claimbench.simulations.by_trainer import walked_by


@step
def gradients(rng):
    """200 heavy-tailed gradients of four weights, so that the clip acts on some."""
    return rng.standard_t(3, size=(200, 4))


@step
def path_of():
    """Weights after each gradient, by the trainer's ADOPT."""
    return lambda given, clip: walked_by("adopt", given, clip_power=clip)


@step
def path_of_adam():
    """Planted: by the trainer's Adam."""
    return lambda given, clip: walked_by("adam", given)


@step
def written_out():
    """The rule in ten lines."""

    def path(given, clip):
        x, m, v, found = np.zeros(given.shape[1]), 0.0, given[0] ** 2, [np.zeros(given.shape[1])]
        for t, g in enumerate(given[1:], 1):
            n = g / np.maximum(np.sqrt(v), 1e-6)
            n = n if clip is None else np.clip(n, -(t**clip), t**clip)
            m = 0.9 * m + 0.1 * n
            x = x - 0.1 * m
            v = 0.99 * v + 0.01 * g**2
            found.append(x)
        return np.array(found)

    return path


@claim(
    "adopt/implementation-identities",
    on=simulation("random gradients"),
    evidence="instrument",
    holds={
        "first move": within(1e-12, unit="1"),
        "gradients a thousand times as large": within(1e-6, unit="1"),
        "away from the rule": within(1e-9, unit="1"),
    },
    why="rounding of numbers of 64 bits over 200 steps; the least second moment is far above the eps of 1e-6",
    documented="true by construction",
    controls=[positive(path_of=written_out), negative(path_of=path_of_adam)],
)
def adopt_is_the_paper_s_rule(gradients, path_of, written_out):
    """Largest weight after the first gradient, and largest distance of paths: for scaled gradients, and from the rule written out.

    200 gradients of Student's law with three degrees of freedom, four weights, rate 0.1, betas 0.9 and 0.99; the distance from
    the rule with the clip at the fourth root of the step and without any. An identity: it checks the instrument.
    """
    path = path_of(gradients, 0.25)
    return {
        "first move": np.abs(path[0]).max(),
        "gradients a thousand times as large": np.abs(path_of(1000 * gradients, 0.25) - path).max(),
        "away from the rule": max(np.abs(path_of(gradients, c) - written_out(gradients, c)).max() for c in (0.25, None)),
    }
