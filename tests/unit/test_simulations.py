"""Simulations as subjects, and the two theories of learning: against closed forms, finite differences and each other."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from claimbench import Claim, DeclarationError, NotApplicable, above, at_least, claim, guard, negative, positive, simulation
from claimbench.errors import EffectError
from claimbench.running.code_digest import code_digest
from claimbench.running.item import items_of, named_subject
from claimbench.running.options import checked
from claimbench.running.session import Session
from claimbench.simulations import nested_logits, three_vectors
from claimbench.simulations.nested_logits import Start, learn


def drift(rng, size=3.0):
    """Size of a noisy number."""
    return size + rng.normal(0, 0.1)


def large(rng, size=3.0):
    """The number as its precondition sees it."""
    return size


def declared(function: Callable[..., object] = drift, **changes: object) -> Claim:
    """A claim on a simulation; not at module level, where pytest would collect it."""
    options: dict[str, object] = {
        "on": simulation("drift"),
        "holds": above(2.0, unit="1"),
        "why": "by construction",
        "documented": "none",
        "requires": [at_least(0.5, "1", large)],
        "controls": [positive(size=9.0), negative(size=1.0), guard(size=0.0)],
    }
    return claim("paper/numbers-drift", **{**options, **changes})(function)  # type: ignore[arg-type]


def run(folder: Path, made: Claim, **options: object) -> list[dict[str, object]]:
    session = Session(checked(store=folder, profile="smoke"))
    return [session.run(item) for item in items_of(made, "id", with_controls=True, **options)]  # type: ignore[arg-type]


def test_a_simulation_is_judged_over_seeds_as_an_analogue_and_its_controls_replace_choices(tmp_path: Path) -> None:
    results = run(tmp_path, declared())
    assert [r["verdict"] for r in results] == ["SUPPORTED", "SUPPORTED", "REFUTED", "NOT_APPLICABLE"]
    first = results[0]
    assert (first["subject"], first["subject_kind"], first["replicate_unit"]) == ("drift", "simulation", "seed")
    assert first["evidence"] == "analogue" and first["item"] == "id[drift]"
    values = [r["effects"]["effect"][0] for r in first["replicates"]]  # type: ignore[attr-defined,index]
    assert len(set(values)) == 6, "each seed has a stream of its own"


def test_evidence_can_be_named_where_a_simulation_is_itself_what_the_finding_is_about(tmp_path: Path) -> None:
    assert run(tmp_path, declared(evidence="replication"))[0]["evidence"] == "replication"


def test_a_given_model_cannot_be_a_simulation(tmp_path: Path) -> None:
    session = Session(checked(store=tmp_path, profile="smoke"))
    result = session.run(next(items_of(declared(), "id", models=[named_subject("stories260K")])))
    assert result["verdict"] == "NOT_APPLICABLE" and "simulation (drift)" in str(result["reason"])


def test_a_claim_on_a_simulation_that_asks_for_a_network_is_refused() -> None:
    def looks_into(lm, rng, size=3.0):
        """Nothing."""

    with pytest.raises(DeclarationError, match="asks for a network"):
        declared(looks_into)
    with pytest.raises(DeclarationError, match="names nothing"):
        simulation(" ")


def test_what_is_simulated_is_part_of_the_code_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    from claimbench.running import code_digest as module

    def follows(rng):
        return learn(Start(0.0, 0.0, 0.0), labels=8, pairs=4)

    before = code_digest([follows])
    original = module._module_dump
    monkeypatch.setattr(module, "_module_dump", lambda name: original(name) + ("!" if "nested_logits" in name else ""))
    assert code_digest([follows]) != before


# three vectors


def test_two_clamped_vectors_leave_a_linear_problem_with_a_closed_form() -> None:
    begun = three_vectors.begin(np.random.default_rng(0), scale=0.3)
    found = three_vectors.losses(begun, clamped=2, rate=0.05, steps=40)
    away = np.square(begun.factors[2] - begun.targets[2]).sum()
    np.testing.assert_allclose(found, 0.5 * away * 0.95 ** (2 * np.arange(40)), rtol=1e-9)


def test_descent_follows_the_gradient_of_the_tensor_distance() -> None:
    begun = three_vectors.begin(np.random.default_rng(1), dimension=3, scale=0.5)

    def loss(factors: np.ndarray) -> float:
        ours, target = (np.einsum("i,j,k->ijk", *v) for v in (factors, begun.targets))
        return float(0.5 * np.square(ours - target).sum())

    factors, small = begun.factors.copy(), 1e-6
    for _ in range(3):
        change = np.zeros_like(factors)
        for place in np.ndindex(factors.shape):
            step = np.zeros_like(factors)
            step[place] = small
            change[place] = (loss(factors + step) - loss(factors - step)) / (2 * small)
        factors -= 0.02 * change
    assert three_vectors.losses(begun, steps=4)[-1] == pytest.approx(loss(factors), rel=1e-6)


@pytest.mark.parametrize("scale", [0.05, 0.1, 0.2])
def test_each_clamped_factor_shortens_the_plateau(scale: float) -> None:
    """Median ratios of twelve beginnings, at scales between which absolute steps differ twofold."""
    steps = []
    for seed in range(12):
        begun = three_vectors.begin(np.random.default_rng([7, seed]), scale=scale)
        steps.append([three_vectors.steps_to_learn(begun, clamped=c).low for c in range(3)])
    none, one, two = np.log(np.array(steps)).T
    assert np.median(none - one) > math.log(2) and np.median(one - two) > math.log(1.5)


def test_three_vectors_that_do_not_learn_in_time_have_an_open_time() -> None:
    begun = three_vectors.begin(np.random.default_rng(0), scale=1e-6)
    assert three_vectors.steps_to_learn(begun, steps=50).high == math.inf


@pytest.mark.parametrize("bad", [lambda b: three_vectors.losses(b, clamped=3), lambda b: three_vectors.losses(b, clamped=-1)])
def test_three_clamped_vectors_leave_nothing_to_learn(bad: Callable[..., object]) -> None:
    with pytest.raises(EffectError, match="one must learn"):
        bad(three_vectors.begin(np.random.default_rng(0)))


def test_three_vectors_need_a_dimension_and_a_scale() -> None:
    for options in ({"dimension": 0}, {"scale": 0.0}):
        with pytest.raises(EffectError, match="dimension"):
            three_vectors.begin(np.random.default_rng(0), **options)  # type: ignore[arg-type]


# nested logits


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize(("labels", "pairs"), [(8, 8), (32, 8), (5, 2)])
def test_the_flow_is_the_gradient_of_the_log_probability(labels: int, pairs: int, nested: bool) -> None:
    rng = np.random.default_rng(labels)
    for _ in range(5):
        values, small = rng.normal(0, 2, 3), 1e-6

        def score(at: np.ndarray) -> float:
            return float(np.log(nested_logits._probabilities(at, labels, pairs, nested)[0]))

        expected = [(score(values + d) - score(values - d)) / (2 * small) for d in small * np.eye(3)]
        np.testing.assert_allclose(nested_logits.gradient(values, labels, pairs, nested), expected, rtol=1e-4, atol=1e-7)


def test_gradient_flow_agrees_with_small_steps_of_descent() -> None:
    start = Start(0.1, -0.05, 0.02)
    course = learn(start, labels=16, pairs=4)
    values, rate = np.array([start.beta, start.alpha, start.xi]), 0.002
    for _ in range(int(10 / rate)):
        values = values + rate * nested_logits.gradient(values, 16, 4)
    there = [np.interp(10.0, course.times, numbers) for numbers in (course.beta, course.alpha, course.xi)]
    np.testing.assert_allclose(there, values, atol=2e-3)


def test_a_course_ends_solved_and_begins_at_chance() -> None:
    course = learn(Start(0.0, 0.0, 0.0), labels=32, pairs=8)
    assert course.accuracy[0] == pytest.approx(1 / 32) and course.accuracy[-1] == pytest.approx(0.95, abs=1e-3)
    assert course.in_context[0] == pytest.approx(8 / 32) and (course.in_context >= course.accuracy).all()
    assert course.loss[0] == pytest.approx(math.log(32))
    assert course.to_item[0] == pytest.approx(1 / 9) and course.to_label[0] == pytest.approx(1 / 8)
    assert (np.diff(course.accuracy) > -1e-9).all(), "gradient flow never loses what it follows"


def test_with_as_many_labels_as_pairs_nothing_moves_away_from_zero() -> None:
    course = learn(Start(0.0, 0.0, 0.0), labels=8, pairs=8)
    assert course.time_to(course.accuracy, 0.9).high == math.inf
    with pytest.raises(NotApplicable, match="end where they began"):
        course.half_rise(course.xi)


def test_half_rise_and_times_are_known_to_a_record() -> None:
    course = learn(Start(0.0, 0.0, 0.0), labels=32, pairs=8)
    when = course.half_rise(course.times)  # a straight line is half way at half of the time
    assert when.low <= course.times[-1] / 2 <= when.high <= 1.01 * when.low


@pytest.mark.parametrize(("labels", "pairs"), [(7, 8), (8, 1)])
def test_more_pairs_than_labels_or_a_single_pair_is_refused(labels: int, pairs: int) -> None:
    with pytest.raises(EffectError, match="2 pairs or more"):
        learn(Start(0.0, 0.0, 0.0), labels=labels, pairs=pairs)
