"""An independent oracle for instruments: GPT-2 and Llama written out plainly, with an edit at every named place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

Edit = Callable[[str, int, torch.Tensor], torch.Tensor]


def keep(_: str, __: int, values: torch.Tensor) -> torch.Tensor:
    return values


def forward(family: str, model: Any, ids: Any, edit: Edit = keep) -> torch.Tensor:
    """Logits; `edit(kind, layer, values)` is called with q, k, v, z [rows, heads, seq, size] (one for each query head),
    scores and pattern [rows, heads, query, key], and pre, attn, mlp, post, neurons [rows, seq, width]."""
    with torch.no_grad():
        return (_gpt2 if family == "gpt2" else _llama)(model, torch.as_tensor(ids), edit)


def _attention(layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, edit: Edit) -> torch.Tensor:
    q, k, v = edit("q", layer, q), edit("k", layer, k), edit("v", layer, v)
    t = q.shape[2]
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    scores = scores.masked_fill(~torch.ones(t, t, dtype=torch.bool).tril(), -torch.inf)
    pattern = edit("pattern", layer, edit("scores", layer, scores).softmax(-1))
    z = edit("z", layer, pattern @ v)
    return z.transpose(1, 2).flatten(2)


def _gpt2(model: Any, ids: torch.Tensor, edit: Edit) -> torch.Tensor:
    net = model.transformer
    heads = model.config.n_head
    x = net.wte(ids) + net.wpe(torch.arange(ids.shape[1]))
    for number, block in enumerate(net.h):
        x = edit("pre", number, x)
        split = block.attn.c_attn(block.ln_1(x)).chunk(3, -1)
        q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in split)
        x = x + edit("attn", number, block.attn.c_proj(_attention(number, q, k, v, edit)))
        hidden = edit("neurons", number, block.mlp.act(block.mlp.c_fc(block.ln_2(x))))
        x = edit("post", number, x + edit("mlp", number, block.mlp.c_proj(hidden)))
    return model.lm_head(net.ln_f(x))


def _llama(model: Any, ids: torch.Tensor, edit: Edit) -> torch.Tensor:
    net, config = model.model, model.config
    x = net.embed_tokens(ids)
    cos, sin = net.rotary_emb(x, torch.arange(ids.shape[1])[None])
    for number, block in enumerate(net.layers):
        x = edit("pre", number, x)
        normed, attn = block.input_layernorm(x), block.self_attn
        q = attn.q_proj(normed).unflatten(-1, (config.num_attention_heads, -1)).transpose(1, 2)
        k, v = (part(normed).unflatten(-1, (config.num_key_value_heads, -1)).transpose(1, 2) for part in (attn.k_proj, attn.v_proj))
        q, k = apply_rotary_pos_emb(q, k, cos, sin)
        group = config.num_attention_heads // config.num_key_value_heads
        every = [head // group for head in range(config.num_attention_heads)]
        x = x + edit("attn", number, attn.o_proj(_attention(number, q, k[:, every], v[:, every], edit)))
        normed = block.post_attention_layernorm(x)
        hidden = edit("neurons", number, block.mlp.act_fn(block.mlp.gate_proj(normed)) * block.mlp.up_proj(normed))
        x = edit("post", number, x + edit("mlp", number, block.mlp.down_proj(hidden)))
    return model.lm_head(net.norm(x))


def recorded(family: str, model: Any, ids: Any) -> dict[tuple[str, int], torch.Tensor]:
    """Everything that stands at the named places in a plain run."""
    found: dict[tuple[str, int], torch.Tensor] = {}

    def note(kind: str, layer: int, values: torch.Tensor) -> torch.Tensor:
        found[kind, layer] = values.clone()
        return values

    forward(family, model, ids, note)
    return found
