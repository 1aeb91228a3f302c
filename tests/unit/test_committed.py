"""What is committed beside claims: expectations, locks, and that the shipped ones speak of claims that exist."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

import pytest
from claimbench import Claim, above, at_least, negative, positive, variant
from claimbench import claim as declare
from claimbench.errors import DeclarationError
from claimbench.running import committed
from claimbench.running.collecting import claim_files, claims_root, load_all_organisms, load_claims
from claimbench.running.profile import PROFILES
from claimbench.running.selecting import selected
from claimbench.subjects import family as room
from claimbench.subjects.family import families
from claimbench.subjects.shipped import shipped_models
from claimbench.training import Recipe
from claimbench.verdict import Verdict

import toy_claims
from running_fakes import declared, item, level, nothing


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(committed, "folder_of", lambda claim: tmp_path)
    return tmp_path


def expect(folder: Path, content: Any) -> None:
    (folder / "expected.json").write_text(json.dumps(content))


def test_expectations_are_by_claim_subject_and_profile(folder: Path) -> None:
    entry = {"verdict": "REFUTED", "reason": "seen"}
    expect(folder, {"effect_is_large": {"fake": {"standard": entry, "any": {**entry, "verdict": "SUPPORTED"}}}})
    made = item(declared())
    assert committed.expected(made, "standard") == entry
    found = committed.expected(made, "smoke")
    assert found is not None and found["verdict"] == "SUPPORTED"
    assert committed.expected(item(declared(), "other"), "standard") is None


def test_a_change_of_a_committed_file_is_read(folder: Path) -> None:
    import os

    expect(folder, {})
    assert committed.expected(item(declared()), "standard") is None
    expect(folder, {"effect_is_large": {"fake": {"any": {"verdict": "REFUTED", "reason": "x"}}}})
    os.utime(folder / "expected.json", (1, 1))
    assert committed.expected(item(declared()), "standard") is not None


FIXED: dict[str, dict[str, Any]] = {
    "the region": {"holds": above(0.4, unit="nat")},
    "its unit": {"holds": above(0.5, unit="logit")},
    "the bound": {"bounds": 3.0},
    "the largest number of prompts": {"most": 61},
    "a precondition": {"requires": [at_least(0.5, "nat", level)]},
    "a control": {"controls": [positive(on="fake"), negative(level=nothing)]},
    "a variant": {"variants": [variant("double", factor=2.0)]},
}


@pytest.mark.parametrize("what", FIXED)
def test_the_lock_holds_what_is_fixed_in_advance(what: str) -> None:
    assert committed.protocol_hash(declared(**FIXED[what])) != committed.protocol_hash(declared())


def test_the_lock_holds_nothing_else() -> None:
    assert committed.protocol_hash(declared(why="another reason", documented="more")) == committed.protocol_hash(declared())


def test_a_locked_claim_changes_only_with_a_reason_and_says_so(folder: Path) -> None:
    assert committed.lock_of(declared()) is None
    assert committed.lock(declared(), measured_before=False) and not committed.lock(declared(), measured_before=False)
    found = committed.lock_of(declared())
    assert found is not None and found["amended"] is False and found["measured_before"] is False
    changed = declared(holds=above(0.4, unit="nat"))
    found = committed.lock_of(changed)
    assert found is not None and "changed since it was locked" in str(found["amended"])
    with pytest.raises(DeclarationError, match="say why with --reason"):
        committed.lock(changed, measured_before=True)
    assert committed.lock(changed, measured_before=True, reason="a slip in the unit")
    found = committed.lock_of(changed)
    assert found is not None and found["amended"] == "a slip in the unit"


HELPER = "\n\ndef rounded(value):\n    return round(value, DIGITS)\n\n\nDIGITS = 3\n"
LARGE = '''
def large(level):
    """Level.

    As it is.
    """
    return rounded(level)
'''


def written(root: Path, helper: str = HELPER, large: str = LARGE) -> Claim:
    """The claim of a file whose step, function or helper may be told otherwise."""
    for name in ("toy-strong", "toy-planted"):
        room._FAMILIES.pop(name, None)
    path = toy_claims.write(root, header=toy_claims.HEADER + helper, functions=large)
    return next(iter(selected([str(path)], root).values()))


@pytest.mark.parametrize(
    ("said", "otherwise", "what"),
    [
        (LARGE, LARGE.replace("rounded(level)", "-rounded(level)"), "function"),
        (HELPER, HELPER.replace("round(", "abs("), "helper"),
        (HELPER, HELPER.replace("3", "2"), "constant"),
    ],
)
def test_the_code_of_the_steps_is_on_record_and_its_change_is_an_amendment(
    said: str, otherwise: str, what: str, tmp_path: Path, folder: Path
) -> None:
    first = written(tmp_path / "first")
    committed.lock(first, measured_before=False)
    changed = written(tmp_path / "second", **{"large" if said is LARGE else "helper": otherwise})
    assert committed.protocol_hash(changed) == committed.protocol_hash(first)
    found = committed.lock_of(changed)
    assert found is not None and "code of its steps is another" in str(found["amended"])
    with pytest.raises(DeclarationError, match="say why with --reason"):
        committed.lock(changed, measured_before=False)
    assert committed.lock(changed, measured_before=True, reason=f"another {what}")
    found, (amendment,) = committed.lock_of(changed), committed.amendments_of(changed)
    assert found is not None and found["amended"] == f"another {what}" and amendment["changed"] == ["steps"]


def test_comments_and_docstrings_of_helpers_are_no_code_of_the_steps(tmp_path: Path, folder: Path) -> None:
    committed.lock(written(tmp_path / "first"), measured_before=False)
    told = HELPER.replace("(value):\n", '(value):\n    """Rounded."""  # to three digits\n')
    found = committed.lock_of(written(tmp_path / "second", helper=told))
    assert found is not None and found["amended"] is False


def test_an_older_lock_gets_the_code_of_its_steps_when_it_is_next_met(tmp_path: Path, folder: Path) -> None:
    first = written(tmp_path / "first")
    committed.lock(first, measured_before=False)
    entry = json.loads((folder / "lock.json").read_text())
    del entry["large"]["parts"]["steps"]
    (folder / "lock.json").write_text(json.dumps(entry))
    changed = written(tmp_path / "second", large=LARGE.replace("rounded(level)", "level"))
    found = committed.lock_of(changed)
    assert found is not None and found["amended"] is False  # nobody knows what the code was
    assert not committed.lock(first, measured_before=False)
    kept = committed.read(folder, "lock.json")["large"]
    assert kept["parts"]["steps"] == committed.steps_hash(first) and kept["steps_date"]
    assert "code of its steps" in str((committed.lock_of(changed) or {})["amended"])


RECIPE = Recipe(
    name="short", version=1, model={"class": "llama", "hidden_size": 16}, data="labels", steps=4, evaluate_every=2, batch=8
)


def on_arms(net: Recipe = RECIPE, other: Recipe = RECIPE, planted: Recipe = RECIPE) -> Claim:
    def effect(net: Any, other: Any) -> float:
        """The effect."""
        return 0.0

    controls = [positive(net=planted, label="planted"), negative(other=RECIPE, label="lacking")]
    arms = {"net": net, "other": other}
    return declare("toy/arms", arms=arms, holds=above(0.5, unit="nat"), why="ours", documented="none", controls=controls)(effect)


@pytest.mark.parametrize("changed", ["net", "other", "planted"])
def test_recipes_of_arms_are_on_record_and_their_change_is_an_amendment(changed: str, folder: Path) -> None:
    """Those of controls too."""
    first, longer = on_arms(), on_arms(**{changed: RECIPE.with_(steps=8)})
    committed.lock(first, measured_before=False)
    assert (committed.lock_of(on_arms()) or {})["amended"] is False
    assert "recipes of its arms are others" in str((committed.lock_of(longer) or {})["amended"])
    with pytest.raises(DeclarationError, match="say why with --reason"):
        committed.lock(longer, measured_before=False)
    assert committed.lock(longer, measured_before=True, reason="longer")
    (amendment,) = committed.amendments_of(longer)
    assert amendment["changed"] == ["arms"] and not committed.others_than_recorded(longer)


def test_a_lock_that_has_the_code_of_steps_gets_the_recipes_when_it_is_next_met(folder: Path) -> None:
    made = on_arms()
    committed.lock(made, measured_before=False)
    entry = json.loads((folder / "lock.json").read_text())
    del entry["effect"]["parts"]["arms"]
    (folder / "lock.json").write_text(json.dumps(entry))
    assert not committed.lock(made, measured_before=False)
    assert set(committed.read(folder, "lock.json")["effect"]["parts"]) == {"region", "protocol", "schedule", "steps", "arms"}


def test_a_committed_file_is_never_half_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    committed.write(folder, "audit.json", {"old": 1})

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        committed.write(folder, "audit.json", {"new": 2})
    assert json.loads((folder / "audit.json").read_text()) == {"old": 1} and len(list(folder.iterdir())) == 1


# ---- the shipped ones


def shipped() -> list[tuple[Path, dict[str, Any]]]:
    claims = load_claims([claims_root()], claims_root().parent)
    folders = sorted({path.parent for path in claim_files(claims_root())})
    return [(f, {c.name: c for c in claims.values() if Path(c.file).parent == f}) for f in folders]


@pytest.mark.parametrize("name", [committed.EXPECTED, committed.LOCK, committed.COSTS, committed.CALIBRATION])
def test_shipped_files_speak_of_claims_that_exist(name: str) -> None:
    for folder, claims in shipped():
        unknown = set(committed.read(folder, name)) - set(claims)
        assert not unknown, f"{folder / name}: {unknown}"


def test_shipped_expectations_are_well_formed() -> None:
    """A subject that does not ship is a model that a user brings; a slip in the name of one that ships is caught."""
    load_all_organisms([], claims_root().parent)
    known = [*families(), *shipped_models()]
    for folder, claims in shipped():
        for claim, by_subject in committed.read(folder, committed.EXPECTED).items():
            for subject, by_profile in by_subject.items():
                assert subject in known or not difflib.get_close_matches(subject, known, cutoff=0.85), subject
                assert set(by_profile) <= {*PROFILES, "any"}
                for profile, entry in by_profile.items():
                    assert Verdict(entry["verdict"]) and entry["reason"], (claims[claim].name, subject, profile)


def test_shipped_claims_are_locked_as_they_stand() -> None:
    for _, claims in shipped():
        for claim in claims.values():
            found = committed.lock_of(claim)
            assert found is not None, f"{claim.name} is not locked: run `claimbench lock`"
            assert "changed since" not in str(found["amended"]), claim.name
