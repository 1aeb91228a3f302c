"""Random streams: (root seed, name, index) and nothing else, so replicates pair across subjects, versions and variants."""

from __future__ import annotations

import hashlib

import numpy as np

from ..errors import UsageError

LARGEST_SEED = 2**32 - 1


def check_seed(seed: int) -> int:
    """The seed itself, or UsageError when it is negative or too large for every generator in use."""
    if not 0 <= seed <= LARGEST_SEED:
        raise UsageError(f"--seed {seed} is out of range: use a whole number from 0 to {LARGEST_SEED}")
    return seed


def stream(root: int, name: str, index: int) -> np.random.Generator:
    """The generator of one named computation in one replicate."""
    digest = hashlib.sha256(f"{root}/{name}/{index}".encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, dtype=np.uint32))
