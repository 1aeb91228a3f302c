"""The claim whose overhead `bench.py` measures: two passes over the prompts of a replicate, and nothing else."""

from __future__ import annotations

from typing import Any

from claimbench import below, causal_lm, claim, negative, positive, step

ROWS, LENGTH = 8, 64


@step
def prompts(lm: Any, rng: Any) -> Any:
    """Random tokens."""
    return rng.choice(lm.tokens.frequent, (ROWS, LENGTH))


@claim(
    "bench/overhead",
    on=causal_lm(organism="constructed-induction-head"),
    holds=below(1.0, unit="nat"),
    why="a benchmark",
    documented="nothing",
    controls=[positive(on="constructed-mirror-head"), negative(on="constructed-induction-head")],
)
def rises(lm: Any, prompts: Any) -> Any:
    """Rise of the loss when three heads write zeros.

    On random tokens.
    """
    heads = [(0, 0), (1, 1), (2, 2)]
    return float(lm.without(heads, "zero").nll(prompts).mean() - lm.nll(prompts).mean())
