"""Claims, steps and controls: what a declaration holds, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from claimbench import (
    DeclarationError,
    Documented,
    Verdict,
    above,
    at_least,
    at_least_one,
    below,
    causal_lm,
    guard,
    interval,
    negative,
    positive,
    rate_above,
    step,
    variant,
    within,
)
from claimbench.control import EXPECTED
from claimbench.step import Step, choices_of, reach

from running_fakes import declared, effect_is_large, level, nothing


def test_a_claim_knows_its_words() -> None:
    def measured(level: float) -> float:
        """What is estimated.

        How it is measured,
        in two lines.
        """
        return level

    made = declared(measured, documented=Documented("0.3 in the paper", 0.3, "nat"))
    assert (made.name, made.paper) == ("measured", "toy")
    assert (made.statement, made.protocol) == ("What is estimated.", "How it is measured, in two lines.")
    assert made.file == __file__ and made.documented.value == 0.3


@pytest.mark.parametrize(
    ("region", "bound"),
    [
        (above(0.5, unit="nat"), 1.0),
        (below(-3.0, unit="nat"), 6.0),
        (within(0.02, unit="nat"), 1.0),
        (interval(0.35, 0.65), 1.3),
    ],
)
def test_the_bound_lies_beyond_every_edge_by_default(region: Any, bound: float) -> None:
    assert declared(holds=region).bounds == {"effect": bound}


def test_a_rate_has_no_bound() -> None:
    made = declared(holds={"event": rate_above(0.5), "size": above(0.5, unit="nat")})
    assert set(made.bounds) == {"size"}


@pytest.mark.parametrize("kind", [positive, negative, guard])
def test_controls_expect_the_verdict_of_their_kind(kind: Any) -> None:
    made = kind(on="fake", level=nothing)
    assert made.expected is EXPECTED[made.kind]
    assert made.name == "fake, level = nothing"
    assert kind(on="fake", label="told").name == "told"
    with pytest.raises(DeclarationError, match="overrides nothing"):
        kind()


def test_what_a_control_replaces_has_a_readable_name() -> None:
    assert negative(level=0.5, mode="zero").name == "level = 0.5, mode = zero"


@step
def elsewhere(siblings):
    """Another seed's."""
    return next(iter(siblings))


def test_controls_that_need_other_seeds_or_subjects_do_not_run_on_a_model() -> None:
    assert negative(level=nothing).runs_on_models and negative(mode="zero").runs_on_models
    assert not negative(level=elsewhere).runs_on_models and not negative(on="fake").runs_on_models


def test_requirements_take_numbers_or_count() -> None:
    number, count = at_least(0.5, "nat", level, name="gain"), at_least_one(level)
    assert number.value(0.7) == 0.7 and count.value([1, 2]) == 2.0
    assert "gain" in number.need and "0.5 nat" in number.need


def test_a_variant_must_change_something() -> None:
    assert variant("zero", binding=True, mode="zero").choices == {"mode": "zero"}
    with pytest.raises(DeclarationError, match="changes nothing"):
        variant("zero")


def test_steps_are_functions_still() -> None:
    assert isinstance(level, Step) and level.name == "level" and level.title == "Level."
    assert nothing(3.0) == 0.0
    with pytest.raises(DeclarationError, match="'replicate' or 'subject'"):
        step(scope="seed")  # type: ignore[call-overload]


def test_choices_are_those_of_the_claim_and_of_every_step_it_reaches() -> None:
    assert choices_of(effect_is_large) == {"factor": 1.0}
    assert [function.__name__ for function in reach(effect_is_large)] == ["effect_is_large", "level"]


@pytest.mark.parametrize("names", [[], ()])
def test_a_claim_names_a_subject(names: Any) -> None:
    with pytest.raises(DeclarationError, match="names no subject"):
        causal_lm(organism=names)


def test_why_a_claim_has_no_model_form() -> None:
    assert causal_lm(organism="fake").model
    without = causal_lm(organism="fake", model="its task exists for organisms only")
    assert not without.model and without.why_no_model == "its task exists for organisms only"


def test_a_negative_and_a_positive_are_asked_of_every_claim() -> None:
    with pytest.raises(DeclarationError, match="no negative and no positive control"):
        declared(controls=[guard(on="fake")])
    assert Verdict.REFUTED in {control.expected for control in declared().controls}
