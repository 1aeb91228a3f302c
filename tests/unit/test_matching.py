"""Comparisons at matched loss."""

from __future__ import annotations

import math

import pytest
from claimbench import NotApplicable
from claimbench.effect import Value
from claimbench.errors import EffectError
from claimbench.measures.matching import last_mean, step_at, when_matched


def test_lies_between_the_records_around_the_first_time_at_the_level() -> None:
    losses, scores = [4.0, 3.0, 2.0, 3.0, 1.0], [0.0, 0.1, 0.6, 0.3, 0.9]
    assert when_matched(losses, 2.5, scores) == Value(0.1, 0.6)
    assert when_matched(losses, 2.0, scores) == Value(0.1, 0.6)
    assert when_matched(losses, 1.5, scores) == Value(0.3, 0.9)


def test_a_level_reached_at_the_first_record_has_nothing_before_it() -> None:
    assert when_matched([4.0, 3.0], 5.0, [0.2, 0.7]) == Value(0.2, 0.2)


def test_a_loss_never_reached_says_so() -> None:
    with pytest.raises(NotApplicable, match=r"falls to 3\.000"):
        when_matched([4.0, 3.0], 2.0, [0.0, 0.0])


@pytest.mark.parametrize(("losses", "values"), [([], []), ([1.0, 2.0], [1.0])])
def test_records_must_agree(losses: list[float], values: list[float]) -> None:
    with pytest.raises(EffectError, match="as many"):
        when_matched(losses, 1.0, values)


def test_the_end_is_the_mean_of_the_last_records() -> None:
    assert last_mean([9.0, 1.0, 2.0, 3.0]) == 2.0
    assert last_mean([9.0, 1.0, 2.0, 4.0], records=2) == 3.0


def test_the_step_at_a_loss_lies_on_the_line_between_two_records() -> None:
    steps, losses = [40.0, 80.0, 120.0], [4.0, 3.0, 2.5]
    assert step_at(steps, losses, 3.25) == Value(70.0, 70.0)
    assert step_at(steps, losses, 3.0) == Value(80.0, 80.0)
    assert step_at(steps, losses, 5.0) == Value(0.0, 40.0)
    assert step_at(steps, losses, 2.0) == Value(120.0, math.inf)


def test_steps_and_losses_are_as_many() -> None:
    with pytest.raises(EffectError, match="as many"):
        step_at([1.0], [], 1.0)
