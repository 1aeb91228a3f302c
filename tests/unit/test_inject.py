"""Injection: parameters by name, each step once a replicate, every function on a stream of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from claimbench import NotApplicable, step
from claimbench.errors import DeclarationError
from claimbench.running.inject import Injector
from claimbench.running.streams import stream

from running_fakes import fake_lm

LM = fake_lm(1.0, "d" * 64)
CALLS: list[str] = []


@step
def base(lm, rng):
    """A number of its own stream."""
    CALLS.append("base")
    return float(rng.normal())


@step
def twice(base, factor=2.0):
    """Twice the base."""
    CALLS.append("twice")
    return factor * base


@step
def replaced(base):
    """Instead of `base`, and given what it replaces."""
    return -base


@step
def of_run(dense):
    """Reads an arm."""
    CALLS.append("of_run")
    return id(dense)


@step
def of_another(siblings):
    """The next seed's level."""
    return next(iter(siblings)).facts["level"]


@step(scope="subject")
def once(rng):
    """Costly."""
    CALLS.append("once")
    return float(rng.normal())


def effect(base, twice, once, rng, mode="zero"):
    """Everything that it receives."""
    return base, twice, once, float(rng.normal()), mode


def injector(index: int = 0, overrides: Any = None, **more: Any) -> Injector:
    CALLS.clear()
    return Injector(LM, index, 0, overrides or {}, **more)


def drawn(name: str, index: int = 0, root: int = 0) -> float:
    return float(stream(root, name, index).normal())


def test_each_step_is_computed_once_and_on_its_own_stream() -> None:
    assert injector().call(effect) == (drawn("base"), 2 * drawn("base"), drawn("once"), drawn("effect"), "zero")
    assert sorted(CALLS) == ["base", "once", "twice"]


def test_streams_follow_the_index() -> None:
    assert injector(3).call(effect)[0] == drawn("base", 3) != drawn("base", 0)


def test_preconditions_draw_data_of_their_own() -> None:
    assert injector(prefix="requires/").call(effect)[0] == drawn("requires/base") != drawn("base")


def test_a_replaced_step_receives_what_it_replaces_and_reaches_every_step_behind() -> None:
    found = injector(overrides={"base": replaced}).call(effect)
    assert found[:2] == (-drawn("base"), -2 * drawn("base"))
    assert found[2:] == injector().call(effect)[2:]


def test_a_value_may_stand_for_a_step_and_a_choice_reaches_every_function() -> None:
    assert injector(overrides={"base": 5.0, "mode": "mean"}).call(effect)[:2] == (5.0, 10.0)
    assert injector(overrides={"factor": 3.0}).call(effect)[1] == 3 * drawn("base")


def test_variants_share_what_their_choices_cannot_reach() -> None:
    """So a variant is paired with the claim: same data, one thing different."""
    shared: dict[Any, Any] = {}
    injector(shared=shared).call(effect)
    Injector(LM, 0, 0, {"mode": "mean"}, shared=shared).call(effect)
    assert sorted(CALLS) == ["base", "once", "twice"]
    Injector(LM, 0, 0, {"factor": 3.0}, shared=shared).call(effect)
    assert sorted(CALLS) == ["base", "once", "twice", "twice"]


def test_a_step_of_the_subject_is_the_same_in_every_replicate_of_a_given_model() -> None:
    of_subject: dict[Any, Any] = {}
    first = injector(0, of_subject=of_subject).call(effect)
    second = Injector(LM, 1, 0, {}, of_subject=of_subject).call(effect)
    assert first[2] == second[2] == drawn("once", 0) and first[0] != second[0]
    assert CALLS.count("once") == 1
    assert injector(1).call(effect)[2] == drawn("once", 1)  # on a family every seed is a subject


def test_siblings_are_those_of_a_family_and_a_given_model_has_none() -> None:
    other = fake_lm(7.0, "e" * 64)
    assert injector(siblings=[other]).step(of_another) == 7.0
    with pytest.raises(NotApplicable, match="other seeds of the subject's family"):
        injector().step(of_another)


def test_what_nobody_provides_is_named() -> None:
    def wants(missing: Any) -> Any:
        return missing

    with pytest.raises(DeclarationError, match="'missing', which nothing provides"):
        injector().call(wants)


def test_arms_are_given_by_name() -> None:
    def wants(dense: Any, sparse: Any) -> Any:
        return dense, sparse

    assert injector(arms={"dense": 1, "sparse": 2}).call(wants) == (1, 2)


def test_a_step_that_asks_for_all_arms_is_computed_anew_where_one_differs() -> None:
    @step
    def all_runs(arms: Any) -> dict[str, Any]:
        """All of them."""
        return arms

    shared: dict[Any, Any] = {}
    found = [injector(shared=shared, arms={"dense": 1, "sparse": sparse}).step(all_runs) for sparse in ("a", "b")]
    assert found == [{"dense": 1, "sparse": "a"}, {"dense": 1, "sparse": "b"}]


def test_streams_do_not_depend_on_the_model_so_replicates_pair() -> None:
    other = fake_lm(9.0, "f" * 64)
    assert Injector(other, 4, 0, {}).call(effect) == injector(4).call(effect)
    assert np.isfinite(injector(4).call(effect)[0])


def test_items_share_what_neither_their_arms_nor_their_replaced_steps_change() -> None:
    run, other = object(), object()

    def both(of_run: int, twice: float) -> tuple[int, float]:
        return of_run, twice

    shared: dict[Any, Any] = {}
    first = injector(shared=shared, arms={"dense": run}).call(both)
    assert Injector(LM, 0, 0, {"once": replaced}, shared=shared, arms={"dense": run}).call(both) == first
    assert sorted(CALLS) == ["base", "of_run", "twice"]
    assert Injector(LM, 0, 0, {}, shared=shared, arms={"dense": other}).call(both) == (id(other), first[1])
    assert CALLS.count("of_run") == 2 and CALLS.count("twice") == 1


def test_a_shared_value_still_tells_which_streams_it_came_from() -> None:
    shared: dict[Any, Any] = {}
    first, second = injector(shared=shared), Injector(LM, 0, 0, {}, shared=shared)
    first.call(effect)
    second.call(effect)
    assert set(first.drawn) == set(second.drawn) and len(set(first.drawn)) == 3


def test_a_step_that_shows_something_is_computed_for_each_item() -> None:
    @step
    def told(observe: Any) -> int:
        """Shows a number."""
        CALLS.append("told")
        return 1

    shared: dict[Any, Any] = {}
    for own in ("claim", "control", "control"):
        Injector(LM, 0, 0, {}, shared=shared, own=own).step(told)
    assert CALLS[-2:] == ["told", "told"] and CALLS.count("told") == 2
