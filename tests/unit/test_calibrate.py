"""Calibration and power: fresh replicates, rates with their tier, what is committed and when it is stale."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from pathlib import Path
from typing import Any

import pytest
from claimbench import above, below, negative, positive, rate_above, variant, within
from claimbench.claim import Claim
from claimbench.errors import DeclarationError, UsageError
from claimbench.reporting import words
from claimbench.running import calibrate, committed, fresh, keep
from claimbench.running.calibrate import Trial, block, completed, pool, rates_of, trials_of
from claimbench.running.collecting import load_all_organisms, load_claims
from claimbench.running.measure import Measurer
from claimbench.running.options import checked
from claimbench.running.power import power, power_text
from claimbench.running.rate_commands import in_short, rates_text
from claimbench.subjects.family import family
from claimbench.verdict import Verdict
from hypothesis import given, settings
from hypothesis import strategies as st

from running_fakes import declared, fake_family, item, level, nothing, session

assert level  # a step that the claims below name


class Memory:
    """A store without a disk, which a thousand replicates would wait for."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, Any]] = {}

    def get(self, key: str) -> dict[str, Any] | None:
        return self.held.get(key)

    def put(self, key: str, body: dict[str, Any], **about: Any) -> None:
        self.held[key] = body

    def lock(self, key: str) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


ROOT = Path(__file__).parents[2]
CONTROLS = [positive(on="planted"), negative(level=nothing), negative(on="lacking")]


def noisy(level: float, rng: Any) -> float:
    """Level with noise of its own."""
    return level + float(rng.normal())


@pytest.fixture(autouse=True)
def families() -> None:
    fake_family("fake", [1.0], seeds=11)
    fake_family("planted", [9.0], seeds=11)
    fake_family("lacking", [-9.0], seeds=11)


@pytest.fixture
def made() -> Claim:
    return declared(noisy, controls=CONTROLS)


def trial(claim: Claim, name: str) -> Trial:
    return next(one for one in trials_of(claim, "id") if one.control is not None and one.control.name == name)


def rows(claim: Claim, folder: Path, verdicts: int = 36) -> list[dict[str, Any]]:
    opened, own = fresh.fresh_session(checked(store=folder / "store")), session(folder)
    opened.measurer.store = own.measurer.store = Memory()  # type: ignore[assignment]
    found = []
    for one in trials_of(claim, "id"):
        blocks = [block(one, opened, i) for i in range(verdicts)] if one.direct else [pool(one, own)]
        found += list(rates_of(one, opened, blocks))
    return found


def test_fresh_replicates_lie_where_no_verdict_reads(tmp_path: Path, made: Claim) -> None:
    opened = fresh.fresh_session(checked(store=tmp_path / "store"))
    mine = item(made)
    (one, two) = (fresh.replicates_from(opened, mine, start, 3) for start in (fresh.PILOTS, fresh.CALIBRATION))
    verdict = session(tmp_path).run(mine)
    told = [effect["effects"]["effect"][0] for effect in verdict["replicates"]]
    seen = [replicate.parts["effect:"]["effects"]["effect"][0] for replicate in (*one, *two)]
    assert [replicate.index for replicate in one] == [0, 1, 2] and len({*told, *seen}) == len(told) + 6
    with pytest.raises(UsageError, match="seeds 0 to 10"):
        family("fake").subject(fresh.PILOTS)  # the family itself is as it was


def test_siblings_of_a_fresh_seed_are_the_next_ones(made: Claim) -> None:
    subjects = fresh.FreshSubjects()
    found = subjects.siblings(item(made).subject, fresh.PILOTS)
    assert found is not None
    assert [lm.facts["seed"] for lm in itertools.islice(found, 2)] == [fresh.PILOTS + 1, fresh.PILOTS + 2]
    assert subjects.siblings(item(made, "gpt", "model").subject, 0) is None and subjects.seeds(item(made).subject) is None


def test_blocks_of_a_trial_share_no_replicate(tmp_path: Path, made: Claim) -> None:
    opened = fresh.fresh_session(checked(store=tmp_path / "store"))
    found = [block(trial(made, "planted"), opened, number) for number in range(4)]
    effects = [one["effect"][0] for each in found for one in each["effects"]]
    assert len(set(effects)) == len(effects) == 24 and {each["verdict"] for each in found} == {"SUPPORTED"}
    whole = [one["effect"].low for number in range(4) for one in completed(trial(made, "planted"), opened, number)]
    assert set(effects) < set(whole) and len(set(whole)) == 44
    short = block(trial(made, "lacking"), opened, 0)
    assert len(short["effects"]) == 2 and short["verdict"] == "INCONCLUSIVE"  # two beyond: nine of eleven are too few


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.4, 0.6, 1.0]), min_size=11, max_size=11), st.sampled_from(["above", "within", "two"]))
def test_a_negative_control_ends_when_it_is_settled_and_is_supported_as_often(levels: list[float], kind: str) -> None:
    def size(level: float) -> dict[str, float]:
        """Level, once or twice."""
        return {"one": level, "other": 1 - level}

    regions = {
        "above": {"one": above(0.5, unit="nat"), "other": above(-9.0, unit="nat")},
        "within": {"one": within(0.5, unit="nat"), "other": below(9.0, unit="nat")},
        "two": {"one": above(-0.1, unit="nat"), "other": within(0.9, unit="nat")},
    }[kind]
    fake_family("lacking", levels)
    mine = item(declared(size, holds=regions, controls=CONTROLS, bounds=10.0), "lacking", control=CONTROLS[2])
    with tempfile.TemporaryDirectory() as folder:
        opened = fresh.fresh_session(checked(store=folder))
    opened.measurer.store = Memory()  # type: ignore[assignment]
    whole, all_of_it = fresh.whole_verdict(opened, mine, 0)
    short, some = fresh.whole_verdict(opened, mine, 0, support_only=True)
    assert (whole.verdict is Verdict.SUPPORTED) == (short.verdict is Verdict.SUPPORTED) and len(some) <= len(all_of_it)


def test_rates_of_a_claim_that_works(tmp_path: Path, made: Claim) -> None:
    found = rows(made, tmp_path)
    by = {(row["what"], row["of"], row["on"]): row for row in found}
    assert by["power", "planted", "planted"]["share"] == 1 and by["power", "planted", "planted"]["meets"] is True
    for name, on in (("level = nothing", "fake"), ("lacking", "lacking")):
        assert by["null", name, on]["meets"] is True and by["null", name, on]["independent"] == 36
    edge = by["edge", "effect", "planted"]
    assert edge["tier"] == "direct" and edge["share"] < 0.15 and edge["low"] <= edge["share"] <= edge["high"]
    text = rates_text({"id": found})
    assert "36 independent verdicts" in text and "moved to the edge" in text


def test_fewer_verdicts_meet_nothing(tmp_path: Path, made: Claim) -> None:
    assert not any(row["meets"] for row in rows(made, tmp_path, verdicts=5))


def test_a_claim_that_always_supports_is_seen(tmp_path: Path) -> None:
    def deaf(level: float, rng: Any) -> float:
        """Says the same of whatever it is given."""
        return 5.0 + float(rng.normal())

    found = rows(declared(deaf, controls=CONTROLS), tmp_path)
    assert {row["share"] for row in found if row["what"] == "null"} == {1.0}
    assert not any(row["meets"] for row in found if row["what"] == "null")


def test_equal_effects_have_no_spread_to_move(tmp_path: Path) -> None:
    def flat(level: float) -> float:
        """Level."""
        return level

    (edge, own) = [row for row in rows(declared(flat, controls=CONTROLS), tmp_path, 2) if row["what"] == "edge"]
    assert edge["share"] is own["share"] is None and not edge["meets"] and "no spread" in words.rate(edge)


def test_events_at_the_edge_are_enumerated(tmp_path: Path) -> None:
    def there(level: float) -> bool:
        """Whether the level is high."""
        return level > 0

    claim = declared(there, holds=rate_above(0.5), controls=CONTROLS)
    (edge,) = [row for row in rows(claim, tmp_path, 2) if row["what"] == "edge"]
    assert edge["tier"] == "exact" and edge["share"] == pytest.approx(38 / 2048, abs=1e-4) and edge["meets"]


def test_a_recorded_family_is_a_pool_and_the_constructed_one_stands_beside_it(
    tmp_path: Path, made: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrate, "renewable", lambda subject: subject.name == "planted")
    kinds = [(one.what, one.control.name if one.control else "", one.subject.name, one.direct) for one in trials_of(made, "id")]
    assert kinds == [
        ("power", "planted", "planted", True),
        ("null", "level = nothing", "fake", False),
        ("null", "level = nothing", "planted", True),
        ("null", "lacking", "lacking", False),
        ("edge", "", "fake", False),
    ]
    found = rows(made, tmp_path, 36)
    drawn = [row for row in found if row["tier"] == "resampled"]
    assert len(drawn) == 3 and {row["independent"] for row in drawn} == {1}
    assert not any(row["meets"] for row in drawn) and {words.met(row) for row in drawn} == {"not counted"}


def test_arms_that_train_in_seconds_are_trained_afresh_and_others_are_a_pool(tmp_path: Path) -> None:
    load_all_organisms([], ROOT)
    folders = [ROOT / "claims" / name for name in ("icl_gd", "abrupt_icl")]
    claims = {one.name: one for one in load_claims(folders, ROOT).values()}
    quick = trials_of(claims["its_loss_is_that_of_the_step"], "quick")
    assert {one.subject.kind for one in quick} == {"recipe"} and all(one.direct for one in quick)
    assert [one.what for one in quick].count("edge") == 1
    slow = trials_of(claims["it_does_not_fade"], "slow")
    assert [one.what for one in slow].count("edge") == 1 and not any(one.direct for one in slow)
    by_hand = next(one for one in quick if one.what == "power")
    made = block(by_hand, fresh.fresh_session(checked(store=tmp_path)), 1)
    assert made["verdict"] == "SUPPORTED" and len(made["effects"]) == 6
    seeds = {int(path.stem) for path in (tmp_path / "runs").rglob("*.json")}
    assert seeds == {fresh.CALIBRATION + 11 + index for index in range(6)}


def test_a_pool_is_worth_no_training(tmp_path: Path, made: Claim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrate, "renewable", lambda subject: False)
    assert len(pool(trial(made, "lacking"), session(tmp_path))["effects"]) == 11
    monkeypatch.setattr(Measurer, "ready", lambda self, item, index: index < 8)
    assert len(pool(trial(made, "lacking"), session(tmp_path))["effects"]) == 8
    monkeypatch.setattr(Measurer, "ready", lambda self, item, index: False)
    assert len(pool(trial(made, "lacking"), session(tmp_path))["effects"]) == 6  # a verdict takes as many


def test_rates_are_committed_beside_the_controls_and_say_what_changed(
    tmp_path: Path, made: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committed, "folder_of", lambda claim: tmp_path)
    assert keep.calibration_of(made) is None
    committed.write(tmp_path, committed.CALIBRATION, {made.name: {"planted": {"verdict": "SUPPORTED"}}})
    keep.keep_rates(made, rows(made, tmp_path, 2), "2026-11-24")
    found = keep.calibration_of(made)
    assert found is not None and found["stale"] == [] and found["rows"]
    assert committed.read(tmp_path, committed.CALIBRATION)[made.name]["planted"] == {"verdict": "SUPPORTED"}
    other = declared(noisy, controls=CONTROLS, holds=above(0.6, unit="nat"))
    assert keep.calibration_of(other)["stale"] == ["protocol"]  # type: ignore[index]
    fake_family("planted", [8.0])
    assert keep.calibration_of(made)["stale"] == ["subjects"]  # type: ignore[index]
    assert "STALE: subjects changed since 2026-11-24" in words.calibration(keep.calibration_of(made))  # type: ignore[arg-type]


def lender_and_borrower(folder: Path, finding: str, regions: str = "above(0.5)") -> dict[str, Claim]:
    """Two claims of one paper in files of their own, the second of which borrows the rates of the first."""
    (folder / "paper.toml").write_text(
        'slug = "toy"\ntitle = "T"\nauthors = "A"\nidentifier = "I"\nyear = 2026\n'
        '[[finding]]\nid = "one"\ntitle = "One"\nstatement = "One."\n'
        '[[finding]]\nid = "two"\ntitle = "Two"\nstatement = "Two."\n'
        f"[finding.borrows]\n{finding} = 'it is the same but for the seeds'\n"
    )
    for name, holds in (("one", "above(0.5)"), ("two", regions)):
        (folder / f"test_{name}.py").write_text(
            "from claimbench import above, causal_lm, claim, interval, negative, positive\n"
            f"@claim('toy/{name}', on=causal_lm(organism='fake'), holds={holds}, why='ours', documented='large', bounds=9.0,\n"
            "       controls=[positive(on='planted'), negative(on='lacking')])\n"
            f"def {name}(lm):\n    'Level.'\n    return lm.facts['level']\n"
        )
    return {claim.name: claim for claim in load_claims([folder], folder).values()}


def row(what: str, tier: str) -> dict[str, Any]:
    return {
        "what": what, "of": "x", "on": "fake", "share": 0.0, "low": 0.0, "high": 0.097, "independent": 36, "tier": tier,
        "meets": tier == "direct", "note": "",
    }  # fmt: skip


def test_direct_rates_may_be_borrowed_from_a_claim_of_the_same_protocol_and_meet_nothing(tmp_path: Path) -> None:
    made = lender_and_borrower(tmp_path, "one")
    keep.keep_rates(made["one"], [row("null", "direct"), row("power", "direct"), row("edge", "resampled")], "2026-11-24")
    keep.keep_rates(made["two"], [row("null", "resampled"), row("power", "direct")], "2026-11-25")
    found = keep.calibration_of(made["two"])
    assert found is not None
    kinds = [(one["what"], one["tier"]) for one in found["rows"]]
    assert kinds == [("null", "resampled"), ("power", "direct"), ("null", "borrowed")]
    (borrowed,) = found["rows"][2:]
    assert not borrowed["meets"] and words.met(borrowed) == "not counted"
    assert words.rate(borrowed).endswith("of 36 independent verdicts, from one: it is the same but for the seeds")
    assert words.calibration(found).startswith("1 of 1 direct rates meet their bound; none where it is absent")
    fake_family("planted", [8.0])
    again = keep.calibration_of(made["two"])
    assert again is not None and "(STALE: subjects)" in again["rows"][2]["note"] and again["stale"] == ["subjects"]
    assert set(keep.rates_of_all(tmp_path)) == {f"{tmp_path.name}/one", f"{tmp_path.name}/two"}


@pytest.mark.parametrize(("finding", "regions"), [("three", "above(0.5)"), ("one", "interval(0.1, 0.5)")])
def test_a_claim_of_another_kind_lends_nothing(tmp_path: Path, finding: str, regions: str) -> None:
    made = lender_and_borrower(tmp_path, finding, regions)
    keep.keep_rates(made["two"], [row("null", "resampled")], "2026-11-25")
    with pytest.raises(DeclarationError, match=f"borrows the calibration of '{finding}'"):
        keep.calibration_of(made["two"])


def test_the_list_says_how_many_rates_are_met(tmp_path: Path) -> None:
    folder = tmp_path / "toy"
    folder.mkdir()
    made = lender_and_borrower(folder, "one")
    keep.keep_rates(made["one"], [row("null", "direct"), {**row("power", "direct"), "meets": False}], "2026-11-24")
    entries = [
        {"finding": "toy/one", "claims": ["claims/toy/test_one.py::one"]},
        {"finding": "toy/two", "claims": ["claims/toy/test_two.py::two"]},
        {"finding": "toy/three", "claims": []},
    ]
    assert in_short(entries, tmp_path) == {"toy/one": "1 of 2 met", "toy/two": "none", "toy/three": ""}


def test_a_claim_states_the_distance_that_is_planned_for(tmp_path: Path) -> None:
    claim = declared(noisy, controls=CONTROLS, distance=2.0)
    assert power(claim, "id", checked(store=tmp_path / "store"))["effects"]["effect"]["distance"] == 2.0


def test_power_names_its_burned_pilots(tmp_path: Path, made: Claim) -> None:
    options = checked(store=tmp_path / "store")
    found = power(made, "id", options, at=3.0, pilot=8)
    (effect,) = found["effects"].values()
    assert found["burned"] == list(range(fresh.PILOTS, fresh.PILOTS + 8)) and effect["distance"] == 3.0
    assert effect["power"] > 0.8 and effect["needed"] in (6, 11)
    assert power(made, "id", options, at=0.3, pilot=8)["effects"]["effect"]["needed"] is None
    text = power_text(found)
    assert "indices 1000000 to 1000007: burned, no verdict reads them" in text
    assert power(made, "id", options)["effects"]["effect"]["distance"] == 0.5  # as far from the edge as that from zero


def test_power_on_a_control_and_where_nothing_can_be_judged(tmp_path: Path, made: Claim) -> None:
    assert power(made, "id", checked(store=tmp_path / "store"), on="planted")["subject"] == "planted"

    def broken(level: float) -> float:
        """Nothing."""
        raise ValueError("no such thing")

    with pytest.raises(UsageError, match="no pilot replicate of broken on fake could be judged: ValueError"):
        power(declared(broken, controls=CONTROLS), "id", checked(store=tmp_path / "store"))


def test_variants_are_not_calibrated(tmp_path: Path) -> None:
    def chosen(level: float, rng: Any, way: str = "a") -> float:
        """Level with noise."""
        return level + float(rng.normal())

    claim = declared(chosen, controls=CONTROLS, variants=[variant("other", way="b")])
    opened = fresh.fresh_session(checked(store=tmp_path / "store"))
    assert block(trial(claim, "lacking"), opened, 0)["verdict"] != "SUPPORTED"
