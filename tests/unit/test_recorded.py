"""Which seeds of recorded families a profile retrains."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from claimbench.running.collecting import load_all_organisms
from claimbench.running.item import Subject
from claimbench.running.options import checked
from claimbench.running.recorded import AFFORDABLE, Recorded
from claimbench.running.store import Store
from claimbench.subjects.family import families


def recorded(tmp_path: Path, profile: str, seed: int = 0) -> Recorded:
    load_all_organisms([], Path.cwd())
    return Recorded(Store(tmp_path / "store"), checked(profile=profile, seed=seed))


def seconds(name: str, seed: int) -> float:
    folder = families()[name].recorded
    assert folder is not None
    return float(json.loads((folder / f"{seed}.json").read_text())["seconds"])


@pytest.mark.parametrize("seed", range(5))
def test_standard_retrains_a_drawn_seed_of_each_family_that_takes_seconds(seed: int, tmp_path: Path) -> None:
    quick, slow = Subject("one-task", "family"), Subject("order-2", "family")
    (drawn,) = recorded(tmp_path, "standard", seed).seeds(quick)
    assert 0 <= drawn < families()["one-task"].seeds and seconds("one-task", drawn) <= AFFORDABLE
    assert all(seconds("order-2", each) > AFFORDABLE for each in range(families()["order-2"].seeds))
    assert recorded(tmp_path, "standard", seed).seeds(slow) == []


def test_another_profile_retrains_all_or_none(tmp_path: Path) -> None:
    slow = Subject("order-2", "family")
    assert recorded(tmp_path, "full").seeds(slow) == list(range(families()["order-2"].seeds))
    assert recorded(tmp_path, "smoke").seeds(slow) == []
    assert recorded(tmp_path, "full").seeds(Subject("constructed-graded-heads", "family")) == []
