"""Heads, residual stream and path patching against TransformerLens and nnsight (the extra `oracles`)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from claimbench.interventions.heads import derangement
from claimbench.subjects.lm import LM
from claimbench.subjects.shipped import shipped_models

from tiny_models import some_ids, tiny_lm, untouched

pytestmark = [pytest.mark.filterwarnings("ignore")]  # of the peers' own
IDS, OTHER = some_ids(), some_ids(seed=9)
SIZE = 8
#: (kind, layer), in the order in which a pass reaches them; values are [rows, seq, width], heads side by side.
Place = tuple[str, int]
Edit = Callable[[torch.Tensor], torch.Tensor]
#: ids, edits by place -> logits, and what stood at each place before it was edited
Peer = Callable[[np.ndarray, Mapping[Place, Edit]], tuple[torch.Tensor, dict[Place, torch.Tensor]]]
PLACES: tuple[Place, ...] = tuple((kind, layer) for layer in (0, 1) for kind in ("q", "z", "mlp", "post"))


def transformer_lens(lm: LM, family: str) -> Peer:
    bridges = pytest.importorskip("transformer_lens.model_bridge")
    from transformers import AutoTokenizer

    model = copy.deepcopy(lm.model)
    model.config.architectures = [type(model).__name__]
    tokenizer = AutoTokenizer.from_pretrained(shipped_models()["stories260K"])
    bridge = bridges.TransformerBridge.boot_transformers("tiny", hf_model=model, tokenizer=tokenizer, device="cpu")
    names = {"q": "attn.q.hook_out", "z": "attn.o.hook_in", "mlp": "mlp.hook_out", "post": "hook_out"}

    def run(ids: np.ndarray, edits: Mapping[Place, Edit]) -> tuple[torch.Tensor, dict[Place, torch.Tensor]]:
        seen: dict[Place, torch.Tensor] = {}

        def hook(place: Place) -> Any:
            def change(found: Any, hook: Any) -> Any:
                value = found[0] if isinstance(found, tuple) else found
                flat = value.flatten(2).clone()
                seen[place] = flat
                if place not in edits:
                    return None
                changed = edits[place](flat.clone()).reshape(value.shape)
                return (changed, *found[1:]) if isinstance(found, tuple) else changed

            return change

        hooks = [(f"blocks.{layer}.{names[kind]}", hook((kind, layer))) for kind, layer in PLACES]
        with torch.no_grad():
            logits = bridge.run_with_hooks(torch.from_numpy(ids), fwd_hooks=hooks)
        assert set(seen) == set(PLACES), "the peer's hooks fired"
        return logits, seen

    return run


def nnsight(lm: LM, family: str) -> Peer:
    library = pytest.importorskip("nnsight")
    traced = library.NNsight(copy.deepcopy(lm.model))
    layers = traced.transformer.h if family == "gpt2" else traced.model.layers

    def run(ids: np.ndarray, edits: Mapping[Place, Edit]) -> tuple[torch.Tensor, dict[Place, torch.Tensor]]:
        seen: dict[Place, torch.Tensor] = {}
        queries = slice(0, 32)  # GPT-2 makes queries, keys and values at once
        with torch.no_grad(), traced.trace(torch.from_numpy(ids)):
            for layer in (0, 1):
                attention = layers[layer].attn if family == "gpt2" else layers[layer].self_attn
                made = attention.c_attn if family == "gpt2" else attention.q_proj
                joined = attention.c_proj if family == "gpt2" else attention.o_proj
                seen["q", layer] = made.output[..., queries].clone()
                if ("q", layer) in edits:
                    made.output[..., queries] = edits["q", layer](made.output[..., queries].clone())
                seen["z", layer] = joined.input.clone()
                if ("z", layer) in edits:
                    joined.input = edits["z", layer](joined.input.clone())
                for kind, part in (("mlp", layers[layer].mlp), ("post", layers[layer])):
                    seen[kind, layer] = part.output.clone()
                    if (kind, layer) in edits:
                        part.output = edits[kind, layer](part.output.clone())
            logits = traced.output.logits.save()
            seen = library.save(seen)
        assert set(seen) == set(PLACES)
        return logits, seen

    return run


PEERS = {"TransformerLens": transformer_lens, "nnsight": nnsight}


def head(number: int, values: torch.Tensor | float) -> Edit:
    part = slice(number * SIZE, (number + 1) * SIZE)

    def edit(found: torch.Tensor) -> torch.Tensor:
        found[..., part] = values[..., part] if isinstance(values, torch.Tensor) else values
        return found

    return edit


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_gives_the_same_logits(peer: str, family: str) -> None:
    lm = tiny_lm(family)
    run = PEERS[peer](lm, family)
    plain, mine = run(IDS, {})
    _, theirs = run(OTHER, {})

    def same(view: LM, edits: Mapping[Place, Edit]) -> None:
        found, wanted = view.logits(IDS), run(IDS, edits)[0]
        assert float((found - wanted).abs().max()) <= 1e-4 * float(wanted.abs().max())
        assert float((wanted - plain).abs().max()) > 1e-2, "the peer's intervention did something"
        assert untouched(lm.model) == []

    torch.testing.assert_close(lm.logits(IDS), plain, atol=1e-4, rtol=1e-4)
    donors = torch.from_numpy(derangement(6, int(np.random.default_rng(7).integers(2**63))))
    for layer, number in ((0, 1), (1, 3)):
        z = mine["z", layer]
        same(lm.without([(layer, number)], "zero"), {("z", layer): head(number, 0.0)})
        same(lm.without([(layer, number)], "mean"), {("z", layer): head(number, z.mean((0, 1), keepdim=True).expand_as(z))})
        rng = np.random.default_rng(7)
        same(lm.without([(layer, number)], "resample", rng), {("z", layer): head(number, z[donors])})
        same(lm.patched(f"L{layer}.H{number}.z", OTHER), {("z", layer): head(number, theirs["z", layer])})
        post = theirs["post", layer]
        last = lambda found, post=post: torch.cat([found[:, :-1], post[:, -1:]], 1)  # noqa: E731
        same(lm.patched(f"L{layer}.post@-1", OTHER), {("post", layer): last})
        same(lm.added(f"L{layer}.post", 0.5 * torch.arange(32.0)), {("post", layer): lambda x: x + 0.5 * torch.arange(32.0)})
        same(lm.ablated(f"L{layer}.mlp", "zero"), {("mlp", layer): torch.zeros_like})
    # The sender patched, all else of its layer as it was: what the receiver then gets is put into the plain run.
    _, carried = run(IDS, {("z", 0): head(1, theirs["z", 0]), ("mlp", 0): lambda _: mine["mlp", 0]})
    same(lm.path_patched("L0.H1.z", "L1.H2.q", OTHER), {("q", 1): head(2, carried["q", 1])})
    _, carried = run(IDS, {("z", 0): head(1, theirs["z", 0])})
    same(lm.path_patched("L0.H1.z", "L1.H2.q", OTHER, through_mlps=True), {("q", 1): head(2, carried["q", 1])})
