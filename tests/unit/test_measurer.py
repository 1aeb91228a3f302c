"""The measurer: what a replicate consists of, and what items that are measured together compute once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from claimbench import at_least, guard, negative, positive, simulation, step
from claimbench.running.measure import Shared

from running_fakes import declared, fake_family, item, level, nothing, session

CALLS: list[int] = []


@step
def drawn(rng: Any) -> float:
    """A costly number."""
    CALLS.append(1)
    return 1.0 + float(rng.random())


def draw_is_large(drawn: float, factor: float = 1.0) -> float:
    """The draw."""
    return factor * drawn


def test_a_guard_takes_no_effect_once_its_precondition_fails(tmp_path: Path) -> None:
    """On the claim itself every seed of a family is shown."""
    fake_family("fake", [0.0])
    made = declared(
        requires=[at_least(0.5, "nat", level)],
        controls=[positive(on="fake", label="planted"), guard(on="fake", label="no level"), negative(level=nothing)],
    )
    measurer = session(tmp_path).measurer
    parts = {
        name: measurer.replicate(item(made, control=control), 1) for name, control in (("claim", None), ("guard", made.controls[1]))
    }
    assert all(found is not None and not found.passed for found in parts.values())
    assert "effect:" in parts["claim"].parts and set(parts["guard"].parts) == {"requires:level"}


def test_items_measured_together_draw_once_and_are_what_they_are_alone(tmp_path: Path) -> None:
    made = declared(
        draw_is_large,
        on=simulation("draws"),
        controls=[positive(factor=2.0), negative(factor=0.0)],
    )
    items = [item(made, "draws", "simulation", control=control) for control in (None, *made.controls)]

    def effects(folder: str, shared: Shared | None) -> list[Any]:
        measurer = session(tmp_path / folder).measurer
        return [measurer.replicate(one, 1, shared=shared).parts["effect:"] for one in items]

    CALLS.clear()
    together = effects("together", Shared())
    assert len(CALLS) == 1
    alone = effects("alone", None)
    assert len(CALLS) == 4
    assert [body["effects"] for body in together] == [body["effects"] for body in alone]
    assert [body["drawn"] for body in together] == [body["drawn"] for body in alone]
