"""The clamps of the label task's training: what stands where they hold, that gradients flow around them, and their probes."""

from __future__ import annotations

import math
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from claimbench.measures import label_paths
from claimbench.measures.labels import episodes, label_accuracies, label_accuracy
from claimbench.running.collecting import load_all_organisms, load_module
from claimbench.training import live_heads, lm_of, train
from claimbench.training.clamps import Clamps
from claimbench.training.networks import initial_network
from claimbench.training.streams import stream
from claimbench.training.tokens import token_loss

from measure_fakes import constructed

FILE = Path(__file__).parents[2] / "fixtures" / "organisms" / "trained_labels_clamped.py"
SEED = 7


@pytest.fixture(scope="module")
def organisms() -> ModuleType:
    load_all_organisms([], FILE.parents[2])
    return load_module(FILE)


@pytest.fixture
def rows() -> Any:
    return stream("labels").batch(np.random.default_rng(2), 64, seed=SEED)


def net(recipe: Any) -> Any:
    return initial_network(recipe, SEED).model.eval()


def logits_under(recipe: Any, model: Any, batch: Any) -> Any:
    clamps = Clamps(recipe, model, SEED)
    with clamps.around(batch):
        found = model(input_ids=torch.from_numpy(batch.ids), use_cache=False).logits
    clamps.let_go()
    return found


def test_the_strength_that_is_held_is_the_strength_that_is_measured(organisms: ModuleType, rows: Any) -> None:
    """A row's attention to the right label minus the wrong one, through the engine's own reading of patterns."""
    model = net(organisms.SOLO)
    lm = lm_of(model)
    for strength in (-1.0, 0.5, 1.0):
        view = organisms.label_attention(lm, rows, strength=strength)
        weights = view.activations(torch.from_numpy(rows.ids), "L1.pattern@4")
        at = np.asarray(next(iter(weights.values())))[:, 0]  # [rows, heads, keys]
        right = np.where(rows.ids[:, 0] == rows.ids[:, 4], 1, 3)
        n = np.arange(len(right))
        np.testing.assert_allclose(at[n, :, right] - at[n, :, 4 - right], strength, atol=1e-6)


def test_blind_attention_does_not_know_what_is_asked(organisms: ModuleType, rows: Any) -> None:
    other = rows.ids.copy()
    other[:, 4] = np.where(rows.ids[:, 4] == rows.ids[:, 0], rows.ids[:, 2], rows.ids[:, 0])
    lm = lm_of(net(organisms.SOLO))
    held = [
        organisms.label_attention(lm, type(rows)(ids, rows.targets), blind=True).changes[-1].values for ids in (rows.ids, other)
    ]
    assert torch.equal(*held)
    at_right = held[0][:, 4, 0][torch.arange(64), torch.from_numpy(np.where(rows.ids[:, 0] == rows.ids[:, 4], 1, 3))]
    assert 0.2 < float(at_right.mean()) < 0.8


def test_previous_token_heads_look_one_back_and_the_others_are_as_before(organisms: ModuleType, rows: Any) -> None:
    lm, ids = lm_of(net(organisms.SOLO)), torch.from_numpy(rows.ids)
    plain = next(iter(lm.activations(ids, "L0.pattern").values()))
    held = next(iter(organisms.previous_token(lm, heads=(0, 3)).activations(ids, "L0.pattern").values()))
    for head in (0, 3):
        assert torch.equal(held[:, [0, 1, 2, 3, 4, 5], head, [0, 0, 1, 2, 3, 4]], torch.ones(64, 6))
    rest = [1, 2, 4, 5, 6, 7]
    torch.testing.assert_close(held[:, :, rest], plain[:, :, rest])
    two = next(iter(organisms.previous_token(lm, back=2).activations(ids, "L0.pattern").values()))
    assert torch.equal(two[0, [0, 1, 2, 3, 4, 5], 0, [0, 1, 0, 1, 2, 3]], torch.ones(6))


def test_an_ideal_first_layer_is_written_out_plainly(organisms: ModuleType, rows: Any) -> None:
    """Logits under the clamp against attention computed here from the embeddings."""
    model = net(organisms.LAYER)
    found = logits_under(organisms.LAYER, model, rows)
    body, ids = model.model, torch.from_numpy(rows.ids)
    layer, x = body.layers[1], body.embed_tokens(ids)
    normed = layer.input_layernorm(x)
    keyed = normed[:, [0, 0, 2, 2, 4, 5]]
    attention = layer.self_attn
    shape = (*ids.shape, 8, 8)
    q, k = attention.q_proj(normed).view(shape).transpose(1, 2), attention.k_proj(keyed).view(shape).transpose(1, 2)
    v = attention.v_proj(normed).view(shape).transpose(1, 2)
    angles = body.rotary_emb(x, torch.arange(6)[None])

    def turned(part: torch.Tensor) -> torch.Tensor:
        half = torch.cat([-part[..., 4:], part[..., :4]], -1)
        return part * angles[0][:, None] + half * angles[1][:, None]

    scores = turned(q) @ turned(k).transpose(2, 3) / math.sqrt(8) + torch.full((6, 6), -1e9).triu(1)
    out = x + attention.o_proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(64, 6, 64))
    torch.testing.assert_close(found, model.lm_head(body.norm(out)), atol=1e-4, rtol=1e-4)


def test_copied_logits_are_the_scores_of_the_labels_shown(organisms: ModuleType, rows: Any) -> None:
    model = net(organisms.COPY)
    ids = torch.from_numpy(rows.ids)
    found = logits_under(organisms.COPY, model, rows)[:, 4].softmax(-1)
    (head,) = live_heads(organisms.SOLO, SEED)[1]
    pattern = next(iter(lm_of(model).activations(ids, "L1.pattern@4").values()))[:, 0, head]
    shown = pattern[:, [1, 3]] / pattern[:, [1, 3]].sum(1, keepdim=True)
    torch.testing.assert_close(found.gather(1, ids[:, [1, 3]]), shown, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.sum(1), torch.ones(64))


@pytest.mark.parametrize("name", ["PREVIOUS", "ALL_PREVIOUS", "LAYER", "MATCH", "COPY"])
def test_gradients_flow_around_a_clamp_and_the_network_is_left_as_it_was(organisms: ModuleType, name: str, rows: Any) -> None:
    recipe = getattr(organisms, name)
    model, ids = net(recipe), torch.from_numpy(rows.ids)
    before = model(input_ids=ids, use_cache=False).logits.detach()
    clamps = Clamps(recipe, model, SEED)
    with clamps.around(rows):
        loss = token_loss(model, rows)
        loss.backward()
    clamps.let_go()
    moved = {name for name, weight in model.named_parameters() if weight.grad is not None and weight.grad.abs().max() > 0}
    writes = "model.layers.1.self_attn.v_proj.weight"
    reads = "model.layers.1.self_attn.q_proj.weight"
    assert (writes in moved) == (name != "COPY") and (reads in moved) == (name != "MATCH")
    assert ("model.layers.0.self_attn.v_proj.weight" in moved) == (name != "LAYER")
    torch.testing.assert_close(model(input_ids=ids, use_cache=False).logits.detach(), before)


def test_the_match_is_learned_sooner_when_it_is_given(organisms: ModuleType) -> None:
    changes = {"lr": 1e-3, "steps": 100, "stop": None, "evaluate_every": 100}
    given, plain = (train(recipe.with_(**changes), 1007).final["loss"] for recipe in (organisms.MATCH, organisms.SOLO))
    assert given < 0.4 < plain


def test_probes_read_strength_and_direct_path(organisms: ModuleType, rows: Any) -> None:
    model = net(organisms.ALL)
    found = organisms.strength(model, rows)
    assert len(found) == 9 and abs(found["strength"]) < 0.2
    assert found["strength"] == pytest.approx(np.mean([found[f"strength of head {head}"] for head in range(8)]))
    assert abs(organisms.direct_path(model, rows)["direct path"]) < 1
    with torch.no_grad():
        model.model.layers[0].self_attn.o_proj.weight.zero_()
    assert organisms.direct_path(model, rows)["direct path"] == pytest.approx(0, abs=1e-6)


def test_composed_heads_are_found_and_serve_keys_and_values() -> None:
    lm = constructed("constructed-composed-heads")
    shown = episodes(lm, np.random.default_rng(0), 300)
    looks = label_paths.previous_item_attention(lm, shown)
    assert [tuple(found) for found in np.argwhere(looks > 0.5)] == lm.facts["previous_token_heads"]
    assert looks[lm.facts["carriers"][0]] == pytest.approx(0, abs=1e-4)
    assert label_paths.log_odds([1.0, 0.5], 300) == pytest.approx([math.log(300.5 / 0.5), 0])
    assert label_accuracies(lm, [lm], shown).tolist() == [1.0]
    for heads, kept, lost in (("previous_token_heads", "L1.pattern", "L1.v"), ("carriers", "L1.v", "L1.pattern")):
        gone = lm.without(lm.facts[heads], mode="zero")
        right = label_accuracies(lm, [gone.frozen(kept), gone.frozen(lost)], shown)
        assert right.tolist() == [label_accuracy(gone.frozen(site), shown) for site in (kept, lost)]
        odds = label_paths.log_odds(right, len(shown))
        assert odds[0] > 6 > 1 > odds[1]


def test_items_are_no_answers_where_labels_alone_are(organisms: ModuleType, rows: Any) -> None:
    recipe = organisms.SOLO.with_(clamps=("answers are labels",))
    model = net(recipe)
    plain, held = logits_under(organisms.SOLO, model, rows), logits_under(recipe, model, rows)
    torch.testing.assert_close(held[..., 50:], plain[..., 50:])
    assert float(held.detach().softmax(-1)[..., :50].max()) == 0.0


def test_arms_with_one_part_left_to_learn_begin_at_their_own_chance(organisms: ModuleType) -> None:
    """With the copy given the two labels shown are answers; with the match given any label is, and more of them are more."""
    from claimbench.training import recipes

    for name, chance in (
        ("match-learned", math.log(2)),
        ("match-learned-more-classes", math.log(2)),
        ("match-learned-more-labels", math.log(2)),
        ("copy-learned", math.log(5)),
        ("copy-learned-more-classes", math.log(5)),
        ("copy-learned-more-labels", math.log(15)),
    ):
        recipe = recipes()[f"label-task-{name}"]
        batch = stream("labels").batch(np.random.default_rng(2), 256, seed=SEED, **recipe.options)
        logits = logits_under(recipe, net(recipe), batch)[:, 4]
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(batch.ids[:, -1])).item()
        assert chance - 0.1 < loss < chance + 0.8, name
