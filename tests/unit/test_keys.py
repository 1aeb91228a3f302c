"""Keys of measurements: put together from pieces, they are those of the whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from claimbench import above, at_least, negative, variant
from claimbench.running import keys
from claimbench.running.measure import Part, parts_of
from claimbench.running.store import key_of

from running_fakes import declared, fake_family, item, level, nothing, session

assert level  # a step of the claims that are declared here


@pytest.mark.parametrize("gap", [keys._GAP, "effect"])  # a claim has effects of that name: the pieces cannot be told apart
def test_a_key_is_that_of_all_it_is_made_of(gap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_GAP", gap)
    fake_family("fake", [1.0, 2.0, 3.0])
    made = declared(holds=above(0.5, unit="nat"), variants=[variant("twice", factor=2.0)])
    control = negative(level=nothing)
    seen: list[str] = []
    for one in (item(made), item(made, control=control)):
        opened = session(tmp_path)
        for index in range(3):
            for part in parts_of(one, index):
                told = opened.measurer.keys.told(one, part, index, opened.subjects.digest(one.subject, index))
                assert opened.measurer.keys.of(one, part, index) == key_of(told)
                seen.append(key_of(told))
    assert len(set(seen)) == len(seen)


def test_what_besides_the_measurement_is_in_the_key_makes_another(tmp_path: Path) -> None:
    fake_family("fake", [1.0])
    opened, one = session(tmp_path).measurer, item(declared())
    planted: Any = keys.Keys(opened.subjects, opened.runs, opened.root, {"fault": ["none", ""]})
    assert planted.of(one, Part("effect"), 0) != opened.keys.of(one, Part("effect"), 0)


def test_a_precondition_with_another_minimum_is_another_measurement(tmp_path: Path) -> None:
    """What is stored says whether it passed."""
    fake_family("fake", [1.0])
    measurer = session(tmp_path).measurer
    loose, strict = (item(declared(requires=[at_least(minimum, "nat", level)])) for minimum in (0.5, 1.5))
    part = Part("requires", "level")
    assert measurer.keys.of(loose, part, 0) != measurer.keys.of(strict, part, 0)
    assert measurer.keys.of(loose, Part("effect"), 0) == measurer.keys.of(strict, Part("effect"), 0)
    assert measurer.replicate(loose, 0).passed and not measurer.replicate(strict, 0).passed
