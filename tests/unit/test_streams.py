"""Random streams: a function of root seed, name and index, and of nothing else."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from claimbench.errors import UsageError
from claimbench.running.streams import LARGEST_SEED, check_seed, stream
from hypothesis import given, settings
from hypothesis import strategies as st

ASKED = st.tuples(st.integers(0, LARGEST_SEED), st.text(max_size=12), st.integers(0, 10_000))


@settings(max_examples=60, deadline=None)
@given(ASKED, ASKED)
def test_two_streams_are_equal_only_if_all_three_are(one: tuple[int, str, int], other: tuple[int, str, int]) -> None:
    first, second = (stream(*asked).integers(2**63, size=4) for asked in (one, other))
    assert np.array_equal(first, second) == (one == other)


def test_neighbouring_streams_are_uncorrelated() -> None:
    drawn = np.array(
        [stream(root, name, index).normal(size=400) for root, name, index in itertools.product((0, 1), "ab", range(5))]
    )
    correlations = np.corrcoef(drawn) - np.eye(len(drawn))
    assert abs(correlations).max() < 4.5 / np.sqrt(400)


def test_a_stream_is_the_same_today_and_tomorrow() -> None:
    """Stored replicates pair with new ones only while this holds."""
    assert stream(0, "effect", 3).integers(1000, size=5).tolist() == [181, 973, 385, 753, 995]


@pytest.mark.parametrize("seed", [-1, LARGEST_SEED + 1, 10**30])
def test_seeds_out_of_range_are_refused(seed: int) -> None:
    with pytest.raises(UsageError, match=f"from 0 to {LARGEST_SEED}"):
        check_seed(seed)


@pytest.mark.parametrize("seed", [0, 1, LARGEST_SEED])
def test_seeds_in_range_are_kept(seed: int) -> None:
    assert check_seed(seed) == seed
