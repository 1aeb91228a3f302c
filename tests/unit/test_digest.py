"""The digest of a network: one for a live model and for its folder, another for any change, and measurements shared by it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from claimbench.interventions.heads import derangement
from claimbench.running.item import Subject
from claimbench.subjects import digest as room
from claimbench.subjects.digest import model_digest
from claimbench.subjects.loading import live_model, load_model

from running_fakes import declared, item, session
from saved_models import STORIES, edit_json, llama, save
from tiny_models import FAMILIES, tiny_model


def gpt2() -> Any:
    config = transformers.GPT2Config(
        vocab_size=512, n_positions=64, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return transformers.GPT2LMHeadModel(config).eval()


MAKE = {"gpt2": gpt2, "llama": llama}


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return transformers.AutoTokenizer.from_pretrained(STORIES, local_files_only=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("name", MAKE)
def test_a_live_model_and_its_folder_have_one_digest(name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    """Live as made, as loaded by its user, and loaded by path in one file or in shards; in whatever dtype it is held."""
    live = MAKE[name]().to(dtype)
    before = live_model(live).digest
    folder = save(live, tmp_path / "whole", tokenizer=False)
    sharded = save(live, tmp_path / "shards", tokenizer=False, max_shard_size="20KB")
    assert len(list(sharded.glob("*.safetensors"))) > 1
    users = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    held = [(folder, "auto"), (sharded, "float32"), (folder, "float64")]
    found = [live_model(users).digest, live_model(live.float()).digest, *(load_model(p, dtype=d).digest for p, d in held)]
    assert set(found) == {before}


@pytest.mark.parametrize("family", FAMILIES)
def test_of_every_family(family: str, tmp_path: Path) -> None:
    live = tiny_model(family)
    before = model_digest(live)
    live.save_pretrained(tmp_path)
    assert model_digest(transformers.AutoModelForCausalLM.from_pretrained(tmp_path)) == before


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64])
@pytest.mark.parametrize("name", MAKE)
def test_a_change_of_any_weight_changes_it(name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """The smallest change that the dtype can hold, in the last number of each weight, however weights are cut for hashing."""
    monkeypatch.setattr(room, "_BLOCK", 7)
    model = MAKE[name]().to(dtype)
    seen = {model_digest(model)}
    weights = dict(model.named_parameters())
    for weight in weights.values():
        last = weight.data.view(-1)[-1:]
        last.copy_(torch.nextafter(last, torch.full_like(last, torch.inf)))
        seen.add(model_digest(model))
    assert len(seen) == 1 + len(weights)


def test_weights_that_are_exchanged_change_it() -> None:
    model = llama()
    before = model_digest(model)
    one, other = (layer.self_attn.q_proj for layer in model.model.layers)
    one.weight, other.weight = other.weight, one.weight
    assert model_digest(model) != before


def test_rounding_gives_another_network(tmp_path: Path) -> None:
    folder = save(llama(), tmp_path / "model", tokenizer=False)
    rounded = load_model(folder, dtype="bfloat16").digest
    assert rounded != load_model(folder).digest
    assert rounded == load_model(save(llama().to(torch.bfloat16), tmp_path / "rounded", tokenizer=False)).digest


def test_of_tied_weights_one_stands_for_all() -> None:
    tied, again = (llama(tie_word_embeddings=True) for _ in range(2))
    assert model_digest(tied) == model_digest(again)
    with torch.no_grad():
        tied.lm_head.weight[7, 3] += 1
    assert model_digest(tied) != model_digest(again)


def test_a_configuration_counts_where_it_changes_the_network(tmp_path: Path) -> None:
    folder = save(llama(), tmp_path / "model", tokenizer=False)
    before = load_model(folder).digest
    edit_json(folder / "config.json", transformers_version="4.0", use_cache=False, architectures=None, dtype="float64")
    assert load_model(folder).digest == before
    edit_json(folder / "config.json", rms_norm_eps=1e-5)
    assert load_model(folder).digest == live_model(llama(rms_norm_eps=1e-5)).digest != before


def test_a_class_of_one_s_own_is_another_network() -> None:
    class Mine(transformers.LlamaForCausalLM):
        pass

    model = llama()
    before = model_digest(model)
    model.__class__ = Mine
    assert model_digest(model) != before


def second_half_matters(lm: Any, rng: Any) -> float:
    """Nats by which other first halves change the loss of the second half."""
    ids = rng.choice(lm.tokens.frequent, size=(6, 12))
    other = ids.copy()
    other[:, :6] = ids[derangement(6, 1), :6]
    return float((lm.nll(other) - lm.nll(ids))[:, 6:].abs().mean())


def test_what_is_measured_live_is_there_when_the_folder_is_given(tmp_path: Path, tokenizer: Any) -> None:
    dtype = "bfloat16"
    folder = save(llama().to(getattr(torch, dtype)), tmp_path / "model")
    users = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    made = declared(second_half_matters)
    live = session(tmp_path, live={"mine": live_model(users, tokenizer, "mine")}, dtype=dtype)
    measured = live.measurer.replicate(item(made, "mine", "model"), 0)
    assert measured is not None and measured.fatal is None
    for asked in (dtype, "auto"):
        given = item(made, "model", "model")
        given = type(given)(made, given.claim_id, Subject("model", "model", str(folder)))
        assert session(tmp_path, dtype=asked).measurer.replicate(given, 0, measure=False) == measured


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    transformers.utils.logging.disable_progress_bar()
    yield
    transformers.utils.logging.enable_progress_bar()
