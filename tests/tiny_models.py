"""Tiny random models of many families, and an independent oracle for removing heads: hooks written out by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import transformers
from claimbench.interventions.heads import derangement
from claimbench.subjects.lm import LM
from claimbench.subjects.tokens import Tokens

VOCAB = 61
HEADS, KV_HEADS, CONTEXT = 4, 2, 48

_LLAMA = dict(
    vocab_size=VOCAB,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=HEADS,
    num_key_value_heads=KV_HEADS,
    max_position_embeddings=CONTEXT,
    pad_token_id=0,
)
_GPT = dict(vocab_size=VOCAB, n_positions=CONTEXT, n_embd=32, n_layer=2, n_head=HEADS)
_PLAIN = dict(vocab_size=VOCAB, hidden_size=32, num_hidden_layers=2, num_attention_heads=HEADS)

#: family -> model class, config class, config values, path of the output projection
CONFIGS: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "gpt2": ("GPT2LMHeadModel", "GPT2Config", _GPT, "transformer.h.{}.attn.c_proj"),
    "llama": (
        "LlamaForCausalLM",
        "LlamaConfig",
        {**_LLAMA, "attention_bias": True},
        "model.layers.{}.self_attn.o_proj",
    ),
    "qwen2": ("Qwen2ForCausalLM", "Qwen2Config", _LLAMA, "model.layers.{}.self_attn.o_proj"),
    "gpt_neox": (
        "GPTNeoXForCausalLM",
        "GPTNeoXConfig",
        {**_PLAIN, "intermediate_size": 48, "max_position_embeddings": CONTEXT},
        "gpt_neox.layers.{}.attention.dense",
    ),
    "mistral": (
        "MistralForCausalLM",
        "MistralConfig",
        {**_LLAMA, "sliding_window": 6},
        "model.layers.{}.self_attn.o_proj",
    ),
    "gemma2": (
        "Gemma2ForCausalLM",
        "Gemma2Config",
        {**_LLAMA, "head_dim": 12, "sliding_window": 6, "attn_logit_softcapping": 2.0},
        "model.layers.{}.self_attn.o_proj",
    ),
    "gemma3": (
        "Gemma3ForCausalLM",
        "Gemma3TextConfig",
        {**_LLAMA, "head_dim": 8, "sliding_window": 6, "layer_types": ["sliding_attention", "full_attention"]},
        "model.layers.{}.self_attn.o_proj",
    ),
    "phi3": ("Phi3ForCausalLM", "Phi3Config", _LLAMA, "model.layers.{}.self_attn.o_proj"),
    "opt": (
        "OPTForCausalLM",
        "OPTConfig",
        {**_PLAIN, "ffn_dim": 48, "max_position_embeddings": CONTEXT, "word_embed_proj_dim": 32},
        "model.decoder.layers.{}.self_attn.out_proj",
    ),
    "olmo2": ("Olmo2ForCausalLM", "Olmo2Config", _LLAMA, "model.layers.{}.self_attn.o_proj"),
    "gpt_oss": (
        "GptOssForCausalLM",
        "GptOssConfig",
        {**_LLAMA, "head_dim": 8, "num_local_experts": 2, "num_experts_per_tok": 1, "sliding_window": 6},
        "model.layers.{}.self_attn.o_proj",
    ),
    "gptj": ("GPTJForCausalLM", "GPTJConfig", {**_GPT, "rotary_dim": 4}, "transformer.h.{}.attn.out_proj"),
    "gpt_neo": (
        "GPTNeoForCausalLM",
        "GPTNeoConfig",
        dict(
            vocab_size=VOCAB,
            hidden_size=32,
            num_layers=2,
            num_heads=HEADS,
            max_position_embeddings=CONTEXT,
            window_size=6,
            attention_types=[[["global", "local"], 1]],
        ),
        "transformer.h.{}.attn.attention.out_proj",
    ),
    "bloom": (
        "BloomForCausalLM",
        "BloomConfig",
        dict(vocab_size=VOCAB, hidden_size=32, n_layer=2, n_head=HEADS),
        "transformer.h.{}.self_attention.dense",
    ),
    "falcon": (
        "FalconForCausalLM",
        "FalconConfig",
        {**_PLAIN, "num_kv_heads": KV_HEADS, "new_decoder_architecture": True, "max_position_embeddings": CONTEXT},
        "transformer.h.{}.self_attention.dense",
    ),
    "mamba": ("MambaForCausalLM", "MambaConfig", dict(vocab_size=VOCAB, hidden_size=32, num_hidden_layers=2), ""),
    "rwkv": (
        "RwkvForCausalLM",
        "RwkvConfig",
        dict(vocab_size=VOCAB, hidden_size=32, num_hidden_layers=2, context_length=CONTEXT, attention_hidden_size=32),
        "",
    ),
    "jamba": (
        "JambaForCausalLM",
        "JambaConfig",
        {**_LLAMA, "num_experts": 2, "use_mamba_kernels": False, "attn_layer_period": 2, "attn_layer_offset": 1},
        "",
    ),
}
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


def tiny_model(family: str, seed: int = 0, **changes: Any) -> Any:
    """A random model whose heads, biases and logits all matter."""
    model_class, config_class, values, _ = CONFIGS[family]
    config = getattr(transformers, config_class)(**{**values, **changes})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = getattr(transformers, model_class)(config)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if parameter.dim() > 1:
                    parameter.normal_(0, 0.2)
                elif name.endswith(("bias", "sinks")):
                    parameter.normal_(0, 0.3)
    return model.eval().requires_grad_(False)


def tiny_lm(family: str = "llama", seed: int = 0, **changes: Any) -> LM:
    return LM(tiny_model(family, seed, **changes), tokens=Tokens(np.arange(3, VOCAB), bos=1), name=f"tiny {family}")


def some_ids(n: int = 6, t: int = 12, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(3, VOCAB, (n, t))


def projection(lm: LM, family: str, layer: int) -> Any:
    return lm.model.get_submodule(CONFIGS[family][3].format(layer))


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
