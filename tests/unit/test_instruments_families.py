"""Families beyond those with hand-written hooks: parallel blocks, mixtures of experts, scaled residuals, latent keys."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers
from claimbench.errors import NotApplicable
from claimbench.interventions import proof
from claimbench.interventions.sites import KINDS, Site
from claimbench.subjects.lm import LM
from claimbench.subjects.tokens import Tokens

from tiny_models import some_ids, untouched

_SHAPE = dict(
    vocab_size=61,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=48,
    pad_token_id=0,
    bos_token_id=1,
    eos_token_id=2,
)
_EXPERTS = dict(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16)
_LATENT = dict(q_lora_rank=16, kv_lora_rank=16, qk_rope_head_dim=4, qk_nope_head_dim=8, v_head_dim=8, num_key_value_heads=4)
FAMILIES: dict[str, dict[str, Any]] = {
    "Mixtral": dict(num_local_experts=2, num_experts_per_tok=1),
    "Qwen3": dict(head_dim=8),
    "Qwen3Moe": dict(head_dim=8, **_EXPERTS),
    "Qwen2Moe": dict(shared_expert_intermediate_size=16, **_EXPERTS),
    "Gemma": dict(head_dim=8),
    "Phi": {},
    "StableLm": {},
    "SmolLM3": {},
    "Granite": dict(residual_multiplier=0.3),
    "Cohere": {},
    "Starcoder2": {},
    "DeepseekV3": dict(
        n_routed_experts=4,
        num_experts_per_tok=2,
        moe_intermediate_size=16,
        first_k_dense_replace=1,
        n_group=1,
        topk_group=1,
        n_shared_experts=1,
        **_LATENT,
    ),
}
EXPERTS = ("Mixtral", "Qwen3Moe", "Qwen2Moe", "DeepseekV3")
IDS, OTHER = some_ids(4, 10), some_ids(4, 10, seed=3)


def subject(family: str) -> LM:
    config = getattr(transformers, f"{family}Config")(**{**_SHAPE, **FAMILIES[family]})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = getattr(transformers, f"{family}ForCausalLM")(config).eval().requires_grad_(False)
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.normal_(0, 0.2)
    return LM(model, tokens=Tokens(np.arange(3, 61)), name=family, batch_size=3)


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
    factor = 0.3 if family == "Granite" else 1.0
    here = lm.activations(IDS, ["L0.mlp", "L1.post"])
    end = here[Site.parse("L1.post")] - factor * here[Site.parse("L0.mlp")]
    torch.testing.assert_close(
        lm.without_direct("L0.mlp").logits(IDS), lm.replaced("L1.post", end).logits(IDS), atol=2e-5, rtol=1e-4
    )
