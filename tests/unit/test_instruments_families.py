"""Families beyond those with hand-written hooks: parallel blocks, mixtures of experts, scaled residuals, latent keys."""

from __future__ import annotations

import pytest
import torch
from claimbench.errors import NotApplicable
from claimbench.interventions import proof
from claimbench.interventions.sites import KINDS, Site
from claimbench.subjects.lm import LM

from tiny_models import some_ids, tiny_lm, untouched

FAMILIES = (
    *("mixtral", "qwen3", "qwen3_moe", "qwen2_moe", "gemma", "phi", "stablelm", "smollm3", "granite", "cohere"),
    *("starcoder2", "deepseek_v3"),
)
EXPERTS = ("mixtral", "qwen3_moe", "qwen2_moe", "deepseek_v3")
IDS, OTHER = some_ids(4, 10), some_ids(4, 10, seed=3)


def subject(family: str) -> LM:
    lm = tiny_lm(family)
    lm.batch_size = 3
    return lm


@pytest.mark.parametrize("family", FAMILIES)
def test_every_kind_of_site(family: str) -> None:
    lm = subject(family)
    plain = lm.logits(IDS)
    for kind in (*KINDS, "scores"):
        if kind == "neurons" and family in EXPERTS:
            with pytest.raises(NotApplicable, match="no linear map that its MLP ends with"):
                proof.check_kind(lm.instrument, kind)
            continue
        error = proof.check_kind(lm.instrument, kind)
        assert error == 0 or (kind in ("pattern", "scores") and error < 1e-6)
        if kind == "scores":
            continue
        site = f"L1.{'H1.' if kind in ('z', 'q', 'k', 'v', 'pattern') else ''}{kind}"
        torch.testing.assert_close(lm.patched(site, lm).logits(IDS), plain, atol=1e-5, rtol=1e-5)
        patched = lm.patched(site, OTHER)
        found = patched.logits(IDS)
        assert lm.recorder.receipts[-1].moved_activation > 0
        # What stands there then is the source's, and what stood before it is as it was.
        here, there = Site.parse(site), lm.activations(OTHER, site)
        torch.testing.assert_close(patched.activations(IDS, site)[here], there[here], atol=1e-5, rtol=1e-5)
        if kind != "pre":
            before = Site.parse("L1.pre")
            mine, altered = (view.activations(IDS, before)[before] for view in (lm, patched))
            torch.testing.assert_close(altered, mine, atol=1e-5, rtol=1e-5)  # pattern: by the eager function
        assert found.isfinite().all()
    assert untouched(lm.model) == []


@pytest.mark.parametrize("family", FAMILIES)
def test_the_stream_is_the_sum_of_its_parts(family: str) -> None:
    """Patching the stream before a layer and all that the layer adds is patching the stream after it."""
    lm = subject(family)
    wanted = lm.patched("L0.post", OTHER).logits(IDS)
    found = lm.patched(["L0.pre", "L0.attn", "L0.mlp"], OTHER).logits(IDS)
    torch.testing.assert_close(found, wanted, atol=2e-5, rtol=1e-4)
    factor = 0.3 if family == "granite" else 1.0
    here = lm.activations(IDS, ["L0.mlp", "L1.post"])
    end = here[Site.parse("L1.post")] - factor * here[Site.parse("L0.mlp")]
    torch.testing.assert_close(
        lm.without_direct("L0.mlp").logits(IDS), lm.replaced("L1.post", end).logits(IDS), atol=2e-5, rtol=1e-4
    )
