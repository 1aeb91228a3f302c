"""Interventions that hold while a model trains, with gradients, and while it generates."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np
import pytest
import torch
from claimbench.errors import DeclarationError, InvalidMeasurement, NotApplicable, UsageError
from claimbench.interventions.sites import Site
from claimbench.subjects.lm import LM

from tiny_models import projection, some_ids, tiny_lm, untouched

IDS = torch.from_numpy(some_ids())
FAMILIES = ("gpt2", "llama", "falcon")


def learning(lm: LM) -> LM:
    lm.model.requires_grad_(True)
    return lm


def grads(model: Any) -> dict[str, torch.Tensor]:
    return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_are_those_of_hooks_written_by_hand(family: str) -> None:
    """A head held at zero and an MLP scaled, against hooks on modules named by hand."""
    lm = learning(tiny_lm(family))
    size = lm.instrument.head_dim
    with lm.without([(1, 2)], "zero").scaled("L0.attn", 2.0).held() as model:
        found = model(input_ids=IDS, labels=IDS)
        found.loss.backward()
    mine = grads(lm.model)
    assert [receipt.intervention for receipt in lm.recorder.receipts[-2:]] == [
        "without 1.2 (zero) (held)",
        "scaled L0.attn by 2 (held)",
    ]
    assert all(receipt.fired == 6 and receipt.wired for receipt in lm.recorder.receipts[-2:])
    assert untouched(lm.model) == []
    lm.model.zero_grad()

    def zero(_: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        keep = torch.ones(args[0].shape[-1])
        keep[2 * size : 3 * size] = 0
        return (args[0] * keep, *args[1:])

    handles = [
        projection(lm, family, 1).register_forward_pre_hook(zero),
        projection(lm, family, 0).register_forward_hook(lambda _, __, output: output * 2),
    ]
    wanted = lm.model(input_ids=IDS, labels=IDS)
    wanted.loss.backward()
    for handle in handles:
        handle.remove()
    torch.testing.assert_close(found.logits, wanted.logits, atol=1e-5, rtol=1e-5)
    theirs = grads(lm.model)
    assert mine.keys() == theirs.keys()
    for name, value in theirs.items():
        torch.testing.assert_close(mine[name], value, atol=1e-5, rtol=1e-4)


def test_a_pattern_is_held_at_a_teacher_s_while_the_rest_trains() -> None:
    lm = learning(tiny_lm())
    teacher = LM(copy.deepcopy(lm.model).requires_grad_(False), tokens=lm.tokens, name="teacher")
    site = Site.parse("L1.pattern")
    view = lm.patched(site, teacher)
    wanted = teacher.activations(IDS, site)[site]
    optimiser = torch.optim.SGD(lm.model.parameters(), 0.5)
    own = lm.model.model.layers[1].self_attn.q_proj.weight
    before = own.detach().clone()
    with view.held() as model:
        model.train()
        for _ in range(4):
            optimiser.zero_grad()
            model(input_ids=IDS, labels=IDS).loss.backward()
            assert own.grad is None or not own.grad.any()  # nothing reads these queries any more
            optimiser.step()
        model.eval()
    assert torch.equal(own, before)
    assert lm.recorder.receipts[-1].fired == 4 * 6
    assert torch.equal(view.activations(IDS, site)[site], wanted)
    assert float((lm.activations(IDS, site)[site] - wanted).abs().max()) > 1e-2


def test_what_is_held_from_the_model_s_own_run_follows_its_weights() -> None:
    lm = learning(tiny_lm("gpt2"))
    view = lm.without([(0, 1)], "mean").patched("L1.H2.z", some_ids(seed=5))
    with view.held() as model:
        for scale in (1.0, 1.5):
            with torch.no_grad():
                projection(lm, "gpt2", 0).weight.mul_(scale)
                held = model(input_ids=IDS).logits
    torch.testing.assert_close(held, view.logits(IDS), atol=1e-5, rtol=1e-5)


def test_directions_learn() -> None:
    lm = tiny_lm()
    vector = torch.zeros(32, requires_grad=True)
    with lm.added("L0.post@-2", vector).held() as model:
        before = model(input_ids=IDS, labels=IDS).loss
        before.backward()
    assert vector.grad is not None and vector.grad.any()
    wanted = []
    for number in (0, 7):
        step = torch.zeros(32)
        step[number] = 1e-2
        losses = []
        for sign in (1, -1):
            with lm.added("L0.post@-2", sign * step).held() as model:
                losses.append(float(model(input_ids=IDS, labels=IDS).loss))
        wanted.append((losses[0] - losses[1]) / 2e-2)
    torch.testing.assert_close(vector.grad[[0, 7]], torch.tensor(wanted), atol=1e-3, rtol=2e-2)


def test_dropout_acts_outside_sources_only() -> None:
    lm = learning(tiny_lm("gpt2", resid_pdrop=0.5))
    site = Site.parse("L1.post")
    values = lm.activations(IDS, site)[site]
    with lm.patched("L1.post", lm).held() as model:
        model.train()
        seen: list[torch.Tensor] = []
        handle = model.transformer.ln_f.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
        with pytest.raises(InvalidMeasurement, match="no gradient flows to the logits") as _:
            model.lm_head.weight.requires_grad_(False)
            model.transformer.ln_f.requires_grad_(False)
            model(input_ids=IDS)
        handle.remove()
        model.eval()
    torch.testing.assert_close(seen[-1], values, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_leaving_restores_the_model_also_after_an_error(family: str) -> None:
    lm = tiny_lm(family)
    plain = lm.logits(IDS)
    with pytest.raises(KeyboardInterrupt), lm.scaled("L0.mlp", 3).held() as model:
        altered = model(input_ids=IDS).logits
        assert torch.equal(lm.logits(IDS), plain), "the subject itself is measured plainly"
        raise KeyboardInterrupt
    assert float((altered - plain).abs().max()) > 1e-2
    assert untouched(lm.model) == []
    assert torch.equal(lm.model(input_ids=IDS).logits, plain)


def test_where_nothing_trains_the_pass_itself_is_measured() -> None:
    """Receipts as of a run by itself, at the cost of a plain run of the first rows; and where logits are left out, too."""
    ids, rows = torch.from_numpy(some_ids(9, 8)), []
    lm = tiny_lm()
    view, fresh = lm.without([(1, 2)], "zero").scaled("L0.attn", 2.0), lm.without([(1, 1)], "zero")
    wanted = view.logits(ids)
    (own, *_) = reversed(lm.recorder.receipts)
    for options in ({}, {}, {"logits_to_keep": 1}):  # the first one checks the sites too
        first = not rows
        rows.clear()
        handle = lm.model.model.layers[0].register_forward_pre_hook(lambda _, args: rows.append(len(args[0])))
        with torch.no_grad(), view.held() as model:
            for _ in range(2):
                found = model(input_ids=ids, **options).logits
        handle.remove()
        assert float((found - wanted[:, -found.shape[1] :]).abs().max()) < 1e-5
        by_pass, held = lm.recorder.receipts[-4:-2], lm.recorder.receipts[-2:]
        assert [receipt.fired for receipt in (*by_pass, *held)] == [9, 9, 18, 18]
        assert by_pass[1].moved_logits == pytest.approx(own.moved_logits, rel=1e-4)
        if not first and not options:
            assert rows == [4, 9, 9]

    handle = lm.model.model.norm.register_forward_hook(lambda _, __, output: torch.ones_like(output))  # all is lost
    with torch.no_grad(), pytest.raises(InvalidMeasurement, match="does not reach the logits"), fresh.held() as model:
        model(input_ids=ids)
    handle.remove()
    assert untouched(lm.model) == []


def test_what_cannot_be_held_is_refused() -> None:
    lm = tiny_lm()
    with pytest.raises(DeclarationError, match="nothing is to be held"), lm.held():
        pass
    with lm.scaled("L0.mlp", 2).held() as model:
        with pytest.raises(UsageError, match="not inputs_embeds"):
            model(inputs_embeds=torch.zeros(2, 4, 32))
        holes = torch.ones_like(IDS)
        holes[0, 3] = 0
        with pytest.raises(UsageError, match="row 0 has holes"):
            model(input_ids=IDS, attention_mask=holes)
        model(input_ids=IDS, attention_mask=torch.ones_like(IDS))
    model = learning(lm).model
    name = "activation_checkpointing_enable"  # of older versions: gradient_
    getattr(model, name if hasattr(model, name) else name.replace("activation", "gradient"))()
    lm.model.train()
    with pytest.raises(UsageError, match="gradient checkpointing"), lm.scaled("L0.mlp", 2).held() as model:
        model(input_ids=IDS)


# ---- generation

PROMPT = some_ids(3, 6)
OPTIONS: dict[str, Any] = dict(max_new_tokens=5, do_sample=False, pad_token_id=0, eos_token_id=None)


def stepwise(view: LM, steps: int = 5) -> torch.Tensor:
    """Greedy continuation, every token from a whole pass without a cache."""
    ids = torch.from_numpy(PROMPT)
    for _ in range(steps):
        ids = torch.cat([ids, view.logits(ids)[:, -1].argmax(-1)[:, None]], 1)
    return ids


@pytest.mark.parametrize(
    ("family", "cached"), [("gpt2", True), ("llama", True), ("falcon", True), ("gemma2", True), ("llama", False)]
)
def test_generation_at_every_step_is_whole_passes_step_by_step(family: str, cached: bool) -> None:
    lm = tiny_lm(family)
    views = [
        lm.without([(0, 1), (1, 2)], "zero"),
        lm.scaled("L0.mlp", 2.5),
        lm.added("L1.pre", 0.7),
        lm.replaced("L0.post@2", 1.5),
        lm.scaled(["L1.attn", "L0.neurons"], -1),
    ]
    if family in ("gpt2", "llama"):
        views += [
            lm.scaled("L1.H1.q", 3),
            lm.scaled("L1.H1.k", -2),
            lm.scaled("L0.H3.v@1", 0),
            lm.knocked_out("L0.pattern", keys=0, queries="1:"),
            lm.clamped("L1.H2.pattern", 0.9, queries=4, keys=1),
        ]
    plain = lm.generate(PROMPT, use_cache=cached, **OPTIONS)
    assert torch.equal(plain, stepwise(lm))
    moved = 0
    for view in views:
        # Positions and ranges are those of the prompt, so the last view's steps agree only inside it.
        found = view.generate(PROMPT, use_cache=cached, **OPTIONS)
        change = view.changes[-1] if view.changes else view.removals[-1]
        receipt = lm.recorder.receipts[-1]
        assert receipt.intervention == f"{change} (in generation, every step)"
        assert receipt.fired >= 3
        if "pattern" not in str(change):
            assert torch.equal(found, stepwise(view)), str(change)
        moved += not torch.equal(found, plain)
        assert untouched(lm.model) == []
    assert moved >= 4
    assert torch.equal(lm.generate(PROMPT, use_cache=cached, **OPTIONS), plain)


def test_a_cache_that_drops_keys_is_refused() -> None:
    lm = tiny_lm("gemma2")
    for view in (lm.scaled("L0.H3.v@1", 0), lm.knocked_out("L0.H1.pattern", queries="1:", keys=0)):
        with pytest.raises((NotApplicable, UsageError), match=r"6 of 7 positions|among 7 tokens.* 6 keys"):
            view.generate(PROMPT, **OPTIONS)
        assert untouched(lm.model) == []


def test_edges_hold_at_every_step() -> None:
    """Nothing attends to the first token, whichever step asks."""
    lm = tiny_lm("llama")
    with_cache = lm.knocked_out("L0.pattern", queries="1:", keys="token=1")
    prompt = PROMPT.copy()
    prompt[:, 0] = 1
    ids = torch.from_numpy(prompt)
    pairs = np.zeros((12, 12), dtype=bool)
    pairs[1:6, 0] = True
    found = with_cache.generate(prompt, **OPTIONS)
    for step in range(5):
        t = ids.shape[1]
        view = lm.knocked_out("L0.pattern", pairs=pairs[:t, :t])
        ids = torch.cat([ids, view.logits(ids)[:, -1].argmax(-1)[:, None]], 1)
        assert torch.equal(found[:, : t + 1], ids), step


def test_prompt_only_alters_the_prompt_and_what_reads_it() -> None:
    lm = tiny_lm("llama")
    other = some_ids(3, 6, seed=8)
    prompt = torch.from_numpy(PROMPT)
    name = "cache" if "cache" in inspect.signature(lm.model.forward).parameters else "past_key_values"
    for view in (
        lm.patched("L0.post@3", other),
        lm.scaled("L0.post", 2),
        lm.without([(0, 1)], "resample", np.random.default_rng(0)),
    ):
        found = view.generate(PROMPT, when="prompt", **OPTIONS)
        with torch.no_grad():
            with view.held() as model:
                first = model(input_ids=prompt, use_cache=True)
            cache, ids = first[name], first.logits[:, -1].argmax(-1)[:, None]
            wanted = [prompt, ids]
            for _ in range(4):
                ids = lm.model(input_ids=ids, **{name: cache}).logits[:, -1].argmax(-1)[:, None]
                wanted.append(ids)
        assert torch.equal(found, torch.cat(wanted, 1))
        assert lm.recorder.receipts[-1].fired == 3 * len(view.changes or (1,))


def test_beams_and_sampling() -> None:
    lm = tiny_lm("llama")
    options = {**OPTIONS, "num_beams": 3}
    plain = lm.generate(PROMPT, **options)
    found = lm.scaled("L0.mlp", 3).generate(PROMPT, **options)
    assert not torch.equal(found, plain)
    assert torch.equal(lm.scaled("L0.mlp", 1).generate(PROMPT, **options), plain)
    uncached = lm.scaled("L0.mlp", 3).generate(PROMPT, use_cache=False, **options)
    assert torch.equal(found, uncached)
    sampled = {**OPTIONS, "do_sample": True}
    state = torch.random.get_rng_state()
    draws = [lm.scaled("L0.mlp", 3).generate(PROMPT, rng=np.random.default_rng(s), **sampled) for s in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(
    ("make", "when", "options", "message"),
    [
        (lambda lm: lm.scaled("L0.mlp", 2), "always", {}, "'every step' or 'prompt'; 'always'"),
        (lambda lm: lm.patched("L0.mlp", PROMPT), "every step", {}, "use when='prompt' without beams"),
        (lambda lm: lm.patched("L0.mlp", PROMPT), "prompt", {"num_beams": 2}, "without beams"),
        (lambda lm: lm.scaled("L0.mlp", 2), "prompt", {"use_cache": False}, "without a cache"),
        (lambda lm: lm.scaled("L0.mlp", 2), "prompt", {"do_sample": True}, "pass rng="),
        (
            lambda lm: lm.knocked_out("L0.pattern", queries="1:", keys="bos"),
            "every step",
            {"num_beams": 2},
            "keys cannot be named by tokens",
        ),
    ],
)
def test_what_cannot_hold_in_generation(make: Any, when: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        make(tiny_lm()).generate(PROMPT, when, **{**OPTIONS, **options})
