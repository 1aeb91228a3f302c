"""What no instrument can be attached to, what contradicts itself, and what changed under an instrument."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from claimbench.errors import DeclarationError, InvalidMeasurement, NotApplicable, UsageError
from claimbench.interventions.attention import Plan
from claimbench.interventions.instrument import plain_forward
from claimbench.interventions.sites import Site
from claimbench.subjects.lm import LM
from claimbench.subjects.loading import live_model
from claimbench.subjects.tokens import Tokens

from tiny_models import CONTEXT, some_ids, tiny_lm, tiny_model, untouched

IDS = some_ids()


def ask(lm: LM) -> torch.Tensor:
    return lm.scaled("L0.mlp", 2).logits(IDS)


# ---- models


def test_a_compiled_model_is_refused_and_measured_plainly() -> None:
    model = tiny_model("llama")
    wanted = LM(model, tokens=tiny_lm().tokens).logits(IDS)
    whole = LM(torch.compile(model, backend="eager"), tokens=tiny_lm().tokens)
    with pytest.raises(NotApplicable, match=r"llama is compiled \(torch.compile\).*before it is compiled"):
        ask(whole)
    part = tiny_lm()
    part.model.model.layers[1].mlp._compiled_call_impl = lambda *_: None  # what `Module.compile` leaves
    with pytest.raises(NotApplicable, match="is compiled"):
        ask(part)
    torch.testing.assert_close(wanted, tiny_lm().logits(IDS))


@pytest.mark.parametrize(
    ("spread", "message"),
    [
        ({"model.embed": 0, "model.layers": 1}, "llama is spread over 0, 1: load it whole on one device"),
        ({"model.embed": "cpu", "lm_head": "disk"}, "spread over cpu, disk"),
        ({"": "meta"}, "spread over meta"),
    ],
)
def test_a_sharded_model_is_refused(spread: dict[str, Any], message: str) -> None:
    lm = tiny_lm()
    lm.model.hf_device_map = spread
    with pytest.raises(NotApplicable, match=message):
        ask(lm)
    lm.model.hf_device_map = {"": "cpu"}
    ask(lm)


def test_weights_on_several_devices_are_refused() -> None:
    lm = tiny_lm()
    lm.model.lm_head.weight = torch.nn.Parameter(torch.empty(61, 32, device="meta"))
    with pytest.raises(NotApplicable, match="spread over cpu, meta"):
        _ = lm.instrument


class Int8(torch.nn.Module):
    """A linear map whose weights are kept in 8 bits, as quantisation libraries put in place of the model's own."""

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        scale = linear.weight.abs().amax(1, keepdim=True) / 127
        self.weight = torch.nn.Parameter((linear.weight / scale).round().to(torch.int8), requires_grad=False)
        self.scale, self.bias = scale, linear.bias

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(inputs, self.weight.to(inputs.dtype) * self.scale, self.bias)


class Adapted(torch.nn.Module):
    """A linear map with a low-rank one beside it, as adapter libraries put in place of the model's own."""

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        self.base_layer = linear
        self.lora_A = torch.nn.Linear(linear.in_features, 2, bias=False)
        self.lora_B = torch.nn.Linear(2, linear.out_features, bias=False)

    @property
    def weight(self) -> torch.Tensor:
        return self.base_layer.weight

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.base_layer(inputs) + self.lora_B(self.lora_A(inputs))
        return found


def replaced_linears(model: Any, by: Any, family: str) -> None:
    inside = model.model.layers if family == "llama" else model.transformer.h
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        for layer in inside:
            for part in list(layer.modules()):
                for name, linear in list(part.named_children()):
                    if isinstance(linear, torch.nn.Linear):
                        setattr(part, name, by(linear).requires_grad_(False).eval())


def bears_everything(lm: LM, family: str) -> None:
    """Heads against a hook on the projection, and the stream, neurons and attention against themselves."""
    plain = lm.logits(IDS)
    size = lm.instrument.head_dim

    def zero(_: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        changed = args[0].clone()
        changed[..., size : 2 * size] = 0
        return (changed, *args[1:])

    part = next(
        module for name, module in lm.model.named_modules() if name.endswith(("layers.1.self_attn.o_proj", "h.1.attention.dense"))
        or name.endswith("h.1.self_attention.dense")
    )  # fmt: skip
    handle = part.register_forward_pre_hook(zero)
    wanted = lm.logits(IDS)
    handle.remove()
    torch.testing.assert_close(lm.without([(1, 1)], "zero").logits(IDS), wanted, atol=1e-5, rtol=1e-4)
    sites = ["L0.mlp", "L1.attn", "L1.post@-1", "L0.neurons"]
    torch.testing.assert_close(lm.patched(sites, lm).logits(IDS), plain, atol=1e-5, rtol=1e-5)
    assert float((lm.scaled("L0.N3,17.neurons", -2).logits(IDS) - plain).abs().max()) > 1e-3
    if family == "llama":
        assert float((lm.knocked_out("L1.H2.pattern", "1:", 0).logits(IDS) - plain).abs().max()) > 1e-3
    assert untouched(lm.model) == []


@pytest.mark.parametrize("by", [Int8, Adapted])
@pytest.mark.parametrize("family", ["llama", "falcon"])
def test_quantised_and_adapted_layers_bear_everything(by: Any, family: str) -> None:
    model = tiny_model(family)
    replaced_linears(model, by, family)
    bears_everything(LM(model, tokens=tiny_lm().tokens), family)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_peft_model_bears_everything() -> None:
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj", "o_proj", "down_proj"], init_lora_weights=False)
    model = peft.get_peft_model(tiny_model("llama"), config)
    lm = live_model(model, name="adapted")
    bears_everything(lm, "llama")
    with lm.scaled("L1.H1.q", 2).held() as held:
        held(input_ids=torch.from_numpy(IDS), labels=torch.from_numpy(IDS)).loss.backward()
    assert {name.split(".")[-3] for name, weight in model.named_parameters() if weight.grad is not None} == {"lora_A", "lora_B"}
    options: dict[str, Any] = dict(max_new_tokens=3, do_sample=False, pad_token_id=0, eos_token_id=None)
    assert lm.scaled("L0.mlp", 2).generate(IDS, **options).shape == (6, 15)
    with model.disable_adapter():
        torch.testing.assert_close(lm.logits(IDS), tiny_lm().logits(IDS), atol=1e-5, rtol=1e-5)
    merged = lm.logits(IDS)
    torch.testing.assert_close(live_model(model.merge_and_unload()).logits(IDS), merged, atol=1e-5, rtol=1e-4)


def test_a_torchao_model_bears_everything() -> None:
    quantization = pytest.importorskip("torchao.quantization")
    model = tiny_model("llama")
    quantization.quantize_(model, quantization.Int8WeightOnlyConfig())
    bears_everything(LM(model, tokens=tiny_lm().tokens), "llama")


def test_adapters_that_add_tokens_are_refused() -> None:
    lm = tiny_lm()
    lm.model.peft_config = {"default": SimpleNamespace(is_prompt_learning=True, peft_type=SimpleNamespace(value="PREFIX_TUNING"))}
    with pytest.raises(NotApplicable, match=r"adds virtual tokens \(PREFIX_TUNING\)"):
        ask(lm)


# ---- a model that changes


def test_modules_that_change_under_an_instrument_are_noticed() -> None:
    lm = tiny_lm()
    ask(lm)
    replaced_linears(lm.model, Adapted, "llama")
    with pytest.raises(InvalidMeasurement, match=r"modules of llama changed since .* \(new: Adapted.*make a new subject"):
        ask(lm)
    assert untouched(lm.model) == []
    ask(LM(lm.model, tokens=lm.tokens))
    other = tiny_lm()
    ask(other)
    mlp = other.model.model.layers[0].mlp
    mlp._compiled_call_impl = mlp.forward
    with pytest.raises(InvalidMeasurement, match="changed since the instrument was attached"):
        ask(other)


def test_weights_that_change_while_a_view_runs_are_noticed() -> None:
    lm = tiny_lm()
    lm.batch_size = 3
    for view in (lm.scaled("L0.mlp", 2), lm.without([(0, 1)], "mean")):

        def step(*_: Any) -> None:
            lm.model.model.norm.weight.mul_(1.01)

        with pytest.raises(InvalidMeasurement, match="weights of the model changed while it ran"):
            view.attend(IDS, step)
    lm.model.model.norm.weight.mul_(1.01)
    ask(lm)  # between runs they may


def test_the_digest_follows_the_weights() -> None:
    lm = tiny_lm()
    given = LM(lm.model, tokens=lm.tokens, digest="given")
    before = lm.digest
    assert given.digest == "given" and lm.digest == before
    lm.model.lm_head.weight[3, 4] += 1
    assert lm.digest != before and given.digest == lm.digest
    lm.model.lm_head.weight[3, 4] -= 1


# ---- contradictions, and nothing


@pytest.mark.parametrize(
    "make",
    [
        lambda lm: lm.without([(1, 2), (0, 1)], "zero").clamped("L1.H2.pattern", 0.5, keys=0),
        lambda lm: lm.knocked_out("L1.H2.pattern", "1:", 0).without([(1, 2)], "mean"),
        lambda lm: lm.scaled("L1.G0.q", 2).without_groups([(1, 0)], "zero"),
        lambda lm: lm.replaced("L0.H3.z", 0.0).patched("L0.H3.v", IDS),
    ],
)
def test_changing_the_inside_of_a_head_whose_output_is_replaced_is_refused(make: Any) -> None:
    with pytest.raises(DeclarationError, match=r"contradicts '.*', which replaces the outputs of these heads"):
        make(tiny_lm())


def test_what_only_overlaps_holds_in_the_order_in_which_it_was_written() -> None:
    lm = tiny_lm()
    one, two = torch.ones(32), torch.full((32,), 2.0)
    view = lm.replaced("L0.mlp", one).replaced("L0.mlp", two)
    assert torch.equal(view.logits(IDS), lm.replaced("L0.mlp", two).logits(IDS))
    assert torch.equal(
        lm.replaced("L0.mlp", one).added("L0.mlp", one).logits(IDS), lm.replaced("L0.mlp", two).logits(IDS)
    )
    # A part of the heads, or of the places, is no contradiction.
    lm.without([(1, 2)], "zero").knocked_out("L1.pattern", "1:", 0).logits(IDS)
    lm.replaced("L1.H2.z@3", 0.0).scaled("L1.H2.q", 2).logits(IDS)


@pytest.mark.parametrize("family", ["gpt2", "llama", "falcon", "gemma2", "mamba"])
def test_an_empty_intervention_is_the_plain_model_bit_for_bit(family: str) -> None:
    lm, ids = tiny_lm(family), torch.from_numpy(IDS)
    plain = lm.model(input_ids=ids).logits
    assert torch.equal(lm.plain().logits(IDS), plain)
    assert torch.equal(plain_forward(lm.model, ids).logits, plain)
    if family == "mamba":
        return
    assert torch.equal(lm.instrument.forward(ids, Plan()), plain)
    nothing = [lm.scaled("L0.post", 1.0), lm.added("L1.mlp@-1", 0.0)]
    assert all(torch.equal(view.logits(IDS), plain) for view in nothing)
    for empty in (lambda: lm.without([], "zero"), lambda: lm.scaled([], 2), lambda: lm.added("L0.mlp", torch.ones(0))):
        with pytest.raises(DeclarationError, match=r"empty set|do not fit"):
            empty()


# ---- while the model is used from outside


def test_a_model_that_is_held_and_never_called_is_no_intervention() -> None:
    lm = tiny_lm()
    message = "scaled L0.mlp by 2: the model was never called while this was held"
    with pytest.raises(InvalidMeasurement, match=message), lm.scaled("L0.mlp", 2).held():
        pass


def test_vectors_to_which_no_gradient_flows_are_named() -> None:
    lm = tiny_lm()
    vector = torch.zeros(32, requires_grad=True)
    view = lm.added("L0.mlp", vector).replaced("L0.mlp", torch.ones(32)).added("L1.mlp", torch.ones(32, requires_grad=True))
    with pytest.raises(InvalidMeasurement, match=r"no gradient flows to the values of 'added to L0\.mlp'"), view.held() as model:
        model(input_ids=torch.from_numpy(IDS))
    only = lm.added("L0.mlp", vector).replaced("L1.post", torch.ones(32))
    with pytest.raises(InvalidMeasurement, match="no gradient flows to the logits"), only.held() as model:
        model(input_ids=torch.from_numpy(IDS))
    with lm.added("L0.mlp", vector).held() as model:
        model(input_ids=torch.from_numpy(IDS)).logits.sum().backward()
    assert vector.grad is not None


def test_sequences_beyond_the_context() -> None:
    lm = tiny_lm()
    message = f"of {CONTEXT + 1} tokens are needed; the context of tiny llama holds {CONTEXT}"
    with pytest.raises(NotApplicable, match=message), lm.scaled("L0.mlp", 2).held() as model:
        model(input_ids=torch.ones(1, CONTEXT + 1, dtype=torch.long))
    with pytest.raises(NotApplicable, match=f"of {CONTEXT + 8} tokens would be generated"):
        lm.scaled("L0.mlp", 2).generate(IDS, max_new_tokens=CONTEXT - 4, pad_token_id=0)
    longer = tiny_lm(max_position_embeddings=CONTEXT - 40, seed=1)
    with pytest.raises(NotApplicable, match="context of tiny llama holds 8"):
        lm.patched("L0.mlp", longer).logits(IDS)


def test_a_source_with_other_words_is_refused() -> None:
    lm, other = tiny_lm(), LM(tiny_model("llama", 1, vocab_size=20), tokens=Tokens(np.arange(3, 20)))
    with pytest.raises(UsageError, match="ids must be 0 to 19"):
        lm.patched("L0.mlp", other).logits(IDS)
    few = np.minimum(IDS, 19)
    site = Site.parse("L0.mlp")
    patched = lm.patched(site, other).activations(few, site)[site]
    torch.testing.assert_close(patched, other.activations(few, site)[site])
