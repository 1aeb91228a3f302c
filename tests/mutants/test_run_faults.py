"""Faults of running, planted one at a time: for each a check that a healthy harness passes and the fault does not."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from claimbench import Claim, at_least, causal_lm, negative, positive, step, variant
from claimbench.running import inject, judging, keys, measure
from claimbench.running.collecting import load_module
from claimbench.running.inject import Injector
from claimbench.running.item import Item, Subject, items_of
from claimbench.running.keys import Keys
from claimbench.running.session import Session
from claimbench.running.streams import stream
from claimbench.running.subjects import Subjects

from running_fakes import declared, effect_is_large, fake_family, fake_lm, item, level, nothing, session

Plant = Callable[[pytest.MonkeyPatch], None]
Check = Callable[[Path], None]


@pytest.fixture(autouse=True)
def families() -> None:
    fake_family("fake", [1.0 + 0.1 * seed for seed in range(11)])
    fake_family("fake-absent", [0.0])
    fake_family("fake-strong", [2.0])


def holds(check: Check, folder: Path) -> bool:
    """Whether a check passes."""
    try:
        check(folder)
    except AssertionError:
        return False
    return True


def numbers(result: dict[str, Any]) -> list[float]:
    return [r["effects"]["effect"][0] for r in result["replicates"]]


# ---- checks


def noise_alone(rng):
    """Noise only, so that equal data show."""
    return float(rng.normal())


def replicates_draw_data_of_their_own(folder: Path) -> None:
    result = session(folder, {"gpt": fake_lm(1.0, "a" * 64)}).run(item(declared(noise_alone), "gpt", "model"))
    found = numbers(result)
    assert len(found) > 5 and len(set(found)) == len(found)


def each_replicate_has_its_own_seed_of_the_family(folder: Path) -> None:
    def seed_of(lm):
        """The seed that is measured."""
        return float(lm.facts["seed"])

    found = numbers(session(folder).run(item(declared(seed_of))))
    assert found == list(range(len(found)))


def two_models_of_one_name_are_two(folder: Path) -> None:
    """Also a model that is called as a family is."""
    made, found = declared(), []
    for path, value, digest in (("/one/gpt", 1.0, "a"), ("/two/gpt", 0.0, "b")):
        subjects[path] = fake_lm(value, digest * 64)
    shared = session(folder)
    for subject in (
        Subject("gpt", "model", "/one/gpt"),
        Subject("gpt", "model", "/two/gpt"),
        Subject("fake", "model", "/two/gpt"),
    ):
        found.append(shared.run(Item(made, "toy", subject))["verdict"])
    found.append(shared.run(Item(made, "toy", Subject("fake", "family")))["verdict"])
    assert found == ["SUPPORTED", "REFUTED", "REFUTED", "SUPPORTED"]


def another_model_is_measured_anew(folder: Path) -> None:
    verdicts = [
        session(folder, {"gpt": fake_lm(value, digest * 64)}).run(item(declared(), "gpt", "model"))["verdict"]
        for value, digest in ((1.0, "a"), (0.0, "b"))
    ]
    assert verdicts == ["SUPPORTED", "REFUTED"]


def variants_and_controls_are_paired(folder: Path) -> None:
    """The same choice gives the same number, and a control sees the data that the claim saw."""
    variants = [variant("same", factor=1.0), variant("double", factor=2.0)]
    made = declared(variants=variants, controls=[positive(on="fake", label="planted"), negative(level=nothing)])
    shared = session(folder)
    plain = shared.measurer.replicate(item(made), 2)
    control = shared.measurer.replicate(item(made, control=made.controls[1]), 2)
    assert plain is not None and control is not None
    effect = plain.parts["effect:"]["effects"]
    assert effect == plain.parts["variant:same"]["effects"]
    assert np.isclose(plain.parts["variant:double"]["effects"]["effect"][0] - effect["effect"][0], 1.2, atol=1e-12)
    assert np.isclose(effect["effect"][0] - control.parts["effect:"]["effects"]["effect"][0], 1.2, atol=1e-12)


def subjects_are_paired_at_equal_index(folder: Path) -> None:
    one, two = (session(folder, {n: fake_lm(v, n * 64)}) for n, v in (("a", 1.0), ("b", 3.0)))
    first, second = (s.measurer.replicate(item(declared(), n, "model"), 4) for s, n in ((one, "a"), (two, "b")))
    assert first is not None and second is not None
    difference = second.parts["effect:"]["effects"]["effect"][0] - first.parts["effect:"]["effects"]["effect"][0]
    assert np.isclose(difference, 2.0, atol=1e-12)


def controls_do_their_work(folder: Path) -> None:
    made = declared(controls=[positive(on="fake-strong"), negative(level=nothing), negative(on="fake-absent")])
    shared = session(folder)
    results = [shared.run(each) for each in items_of(made, "toy", with_controls=True)]
    assert [r["control"] and r["control"]["ok"] for r in results] == [None, True, True, True]
    assert [r["verdict"] for r in results] == ["SUPPORTED", "REFUTED", "SUPPORTED", "REFUTED"]


@step
def seed(lm):
    """Something that no control replaces."""
    return lm.facts["seed"]


def a_repeat_measures_nothing(folder: Path) -> None:
    """In another process, with another report, another order and controls beside: not one entry more."""
    made = declared(
        variants=[variant("double", factor=2.0)],
        requires=[at_least(0.0, "1", seed)],
        controls=[positive(on="fake-strong"), negative(level=nothing)],
    )
    entries = []
    for _ in range(2):
        shared = session(folder)
        for each in items_of(made, "toy", with_controls=True):
            shared.run(each)
        entries.append(sorted(path.name for path in (folder / "store" / "entries").rglob("*.json")))
    assert entries[0] == entries[1]
    # Six seeds of effect, variant, both controls, preconditions of both families (not again for the control); a rerun.
    assert len(entries[0]) == 6 * (4 + 2) + 1


SOURCE = """
SHIFT = 1.0


def helper(x):
    return x + SHIFT


def effect_is_large(level, rng):
    '''Level.'''
    return helper(level) - 1.0 + 0.01 * float(rng.normal())
"""


def a_change_of_the_code_is_measured_anew(folder: Path) -> None:
    for number, (old, new) in enumerate((("", ""), ("SHIFT = 1.0", "SHIFT = -5.0"), ("x + SHIFT", "x - 4 * SHIFT"))):
        path = folder / f"version_{number}.py"
        path.write_text(SOURCE.replace(old, new) if old else SOURCE)
        module = load_module(path)
        module.level = level  # type: ignore[attr-defined]
        verdict = session(folder).run(item(declared(module.effect_is_large)))["verdict"]
        assert verdict == ("REFUTED" if old else "SUPPORTED")


STATE = itertools.count()


def counting(level):
    """A hidden state."""
    return level + next(STATE)


@step
def drifting(level):
    """A step with a hidden state."""
    return level + next(STATE)


def through_a_step(drifting):
    """Pure itself, not so what it receives."""
    return drifting


def altering(lm):
    """Leaves the subject other than it found it."""
    lm.facts["level"] = lm.facts["level"] + 1.0
    return lm.facts["level"]


def impurity_is_invalid(folder: Path) -> None:
    for number, function in enumerate((counting, through_a_step, altering)):
        fake_family("fake", [1.0 + 0.1 * seed for seed in range(11)])
        result = session(folder / str(number)).run(item(declared(function)))
        assert result["verdict"] == "INVALID" and "not pure" in result["reason"], function.__name__


def a_surplus_in_the_store_changes_nothing(folder: Path) -> None:
    """Six seeds support; the five behind them do not, and were measured for a larger profile or another claim."""
    fake_family("fake", [1.0] * 6 + [0.0] * 5)
    made, shared = declared(), session(folder)
    for index in range(11):
        shared.measurer.replicate(item(made), index)
    result = shared.run(item(made))
    assert (result["verdict"], result["n"], len(result["replicates"])) == ("SUPPORTED", 6, 6)


def another_seed_of_the_family_that_changes_is_noticed(folder: Path) -> None:
    """A control that reads other seeds is measured again when one of these changes."""
    made = declared(controls=[positive(on="fake-strong"), negative(level=of_sibling)])
    control = item(made, control=made.controls[1])
    first = session(folder).run(control)
    fake_family("fake", [1.0, 9.0] + [1.0 + 0.1 * seed for seed in range(2, 11)])
    second = session(folder).run(control)
    assert numbers(first)[0] != numbers(second)[0]


@step
def of_sibling(siblings):
    """The level of the next seed."""
    return next(iter(siblings)).facts["level"]


# ---- faults

subjects: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def loading(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Models by path come from a table."""
    from claimbench.subjects import loading as room

    monkeypatch.setattr(room, "load_model", lambda path, *_: subjects[path])
    yield
    subjects.clear()


def streams_without_index(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(inject, "stream", lambda root, name, index: stream(root, name, 0))


def one_seed_for_all(patch: pytest.MonkeyPatch) -> None:
    get = Subjects.get
    patch.setattr(Subjects, "get", lambda self, subject, index: get(self, subject, 0))


def models_kept_by_name(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Subject, "__eq__", lambda self, other: self.name == other.name)
    patch.setattr(Subject, "__hash__", lambda self: hash(self.name))


def keys_without(part: str) -> Plant:
    def plant(patch: pytest.MonkeyPatch) -> None:
        told = Keys.told
        patch.setattr(Keys, "told", lambda self, *a: {k: v for k, v in told(self, *a).items() if k != part})

    return plant


def streams_by_what_is_measured(patch: pytest.MonkeyPatch) -> None:
    """Unpaired: every part draws anew."""
    drawn = itertools.count()
    patch.setattr(inject, "stream", lambda root, name, index: stream(root, f"{name}/{next(drawn)}", index))


def streams_by_model(patch: pytest.MonkeyPatch) -> None:
    argument = Injector._argument

    def unpaired(self: Injector, function: Any, name: str, parameter: Any, original: Any) -> Any:
        if name == "rng":
            return stream(self.root, f"{self.lm.digest}{function.__name__}", self.index)
        return argument(self, function, name, parameter, original)

    patch.setattr(Injector, "_argument", unpaired)


def overrides_ignored(patch: pytest.MonkeyPatch) -> None:
    """The control is the treatment."""
    init = Injector.__init__
    patch.setattr(
        Injector, "__init__", lambda self, lm, index, root, overrides, **more: init(self, lm, index, root, {}, **more)
    )


def sign_flipped(patch: pytest.MonkeyPatch) -> None:
    effects = measure.as_effects
    patch.setattr(measure, "as_effects", lambda raw, regions: effects(-raw, regions))


def keys_that_never_return(patch: pytest.MonkeyPatch) -> None:
    """Something of this process in the key: an address, a clock."""
    told, drawn = Keys.told, itertools.count()
    patch.setattr(Keys, "told", lambda self, *a: {**told(self, *a), "x": next(drawn)})


def keys_with_every_override(patch: pytest.MonkeyPatch) -> None:
    """Choices that a part cannot see enter its key: the same number under many keys."""
    patch.setattr(keys, "relevant", lambda overrides, functions, own="": dict(overrides))


def digest_of_the_name_only(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(keys, "code_digest", lambda functions: ",".join(function.__name__ for function in functions))


def no_rerun(patch: pytest.MonkeyPatch) -> None:
    parts = measure.parts_of
    patch.setattr(measure, "parts_of", lambda *a: (part for part in parts(*a) if part.kind != "rerun"))


def rerun_on_kept_steps(patch: pytest.MonkeyPatch) -> None:
    """A rerun that receives what the first run computed reruns nothing."""
    steps: dict[Any, Any] = {}
    step_of = Injector.step

    def kept(self: Injector, found: Any, original: Any = None) -> Any:
        key = (id(found), self.index, self.lm.digest)
        if key not in steps:
            steps[key] = step_of(self, found, original)
        return steps[key]

    patch.setattr(Injector, "step", kept)


def judging_all_there_is(patch: pytest.MonkeyPatch) -> None:
    def run(self: Session, given: Item, progress: Any = None) -> dict[str, Any]:
        replicates = []
        while len(replicates) < 11 and (found := self.measurer.replicate(given, len(replicates), measure=False)):
            replicates.append(found)
        return self.result(given, judging.stand(given, replicates[5:], self.design(given), 11), replicates)

    patch.setattr(Session, "run", run)


def siblings_not_in_the_key(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Keys, "_siblings", lambda *_: None)


FAULTS: list[tuple[Plant, Check]] = [
    (streams_without_index, replicates_draw_data_of_their_own),
    (one_seed_for_all, each_replicate_has_its_own_seed_of_the_family),
    (models_kept_by_name, two_models_of_one_name_are_two),
    (keys_without("subject"), another_model_is_measured_anew),
    (keys_without("subject"), two_models_of_one_name_are_two),
    (streams_by_what_is_measured, variants_and_controls_are_paired),
    (streams_by_what_is_measured, controls_do_their_work),
    (streams_by_model, subjects_are_paired_at_equal_index),
    (overrides_ignored, controls_do_their_work),
    (keys_without("overrides"), variants_and_controls_are_paired),
    (sign_flipped, controls_do_their_work),
    (keys_that_never_return, a_repeat_measures_nothing),
    (keys_with_every_override, a_repeat_measures_nothing),
    (digest_of_the_name_only, a_change_of_the_code_is_measured_anew),
    (keys_without("code"), a_change_of_the_code_is_measured_anew),
    (no_rerun, impurity_is_invalid),
    (rerun_on_kept_steps, impurity_is_invalid),
    (judging_all_there_is, a_surplus_in_the_store_changes_nothing),
    (siblings_not_in_the_key, another_seed_of_the_family_that_changes_is_noticed),
    (keys_without("index"), replicates_draw_data_of_their_own),
    (keys_without("part"), impurity_is_invalid),
]
CHECKS = sorted({check for _, check in FAULTS}, key=lambda check: check.__name__)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_healthy_harness_passes(check: Check, tmp_path: Path) -> None:
    check(tmp_path)


@pytest.mark.parametrize(
    ("plant", "check"), FAULTS, ids=[f"{number}-{check.__name__}" for number, (_, check) in enumerate(FAULTS)]
)
def test_the_fault_is_noticed(plant: Plant, check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert not holds(check, tmp_path)


def test_a_claim_is_what_the_checks_take_it_for() -> None:
    made: Claim = declared(on=causal_lm(organism="fake"))
    assert made.function is effect_is_large
