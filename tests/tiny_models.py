"""Tiny random models of many families, and an independent oracle for removing heads: hooks written out by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from claimbench.interventions.heads import derangement
from claimbench.subjects.lm import LM
from claimbench.subjects.tiny import CONFIGS as FAMILIES
from claimbench.subjects.tiny import CONTEXT, HEADS, KV_HEADS, VOCAB, tiny_lm, tiny_model

__all__ = ["CONTEXT", "HEADS", "KV_HEADS", "VOCAB", "oracle", "projection", "some_ids", "tiny_lm", "tiny_model", "untouched"]

#: family -> path of the output projection of a layer, by hand
PROJECTIONS = {
    "gpt2": "transformer.h.{}.attn.c_proj",
    "gpt_neox": "gpt_neox.layers.{}.attention.dense",
    "opt": "model.decoder.layers.{}.self_attn.out_proj",
    "gptj": "transformer.h.{}.attn.out_proj",
    "gpt_neo": "transformer.h.{}.attn.attention.out_proj",
    "bloom": "transformer.h.{}.self_attention.dense",
    "falcon": "transformer.h.{}.self_attention.dense",
}
LLAMA_LIKE = "model.layers.{}.self_attn.o_proj"
#: family -> ..., that path
CONFIGS = {family: ("", "", {}, PROJECTIONS.get(family, LLAMA_LIKE)) for family in FAMILIES}
INTERFACE = (
    "gpt2",
    "llama",
    "qwen2",
    "gpt_neox",
    "mistral",
    "gemma2",
    "gemma3",
    "phi3",
    "opt",
    "olmo2",
    "gpt_oss",
    "gptj",
)
FALLBACK = ("gpt_neo", "bloom", "falcon")


def some_ids(n: int = 6, t: int = 12, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(3, VOCAB, (n, t))


def projection(lm: LM, family: str, layer: int) -> Any:
    return lm.model.get_submodule(PROJECTIONS.get(family, LLAMA_LIKE).format(layer))


def oracle(
    lm: LM, family: str, heads: Sequence[tuple[int, int]], mode: str, seed: int, ids: np.ndarray
) -> torch.Tensor:
    """Logits with heads removed by a hook on the family's own output projection, named by hand, all rows at once."""
    tensor = torch.from_numpy(ids)
    inputs: dict[int, torch.Tensor] = {}

    def with_hooks(change: Callable[[int, torch.Tensor], torch.Tensor]) -> torch.Tensor:
        handles = [
            projection(lm, family, layer).register_forward_pre_hook(
                lambda _, args, layer=layer: (change(layer, args[0].clone()), *args[1:])
            )
            for layer in range(lm.layers)
        ]
        try:
            with torch.no_grad():
                return lm.model(input_ids=tensor, use_cache=False).logits.float()
        finally:
            for handle in handles:
                handle.remove()

    with_hooks(lambda layer, joined: inputs.setdefault(layer, joined))

    def remove(layer: int, joined: torch.Tensor) -> torch.Tensor:
        size = joined.shape[-1] // lm.heads
        for at, head in heads:
            part = slice(head * size, (head + 1) * size)
            if at != layer:
                continue
            plain = inputs[layer][..., part]
            if mode == "zero":
                joined[..., part] = 0.0
            elif mode == "mean":
                joined[..., part] = plain.mean((0, 1))
            else:
                joined[..., part] = plain[torch.from_numpy(derangement(len(ids), seed))]
        return joined

    return with_hooks(remove)


def untouched(model: Any) -> list[str]:
    """What is left of an instrument on a model: hooks, and attention settings that are ours."""
    left = [name for name, part in model.named_modules() if part._forward_pre_hooks or part._forward_hooks]
    configs = {
        str(getattr(part.config, "_attn_implementation", "")) for part in model.modules() if hasattr(part, "config")
    }
    return left + [name for name in configs if name.startswith("claimbench")]
