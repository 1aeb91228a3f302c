"""The measurer: what a replicate consists of, and what items that are measured together compute once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from claimbench import at_least, guard, negative, positive, simulation, step
from claimbench.running.inject import Injector, Values

from running_fakes import declared, fake_family, item, level, nothing, session
from tiny_models import some_ids, tiny_lm

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

    def effects(folder: str, memory: int) -> list[Any]:
        measurer = session(tmp_path / folder).measurer
        measurer.memory = memory
        return [measurer.replicate(one, 1).parts["effect:"] for one in items]

    CALLS.clear()
    together = effects("together", 1)
    assert len(CALLS) == 1
    alone = effects("alone", 0)
    assert len(CALLS) == 4
    assert [body["effects"] for body in together] == [body["effects"] for body in alone]
    assert [body["drawn"] for body in together] == [body["drawn"] for body in alone]


def test_a_measurer_may_remember_what_replicates_have_in_common(tmp_path: Path) -> None:
    made = declared(draw_is_large, on=simulation("draws"), controls=[positive(factor=2.0), negative(factor=0.0)])
    items = [item(made, "draws", "simulation", control=control) for control in (None, *made.controls)]
    drawn = {}
    for memory, draws in ((0, 6), (1, 6), (2, 2)):
        measurer = session(tmp_path / str(memory)).measurer
        measurer.memory = memory
        CALLS.clear()
        bodies = [measurer.replicate(one, index).parts["effect:"] for one in items for index in (3, 4)]
        drawn[memory] = [body["effects"] for body in bodies]
        assert len(CALLS) == draws
    assert drawn[0] == drawn[2] == drawn[1]


@step
def weakened(lm):
    return lm.without([(0, 1)], mode="zero").logits(some_ids(2, 6))


def first_asks(lm, weakened):
    return lm.without([(1, 0)], mode="zero").logits(some_ids(2, 6))


def asks_twice(weakened, again):
    return weakened


@step
def again(weakened):
    return weakened


def test_receipts_come_along_with_a_value_that_another_item_computed() -> None:
    """The second item's effect rests on the intervention too, which was made once."""
    lm, shared = tiny_lm("gpt2"), Values()
    Injector(lm, 0, 0, {}, shared=shared).call(first_asks)
    assert [receipt.intervention for receipt in lm.recorder.receipts] == ["without 0.1 (zero)", "without 1.0 (zero)"]
    lm.recorder.reset()
    value = Injector(lm, 0, 0, {}, shared=shared).call(asks_twice)
    assert [receipt.intervention for receipt in lm.recorder.receipts] == ["without 0.1 (zero)"]
    assert lm.recorder.forward_passes == 0 and value is next(iter(shared.values())).value


def rests_on_both(weakened, again):
    return again


def asks_last(again):
    return again


def test_a_value_brings_the_receipts_of_what_it_rests_on_also_where_these_were_there_before() -> None:
    """`again` was computed when the receipt of `weakened` was recorded already; who asks for `again` alone gets it too."""
    lm, shared = tiny_lm("gpt2"), Values()
    Injector(lm, 0, 0, {}, shared=shared).call(first_asks)
    lm.recorder.reset()
    Injector(lm, 0, 0, {}, shared=shared).call(rests_on_both)
    assert [receipt.intervention for receipt in lm.recorder.receipts] == ["without 0.1 (zero)"]
    lm.recorder.reset()
    Injector(lm, 0, 0, {}, shared=shared).call(asks_last)
    assert [receipt.intervention for receipt in lm.recorder.receipts] == ["without 0.1 (zero)"]
