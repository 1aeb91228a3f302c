"""Claims about pairs: the subject, and the model that it was derived from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from claimbench import NotApplicable, above, causal_lm, guard, negative, positive
from claimbench.errors import DeclarationError
from claimbench.running.calibrate import trials_of
from claimbench.running.item import Item, Subject
from claimbench.running.measure import Part
from claimbench.subjects import family as room
from claimbench.subjects.family import family

from running_fakes import declared, fake_family, fake_lm, item, session


def gained(lm: Any, base_lm: Any) -> float:
    """Level of the subject over that of its base."""
    return float(lm.facts["level"] - base_lm.facts["level"])


def alone(lm: Any) -> float:
    """Level of the subject."""
    return float(lm.facts["level"])


def pair(**more: Any) -> Any:
    return declared(gained, on=causal_lm(organism="tuned", base="plain"), **more)


def test_the_other_half_is_the_same_seed_of_the_base_family(tmp_path: Path) -> None:
    fake_family("tuned", [3.0, 5.0])
    fake_family("plain", [1.0, 4.0])
    opened, one = session(tmp_path), item(pair(), "tuned")
    found = [opened.measurer.replicate(one, index) for index in range(2)]
    assert [replicate.parts["effect:"]["effects"]["effect"][0] for replicate in found if replicate] == [2.0, 1.0]


def test_a_base_of_other_weights_is_another_measurement(tmp_path: Path) -> None:
    fake_family("tuned", [3.0])
    keys = []
    for level in (1.0, 2.0):
        fake_family("plain", [level])
        keys.append(session(tmp_path).measurer.keys.of(item(pair(), "tuned"), Part("effect"), 0))
    assert keys[0] != keys[1]


def test_a_given_model_needs_its_base(tmp_path: Path) -> None:
    opened = session(tmp_path, live={"mine": fake_lm(3.0, "d" * 64)})
    result = opened.run(item(pair(), "mine", "model"))
    assert result["verdict"] == "NOT_APPLICABLE"
    assert "--base-model" in result["reason"]


def test_a_given_base_stands_beside_a_given_model(tmp_path: Path) -> None:
    """The base is the model of that path, whatever the index, and the line that repeats the result names it."""
    opened = session(tmp_path, live={"mine": fake_lm(3.0, "d" * 64)}, base_model="models/plain")
    opened.subjects._models[Subject("plain", "model", "models/plain")] = fake_lm(1.0, "e" * 64)
    one = item(pair(), "mine", "model")
    replicate = opened.measurer.replicate(one, 3)
    assert replicate is not None and replicate.parts["effect:"]["effects"]["effect"][0] == 2.0
    assert "--base-model models/plain" in opened.rerun_line(one)


def test_a_control_on_a_family_keeps_the_base_family_beside_a_given_model(tmp_path: Path) -> None:
    fake_family("plain", [1.0])
    fake_family("other", [8.0])
    made = pair(controls=[positive(on="other"), negative(on="plain"), guard(on="tuned")])
    opened = session(tmp_path, base_model="models/never-read")
    control = Item(made, "claims/test_toy.py::gained", Subject("other", "family"), made.controls[0])
    assert opened.subjects.base(control, 2).facts["level"] == 1.0


def test_passes_and_receipts_of_the_base_are_kept_with_the_subject_s(tmp_path: Path) -> None:
    """What was done to the base alone is told of the replicate, and a base that is a subject elsewhere keeps its own recorder."""
    plain = fake_family("plain", [1.0]).subject(0)
    fake_family("tuned", [3.0])

    def spent(lm: Any, base_lm: Any) -> float:
        """Passes, on the base alone."""
        base_lm.recorder.forward_passes += 7
        return float(lm.facts["level"])

    opened = session(tmp_path)
    found = opened.measurer.replicate(item(declared(spent, on=causal_lm(organism="tuned", base="plain")), "tuned"), 0)
    assert found is not None and found.parts["effect:"]["forward_passes"] == 7
    assert plain.recorder.forward_passes == 0


def test_a_control_may_be_a_pair_of_its_own(tmp_path: Path) -> None:
    """Other halves are other measurements, and the name of the control tells of both."""
    for name, level in (("plain", 1.0), ("other", 8.0), ("built", 2.0)):
        fake_family(name, [level])
    made = pair(controls=[positive(on="other", base="built"), negative(on="other"), guard(on="plain")])
    opened = session(tmp_path, base_model="models/never-read")
    one, two = (Item(made, "claims/test_toy.py::gained", Subject("other", "family"), control) for control in made.controls[:2])
    found = [opened.measurer.replicate(control, 0) for control in (one, two)]
    assert [replicate.parts["effect:"]["effects"]["effect"][0] for replicate in found if replicate] == [6.0, 7.0]
    assert one.control is not None and one.control.name == "other, base = built"


def test_half_a_pair_is_no_control() -> None:
    with pytest.raises(DeclarationError, match="name both"):
        positive(base="built")
    with pytest.raises(DeclarationError, match="no pair"):
        declared(alone, controls=[positive(on="other", base="built"), negative(on="plain")])


def test_rates_of_a_pair_are_direct_only_where_both_halves_can_be_built_anew() -> None:
    """A base that is trained would be trained for every verdict."""
    fake_family("tuned", [3.0])
    fake_family("plain", [1.0])
    made = pair(controls=[positive(on="tuned", base="plain"), negative(on="plain")])
    direct = {trial.what: trial.direct for trial in trials_of(made, "claims/test_toy.py::gained")}
    assert direct == {"power": True, "null": True, "edge": True}
    trained = replace(family("plain"), recipe=cast(Any, object()), source="trained")
    room._FAMILIES["plain"] = trained
    direct = {trial.what: trial.direct for trial in trials_of(made, "claims/test_toy.py::gained")}
    assert direct == {"power": False, "null": False, "edge": False}
    room._FAMILIES.pop("plain")


def test_without_a_base_model_there_is_no_other_half(tmp_path: Path) -> None:
    with pytest.raises(NotApplicable, match="--base-model"):
        session(tmp_path).subjects.base(item(pair(), "mine", "model"), 0)


def test_a_claim_that_asks_for_the_other_half_names_its_family() -> None:
    with pytest.raises(DeclarationError, match="base="):
        declared(gained, on=causal_lm(organism="tuned"), holds=above(0.5, unit="nat"))
