"""Tiny random networks of many transformers families: on them is shown what each family bears."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .lm import LM
from .tokens import Tokens

if TYPE_CHECKING:
    import torch
    import transformers
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")
    transformers = LazyModule("transformers")

VOCAB, WIDTH, LAYERS, HEADS, KV_HEADS, CONTEXT = 61, 32, 2, 4, 2, 48

_IDS = dict(pad_token_id=0, bos_token_id=1, eos_token_id=2)
_LLAMA: dict[str, Any] = dict(
    vocab_size=VOCAB,
    hidden_size=WIDTH,
    intermediate_size=48,
    num_hidden_layers=LAYERS,
    num_attention_heads=HEADS,
    num_key_value_heads=KV_HEADS,
    max_position_embeddings=CONTEXT,
    pad_token_id=0,
)
_LATER = {**_LLAMA, **_IDS}
_GPT: dict[str, Any] = dict(vocab_size=VOCAB, n_positions=CONTEXT, n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS)
_PLAIN: dict[str, Any] = dict(vocab_size=VOCAB, hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS)
_EXPERTS: dict[str, Any] = dict(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16)
_SLIDING = ["sliding_attention", "full_attention"]

#: family -> name of its classes without the ending, values of its configuration. Grouped queries where it has them.
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("GPT2", _GPT),
    "gpt_neo": (
        "GPTNeo",
        dict(
            vocab_size=VOCAB,
            hidden_size=WIDTH,
            num_layers=LAYERS,
            num_heads=HEADS,
            max_position_embeddings=CONTEXT,
            window_size=6,
            attention_types=[[["global", "local"], 1]],
        ),
    ),
    "gptj": ("GPTJ", {**_GPT, "rotary_dim": 4}),
    "gpt_neox": ("GPTNeoX", {**_PLAIN, "intermediate_size": 48, "max_position_embeddings": CONTEXT}),
    "bloom": ("Bloom", dict(vocab_size=VOCAB, hidden_size=WIDTH, n_layer=LAYERS, n_head=HEADS)),
    "falcon": (
        "Falcon",
        {**_PLAIN, "num_kv_heads": KV_HEADS, "new_decoder_architecture": True, "max_position_embeddings": CONTEXT},
    ),
    "opt": ("OPT", {**_PLAIN, "ffn_dim": 48, "max_position_embeddings": CONTEXT, "word_embed_proj_dim": WIDTH}),
    "llama": ("Llama", {**_LLAMA, "attention_bias": True}),
    "mistral": ("Mistral", {**_LLAMA, "sliding_window": 6}),
    "mixtral": ("Mixtral", {**_LATER, "num_local_experts": 2, "num_experts_per_tok": 1}),
    "qwen2": ("Qwen2", _LLAMA),
    "qwen3": ("Qwen3", {**_LATER, "head_dim": 8}),
    "qwen2_moe": ("Qwen2Moe", {**_LATER, "shared_expert_intermediate_size": 16, **_EXPERTS}),
    "qwen3_moe": ("Qwen3Moe", {**_LATER, "head_dim": 8, **_EXPERTS}),
    "gemma": ("Gemma", {**_LATER, "head_dim": 8}),
    "gemma2": ("Gemma2", {**_LLAMA, "head_dim": 12, "sliding_window": 6, "attn_logit_softcapping": 2.0}),
    "gemma3": ("Gemma3", {**_LLAMA, "head_dim": 8, "sliding_window": 6, "layer_types": _SLIDING}),
    "phi": ("Phi", _LATER),
    "phi3": ("Phi3", _LLAMA),
    "olmo2": ("Olmo2", _LLAMA),
    "stablelm": ("StableLm", _LATER),
    "smollm3": ("SmolLM3", _LATER),
    "granite": ("Granite", {**_LATER, "residual_multiplier": 0.3}),
    "cohere": ("Cohere", _LATER),
    "deepseek_v3": (
        "DeepseekV3",
        {
            **_LATER,
            **dict(n_routed_experts=4, num_experts_per_tok=2, moe_intermediate_size=16, first_k_dense_replace=1),
            **dict(n_group=1, topk_group=1, n_shared_experts=1, q_lora_rank=16, kv_lora_rank=16),
            **dict(qk_rope_head_dim=4, qk_nope_head_dim=8, v_head_dim=8, num_key_value_heads=HEADS),
        },
    ),
    "gpt_oss": (
        "GptOss",
        {**_LLAMA, "head_dim": 8, "num_local_experts": 2, "num_experts_per_tok": 1, "sliding_window": 6},
    ),
    "starcoder2": ("Starcoder2", _LATER),
    "mamba": ("Mamba", dict(vocab_size=VOCAB, hidden_size=WIDTH, num_hidden_layers=LAYERS)),
    "rwkv": (
        "Rwkv",
        dict(
            vocab_size=VOCAB,
            hidden_size=WIDTH,
            num_hidden_layers=LAYERS,
            context_length=CONTEXT,
            attention_hidden_size=WIDTH,
        ),
    ),
    "jamba": (
        "Jamba",
        {**_LLAMA, "num_experts": 2, "use_mamba_kernels": False, "attn_layer_period": 2, "attn_layer_offset": 1},
    ),
}


def tiny_model(family: str, seed: int = 0, **changes: Any) -> Any:
    """A random network of a family, two layers of width 32, whose heads, biases and logits all matter."""
    name, values = CONFIGS[family]
    config_class = getattr(transformers, "Gemma3TextConfig" if name == "Gemma3" else f"{name}Config")
    config = config_class(**{**values, **changes})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = getattr(transformers, "GPT2LMHeadModel" if name == "GPT2" else f"{name}ForCausalLM")(config)
        with torch.no_grad():
            for part, parameter in model.named_parameters():
                if parameter.dim() > 1:
                    parameter.normal_(0, 0.2)
                elif part.endswith(("bias", "sinks")):
                    parameter.normal_(0, 0.3)
    return model.eval().requires_grad_(False)


def tiny_lm(family: str = "llama", seed: int = 0, **changes: Any) -> LM:
    """A subject around it."""
    return LM(tiny_model(family, seed, **changes), tokens=Tokens(np.arange(3, VOCAB), bos=1), name=f"tiny {family}")
