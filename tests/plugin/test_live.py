"""In a notebook, on a live model: the same measurements and verdicts as pytest's, as objects with per-head arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import claimbench
import numpy as np
import pytest
from claimbench import above, causal_lm, claim, negative, positive, step
from claimbench.running.collecting import claims_root
from claimbench.subjects.shipped import shipped_models
from claimbench.verdict import Verdict
from lab import Lab

FINDINGS = ["load-bearing/top-heads-beat-random", "load-bearing/anti-induction-near-zero"]


@pytest.fixture(scope="module")
def model() -> tuple[Any, Any, Path]:
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    folder = shipped_models()["stories260K"]
    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder), folder


def told(found: Any) -> tuple[object, ...]:
    names = ("verdict", "reason", "replicates", "effects", "preconditions", "code_digest", "observations", "evidence")
    return tuple(found[name] for name in names)


@pytest.mark.slow
def test_a_live_model_comes_to_what_pytest_comes_to(lab: Lab, model: tuple[Any, Any, Path]) -> None:
    live, tokenizer, folder = model
    results = claimbench.run(live, tokenizer, claims=FINDINGS, profile="smoke", store=lab.path / "live")
    files = [str(claims_root() / "load_bearing" / name) for name in ("test_heads.py", "test_anti_induction.py")]
    run = lab.run(*files, "--model", str(folder), "--profile", "smoke", "--report", "report")
    assert run.ret == 0
    names = {(r["finding"], r["control"] and r["control"]["name"]): told(r) for r in lab.results()["results"]}
    assert {(r.finding, r.control and r.control["name"]): told(r.document) for r in results} == names
    assert {r.verdict for r in results if r.control is None} == {Verdict.NOT_APPLICABLE}


@pytest.mark.slow
def test_results_are_objects_with_an_array_for_every_head(lab: Lab, model: tuple[Any, Any, Path]) -> None:
    live, tokenizer, _ = model
    (found, *_) = claimbench.run(
        live, tokenizer, claims=FINDINGS[1:], profile="smoke", name="mine", store=lab.path / "live"
    )
    maps = [np.array(o["values"]) for o in found.observations.values() if o["kind"] == "heads"]
    assert maps and all(m.shape == (live.config.num_hidden_layers, live.config.num_attention_heads) for m in maps)
    assert "NOT_APPLICABLE load-bearing/anti-induction-near-zero on mine" in repr(found)
    assert found.verdict is Verdict.NOT_APPLICABLE and found.subject == "mine" and found.evidence == "instrument"
    with pytest.raises(AttributeError, match="a result has no 'verdikt'"):
        _ = found.verdikt


@step
def nothing_lost(logits):
    """No change at all."""
    return 0.0


@step
def logits(lm, rng):
    """Largest change of a logit without the first layer's heads."""
    ids = rng.choice(lm.tokens.frequent, size=(4, 16))
    without = lm.without([(0, head) for head in range(lm.heads)], mode="zero")
    return float(abs(lm.logits(ids) - without.logits(ids)).max())


def first_layer_matters(logits, observe):
    """Largest change of a logit without the first layer's heads."""
    observe.value("Largest change", logits, unit="logit")
    return logits


def own(**more: Any) -> Any:
    return claim(
        "mine/first-layer-matters",
        on=causal_lm(organism="copying"),
        holds=above(0.5, unit="logit"),
        why="ours",
        documented="not at all",
        bounds=2.0,
        controls=[positive(on="copying"), negative(logits=nothing_lost)],
        **more,
    )(first_layer_matters)


@pytest.mark.slow
def test_a_claim_of_one_s_own_on_a_live_model(lab: Lab, model: tuple[Any, Any, Path]) -> None:
    """With the control that goes with it: the verdict carries its own negative."""
    live, tokenizer, _ = model
    plain, control = claimbench.run(live, tokenizer, claims=[own()], store=lab.path / "live")
    assert plain.verdict is Verdict.SUPPORTED and plain.receipts and plain.forward_passes > 0
    assert control.verdict is Verdict.REFUTED and control.control["ok"] is True
    assert [c["ok"] for c in plain.controls] == [None, True]
    live.train()
    try:
        again, _ = claimbench.run(live, tokenizer, claims=[own()], store=lab.path / "again")
    finally:
        live.eval()
    assert again.replicates == plain.replicates


def test_slips_are_named(model: tuple[Any, Any, Path], lab: Lab) -> None:
    live, tokenizer, _ = model
    for given, text in (
        ({"claims": ["load-bearing/top-heads"]}, "no claim executes 'load-bearing/top-heads'"),
        ({"claims": FINDINGS, "profile": "quick"}, "unknown profile 'quick'"),
        ({"claims": FINDINGS, "seed": -1}, "out of range"),
    ):
        with pytest.raises(claimbench.ClaimbenchError, match=text):
            claimbench.run(live, tokenizer, store=lab.path / "live", **given)
