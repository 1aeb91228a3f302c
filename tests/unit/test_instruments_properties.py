"""What must hold of instruments whatever the site, the family and the sequences."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from claimbench.interventions.sites import KINDS
from claimbench.subjects.lm import LM
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tiny_models import some_ids, tiny_lm, untouched

few = settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
families = st.sampled_from(["gpt2", "llama", "gemma2", "mistral", "opt"])


@cache
def subject(family: str) -> LM:
    return tiny_lm(family)


@st.composite
def sites(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(KINDS))
    by = ""
    if kind == "neurons" and draw(st.booleans()):
        by = f".N{draw(st.integers(0, 47))}"
    elif kind in ("z", "q", "k", "v", "pattern"):
        by = draw(st.sampled_from(["", ".H0", ".H2,3", ".G1"]))
    where = draw(st.sampled_from(["", "@-1", "@0,2", "@1:3", "@bos"]))
    return f"L{draw(st.integers(0, 1))}{by}.{kind}{where}"


@st.composite
def sequences(draw: st.DrawFn) -> np.ndarray:
    ids = some_ids(draw(st.integers(1, 5)), draw(st.integers(4, 9)), draw(st.integers(0, 99)))
    ids[:, 0] = 1
    return ids


@few
@given(families, sites(), sequences(), st.sampled_from([None, 1, 2]))
def test_a_run_patched_with_itself_is_itself(family: str, site: str, ids: np.ndarray, batch_size: int | None) -> None:
    lm = subject(family)
    lm.batch_size = batch_size
    plain = lm.logits(ids)
    for view in (lm.patched(site, lm), lm.patched(site, ids), lm.scaled(site, 1.0)):
        found = view.logits(ids)
        # Reading a pattern needs the family's eager function; everywhere else it is the plain model bit for bit.
        assert torch.equal(found, plain) or (
            ".pattern" in site and float((found - plain).abs().max()) <= 1e-5 * float(plain.abs().max())
        )
        assert lm.recorder.receipts[-1].neutral
    assert untouched(lm.model) == []


@few
@given(families, sites(), sequences())
def test_patching_twice_is_patching_once_and_results_do_not_depend_on_the_batch(family: str, site: str, ids: np.ndarray) -> None:
    lm, other = subject(family), np.roll(ids[:, ::-1], 1, axis=1).copy()
    other[:, 0] = 1
    lm.batch_size = None
    once = lm.patched(site, other).logits(ids)
    torch.testing.assert_close(lm.patched(site, other).patched(site, other).logits(ids), once, atol=0, rtol=0)
    lm.batch_size = 1
    torch.testing.assert_close(lm.patched(site, other).logits(ids), once, atol=2e-5, rtol=1e-5)


@few
@given(st.sampled_from(["gpt2", "llama"]), sequences())
def test_all_edges_but_self_cut_is_a_context_free_forward(family: str, ids: np.ndarray) -> None:
    """Each token then says what it would say alone at its place."""
    lm = subject(family)
    lm.batch_size = None
    pairs = np.tri(ids.shape[1], k=-1) > 0
    found = lm.knocked_out(["L0.pattern", "L1.pattern"], pairs=pairs).logits(ids)
    for at in range(ids.shape[1]):
        with torch.no_grad():
            alone = lm.model(input_ids=torch.from_numpy(ids[:, [at]]), position_ids=torch.tensor([[at]])).logits[:, 0]
        torch.testing.assert_close(found[:, at], alone, atol=1e-5, rtol=1e-4)


@few
@given(families, st.integers(0, 3), sequences())
def test_every_path_patched_is_the_sender_patched(family: str, head: int, ids: np.ndarray) -> None:
    """From the last layer the paths are to its MLP and to the end: with both open nothing is missing."""
    lm, other = subject(family), np.roll(ids, 2, axis=1)
    lm.batch_size = None
    sender = f"L1.H{head}.z"
    wanted = lm.patched(sender, other).logits(ids)
    found = lm.path_patched(sender, "logits", other, through_mlps=True).logits(ids)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    direct = lm.path_patched(sender, "logits", other)
    both = lm.path_patched(sender, "L1.post", other, through_mlps=True)
    torch.testing.assert_close(both.logits(ids), wanted, atol=1e-5, rtol=1e-5)
    assert direct.changes[-1].source is not None


def test_an_exception_restores_the_model_and_views_leave_it_alone() -> None:
    for family in ("llama", "falcon"):
        lm, ids = tiny_lm(family), some_ids()
        plain = lm.logits(ids)
        view = lm.scaled("L0.mlp", 2).patched("L1.post@-1", some_ids(seed=3)).without([(0, 1)], "mean")

        def fail(*_: object) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            view.capture(ids, "L1.mlp", fail)
        assert untouched(lm.model) == []
        assert torch.equal(lm.logits(ids), plain)
        assert lm.changes == () and len(view.changes) == 2
        first = view.logits(ids)
        assert torch.equal(view.logits(ids), first)


def test_plain_passes_inside_a_pass_stay_plain() -> None:
    lm, ids = tiny_lm(), some_ids()
    plain, scaled = lm.logits(ids), lm.scaled("L0.mlp", 2).logits(ids)
    inner: list[torch.Tensor] = []

    def look(*_: object) -> None:
        inner.extend([lm.logits(ids), lm.scaled("L0.mlp", 2).logits(ids)])

    found: list[torch.Tensor] = []
    lm.scaled("L0.attn", 3).capture(ids, "L1.H0.z", look)
    assert torch.equal(inner[0], plain)
    assert torch.equal(inner[1], scaled)
    assert not found
