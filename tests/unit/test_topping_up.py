"""A store is topped up: whatever is measured beyond a decision, the result stays what it was (through a whole session)."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from running_fakes import declared, fake_family, item, level, session

assert level  # a step of the claims that are declared here
CLAIM = declared()
LEVELS = st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=11, max_size=11)
TIMES = ("measured_at", "seconds", "peak_memory_mb")


@settings(max_examples=15, deadline=None)
@given(LEVELS, st.integers(0, 11), st.sampled_from(["smoke", "standard"]))
def test_topping_up_a_store_never_changes_a_decided_result(levels: list[float], more: int, profile: str) -> None:
    fake_family("fake", levels)
    with tempfile.TemporaryDirectory() as folder:
        found = session(Path(folder), profile=profile).run(item(CLAIM))
        again = session(Path(folder), profile=profile)
        for index in range(more):
            again.measurer.replicate(item(CLAIM), index)
        later = again.run(item(CLAIM))
        told = [{name: value for name, value in one.items() if name not in TIMES} for one in (found, later)]
        assert told[0] == told[1] and later["verdict"] in ("SUPPORTED", "REFUTED", "INCONCLUSIVE")


@settings(max_examples=8, deadline=None)
@given(LEVELS)
def test_a_dearer_profile_keeps_what_a_cheaper_one_decided(levels: list[float]) -> None:
    fake_family("fake", levels)
    with tempfile.TemporaryDirectory() as folder:
        cheap, dear = (session(Path(folder), profile=profile).run(item(CLAIM)) for profile in ("smoke", "standard"))
        if cheap["verdict"] != "INCONCLUSIVE":
            assert (dear["verdict"], dear["n"], dear["reason"]) == (cheap["verdict"], cheap["n"], cheap["reason"])
