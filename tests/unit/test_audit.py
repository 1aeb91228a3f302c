"""Audits: each fault is noticed in a claim that can notice it, and a claim that cannot is told so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from claimbench import Claim, above, at_least, below, causal_lm, interval, negative, positive, rate_above, step, variant, within
from claimbench.control import Control
from claimbench.running.audit import audit, planted, shared_data
from claimbench.running.audit_faults import FAULTS, MEASURED, WATCHING, Fault, wild
from claimbench.running.item import Item, Subject
from claimbench.running.measure import Measurer
from claimbench.running.session import Session
from claimbench.subjects.lm import LM

from running_fakes import declared, fake_family, item, level, nothing, session
from tiny_models import tiny_lm

NAMES = {fault.name: fault for fault in FAULTS}


@pytest.fixture(autouse=True)
def families() -> None:
    fake_family("fake", [1.0 + 0.1 * seed for seed in range(11)])
    fake_family("fake-strong", [2.0 + 0.1 * seed for seed in range(11)])
    fake_family("fake-absent", [0.01 * seed for seed in range(11)])


CONTROLS = [positive(on="fake-strong"), negative(level=nothing), negative(on="fake-absent")]


def came(made: Claim, folder: Path, excuses: dict[str, str] | None = None) -> dict[str, dict[str, Any]]:
    entry = audit(made, "toy", session(folder), excuses or {})
    assert entry["verdict"] == "SUPPORTED", entry["reason"]
    found: dict[str, dict[str, Any]] = entry["faults"]
    return found


OTHERS = [positive(on="fake-strong"), negative(on="fake-absent")]
ITSELF = Control("positive", None, {}, label="itself")

# ---- claims that notice, and that do not


def test_a_sound_claim_on_numbers(tmp_path: Path) -> None:
    found = came(declared(controls=CONTROLS), tmp_path)
    assert {name: (each["outcome"], each["by"]) for name, each in found.items()} == {
        "no-op": ("absent", ""),
        "sign": ("noticed", "verdict"),
        "treatment-to-control": ("absent", ""),
        "exchanged": ("absent", ""),
        "labels": ("absent", ""),
        "leak": ("absent", ""),
        "seeds": ("noticed", "receipt"),
        "half-missing": ("noticed", "receipt"),
        "outlier": ("kept", "verdict"),
    }
    assert "same random numbers" in found["seeds"]["reason"] and "1, 3" in found["half-missing"]["reason"]


def size_alone(level: float, rng: Any) -> float:
    """Blind to the sign."""
    return abs(level) + 0.01 * float(rng.normal())


def test_a_symmetric_region_has_no_other_sign(tmp_path: Path) -> None:
    made = declared(size_alone, holds=within(5.0, unit="nat"), bounds=20.0, controls=CONTROLS)
    assert came(made, tmp_path)["sign"]["outcome"] == "absent"


@step
def far_off(level: float) -> float:
    """Far above the region."""
    return 100.0


FAR_OFF = [positive(on="fake-strong"), negative(level=far_off)]


def test_a_control_may_be_what_notices(tmp_path: Path) -> None:
    found = came(declared(holds=below(50.0, unit="nat"), bounds=200.0, controls=FAR_OFF), tmp_path)["sign"]
    assert (found["outcome"], found["by"]) == ("noticed", "control") and "far_off" in found["reason"]


def test_a_fault_that_leaves_support_standing_is_a_defect_until_the_card_says_why_not(tmp_path: Path) -> None:
    made = declared(holds=interval(-5.0, 50.0, unit="nat"), bounds=200.0, controls=FAR_OFF)
    assert came(made, tmp_path, {"seeds": "another fault"})["sign"]["outcome"] == "unnoticed"
    found = came(made, tmp_path, {"sign": "a size is never negative"})["sign"]
    assert (found["outcome"], found["by"], found["reason"]) == ("exempt", "card", "a size is never negative")


def test_a_claim_that_is_supported_nowhere_has_nothing_to_lose(tmp_path: Path) -> None:
    made = declared(holds=above(500.0, unit="nat"), bounds=2000.0, controls=[positive(on="fake-strong"), negative(level=nothing)])
    entry = audit(made, "toy", session(tmp_path), {})
    assert entry["verdict"] == "REFUTED" and not entry["faults"] and "nothing to lose" in entry["reason"]


def test_the_positive_control_stands_in_where_the_claim_itself_is_not_supported(tmp_path: Path) -> None:
    made = declared(holds=above(1.95, unit="nat"), controls=[positive(on="fake-strong"), negative(level=nothing)])
    entry = audit(made, "toy", session(tmp_path), {})
    assert (entry["subject"], entry["verdict"]) == ("fake-strong", "SUPPORTED") and "fake-strong" in entry["as"]


def test_an_audit_trains_nothing_beyond_the_first_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Measurer, "ready", lambda self, item, index: index < 6)
    found = came(declared(controls=CONTROLS), tmp_path)
    assert found["outlier"]["outcome"] == "absent" and "takes 11 seeds, of which 6 are recorded" in found["outlier"]["reason"]
    assert found["sign"]["by"] == "verdict" and found["seeds"]["by"] == "receipt"


def either_way(level: float, rng: Any, sign: float = 1.0) -> float:
    """Level, or its opposite."""
    return sign * level + 0.01 * float(rng.normal())


@pytest.mark.parametrize(("binding", "on"), [(True, "the positive control fake-strong"), (False, "the claim itself")])
def test_a_binding_variant_vetoes_as_in_a_run_and_another_is_not_measured(tmp_path: Path, binding: bool, on: str) -> None:
    made = declared(either_way, controls=CONTROLS, variants=[variant("opposite", binding=binding, sign=-1.0)])
    entry = audit(made, "toy", session(tmp_path), {})
    assert (entry["verdict"], entry["as"]) == ("SUPPORTED", on)
    stored = [json.loads(path.read_text())["about"]["part"] for path in (tmp_path / "store" / "entries").rglob("*.json")]
    assert ("variant opposite" in stored) == binding


def rate(level: float, rng: Any) -> bool:
    """Whether the level is high."""
    return level + 0.0 * float(rng.normal()) > 0.9


def test_seeds_reused_are_seen_where_effects_are_equal_anyway(tmp_path: Path) -> None:
    found = came(declared(rate, holds=rate_above(0.5), controls=CONTROLS), tmp_path)
    assert found["seeds"]["by"] == "receipt" and found["sign"]["outcome"] == "noticed"
    assert found["outlier"]["outcome"] == "kept"  # ten of eleven seeds


# ---- networks


@step
def chosen(lm: LM, rng: Any) -> list[tuple[int, int]]:
    """Heads, by what the model does on data of their own."""
    lm.logits(rng.integers(0, 16, (4, 8)))
    return [(0, 1)]


def removing(lm: LM, chosen: list[tuple[int, int]], rng: Any) -> float:
    """How far the logits go when a head goes, over how far they go with another head."""
    ids = rng.integers(0, 16, (4, 8))
    plain = lm.logits(ids)
    first, other = (float((lm.without(heads, mode="zero").logits(ids) - plain).abs().mean()) for heads in (chosen, [(1, 0)]))
    return float(np.sign(first - other)) if first != other else 0.0


@pytest.fixture
def network() -> LM:
    """A small network of which head 0.1 does more than head 1.0."""
    lm = tiny_lm("gpt2")
    with torch.no_grad():
        lm.model.transformer.h[1].attn.c_proj.weight.mul_(0.01)
    return lm


def under(fault: Fault, network: LM, folder: Path) -> dict[str, Any]:
    """The effect's entry of the first replicate under a fault."""
    made = declared(removing, holds=interval(0.5, 1.5, unit="1"), controls=OTHERS, bounds=2.0)
    shared = planted(session(folder, {"net": network}), fault)
    replicate = shared.measurer.replicate(Item(made, "toy", Subject("net", "model"), ITSELF), 0)
    assert replicate is not None
    return replicate.parts["effect:"]


def test_writes_that_are_lost_are_invalid(network: LM, tmp_path: Path) -> None:
    assert under(WATCHING, network, tmp_path)["effects"] == {"effect": [1.0, 1.0]}
    body = under(NAMES["no-op"], network, tmp_path)
    assert body["problem"]["verdict"] == "INVALID" and "not wired" in body["problem"]["reason"] and body["planted"] > 0


def test_after_a_fault_the_network_is_as_it_was(network: LM, tmp_path: Path) -> None:
    for fault in MEASURED:
        under(fault, network, tmp_path)
    assert under(WATCHING, network, tmp_path / "again")["effects"] == {"effect": [1.0, 1.0]}
    assert type(network) is LM and not network.removals


def test_the_control_gets_the_treatment(network: LM, tmp_path: Path) -> None:
    body = under(NAMES["treatment-to-control"], network, tmp_path)
    assert body["planted"] > 0 and body["effects"] == {"effect": [0.0, 0.0]}


def test_what_is_said_of_heads_is_said_of_others_of_the_layer(network: LM, tmp_path: Path) -> None:
    body = under(NAMES["labels"], network, tmp_path)
    assert body["planted"] == 1 and not any("0.1" in receipt["intervention"] for receipt in body["receipts"])


def reading(lm: LM, chosen: list[tuple[int, int]], rng: Any) -> float:
    """Runs the model on as much data as the choice did."""
    lm.logits(rng.integers(0, 16, (4, 8)))
    return 1.0


def leaking(lm: LM, chosen: list[tuple[int, int]], prompts: Any) -> float:
    """Measures on the prompts that the choice was made on."""
    lm.logits(prompts)
    return 1.0


@step
def prompts(rng: Any) -> Any:
    """Data."""
    return rng.integers(0, 16, (4, 8))


@step
def ranked(lm: LM, prompts: Any) -> list[tuple[int, int]]:
    """Heads by these prompts."""
    lm.logits(prompts)
    return [(0, 1)]


def on_the_same(lm: LM, ranked: list[tuple[int, int]], prompts: Any) -> float:
    """The fault without anything planted."""
    lm.logits(prompts)
    return 1.0


def test_the_receipt_of_data(network: LM, tmp_path: Path) -> None:
    shared = session(tmp_path, {"net": network})

    def told(function: Any, fault: Fault) -> tuple[str, float]:
        made = declared(function, controls=OTHERS)
        return shared_data(Item(made, "toy", Subject("net", "model"), ITSELF), planted(shared, fault))

    assert told(reading, WATCHING)[1] < 0.25
    assert told(reading, NAMES["leak"]) == ("chosen", 1.0)
    assert told(on_the_same, WATCHING) == ("ranked", 1.0)


def test_arms_are_exchanged_and_made_equal() -> None:
    from claimbench.running.audit_faults import Log
    from claimbench.running.inject import Injector

    def difference(dense: float, ticket: float) -> float:
        """Ticket minus dense."""
        return ticket - dense

    def of_no_arm() -> float:
        """Nothing of the arms."""
        return 1.0

    found = {}
    for name in ("treatment-to-control", "exchanged"):
        log, made = Log(), declared(controls=CONTROLS)
        object.__setattr__(made, "function", difference)
        injector = NAMES[name].injector(Injector(None, 0, 0, {}, arms={"dense": 3.0, "ticket": 1.0}), made, log)
        found[name] = injector.call(difference)
        assert log.reached
        log.reached = 0
        injector.call(of_no_arm)
        assert not log.reached  # a planted course stands for what the arms would give
    assert found == {"treatment-to-control": 0.0, "exchanged": 2.0}


@step
def course(dense: float) -> float:
    """What an arm gives."""
    return dense


@step
def doubled(course: float) -> float:
    """Twice that."""
    return 2 * course


def test_an_arm_behind_a_planted_course_is_not_asked_for() -> None:
    from claimbench.running.audit_faults import Log
    from claimbench.running.inject import Injector

    for overrides, asked in (({"course": 5.0}, False), ({}, True)):
        log, made = Log(), declared(controls=CONTROLS)
        plain = Injector(None, 0, 0, overrides, arms={"dense": 3.0, "ticket": 1.0})
        NAMES["exchanged"].injector(plain, made, log).step(doubled)
        assert bool(log.reached) is asked


def test_the_halves_of_a_pair_are_exchanged_and_made_equal() -> None:
    from claimbench.running.audit_faults import Log
    from claimbench.running.inject import Injector

    def difference(lm: Any, base_lm: Any) -> float:
        """What the model has more than its base."""
        return float(lm - base_lm)

    found = {}
    for name in ("treatment-to-control", "exchanged"):
        log, made = Log(), declared(controls=CONTROLS)
        object.__setattr__(made, "function", difference)
        object.__setattr__(made, "on", causal_lm(organism="fake", base="fake-base"))
        injector = NAMES[name].injector(Injector(cast(Any, 3.0), 0, 0, {}, base=lambda: 1.0), made, log)
        found[name] = injector.call(difference)
        assert log.reached == 1
    assert found == {"treatment-to-control": 0.0, "exchanged": -2.0}


@pytest.mark.parametrize(
    ("region", "against", "inside"),
    [
        (above(0.1, unit="nat"), [-1e6, -1e6], [1e6, 1e6]),
        (below(0.1, unit="nat"), [1e6, 1e6], [-1e6, -1e6]),
        (rate_above(0.5), [0.0, 0.0], [1.0, 1.0]),
        (interval(0.2, 0.4, unit="nat"), [1e6, 1e6], [0.3, 0.3]),
    ],
)
def test_wild_is_far_out_on_the_side_that_is_meant(region: Any, against: list[float], inside: list[float]) -> None:
    assert wild(region, against=True) == against
    assert wild(region, against=False) == pytest.approx(inside)
    if region.of == "typical":
        assert region.disjoint(*against) and region.contains(*inside)


def test_faults_have_entries_of_their_own_and_a_repeat_measures_nothing(tmp_path: Path) -> None:
    made = declared(controls=CONTROLS, requires=[at_least(0.0, "nat", level)])

    def entries() -> set[str]:
        return {path.name for path in (tmp_path / "store" / "entries").rglob("*.json")}

    plain = session(tmp_path).run(item(made))
    before = entries()
    first = came(made, tmp_path)
    between = entries()
    assert before < between
    assert came(made, tmp_path) == first and entries() == between
    again: Session = session(tmp_path)
    assert again.run(item(made))["effects"] == plain["effects"]
