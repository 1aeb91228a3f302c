"""Loading a given model: what is sound loads; every bad input gives one line with what was found and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from claimbench.errors import LoadError, NotApplicable, UsageError
from claimbench.subjects.files import check_path
from claimbench.subjects.lm import require_layers
from claimbench.subjects.loading import live_model, load_model

from saved_models import STORIES, llama, refused, save
from tiny_models import some_ids, tiny_model

pytestmark = pytest.mark.usefixtures("no_network", "settings_stay")


# ---- what is sound


def test_a_sound_model_loads(sound: Path) -> None:
    lm = load_model(sound)
    assert (lm.name, lm.layers, lm.heads, lm.kv_heads, lm.context, lm.vocab) == ("sound", 2, 4, 2, 64, 512)
    assert str(lm.device) == "cpu" and lm.dtype == torch.float32
    assert not lm.model.training and not any(p.requires_grad for p in lm.model.parameters())
    assert lm.recorder.forward_passes == 0 and not lm.recorder.receipts
    assert len(lm.tokens.frequent) > 100
    with torch.no_grad():
        wanted = llama()(torch.arange(20)[None]).logits
    torch.testing.assert_close(lm.logits(torch.arange(20)[None]), wanted)


def test_a_shipped_model_loads_by_name() -> None:
    lm = load_model("stories260K")
    assert (lm.layers, lm.heads, lm.kv_heads, lm.parameters) == (5, 8, 4, 260_032)
    story = lm.tokenizer("Once upon a time, there was a little girl named Lily. She loved to play.")["input_ids"]
    assert float(lm.nll(np.array([story])).mean()) < 2.0


@pytest.mark.parametrize("attn", ["eager", "sdpa"])
def test_the_attention_implementation_can_be_chosen(sound: Path, attn: str) -> None:
    lm = load_model(sound, attn=attn)
    assert lm.model.config._attn_implementation == attn
    ids = np.arange(24).reshape(2, 12)
    torch.testing.assert_close(lm.logits(ids), load_model(sound).logits(ids), atol=1e-5, rtol=1e-5)


def test_shards_load_and_digest_as_one_file_does(sound: Path, tmp_path: Path) -> None:
    sharded = save(llama(), tmp_path / "sharded", max_shard_size="20KB")
    assert len(list(sharded.glob("*.safetensors"))) > 1
    one, other = load_model(sound), load_model(sharded)
    ids = np.arange(24).reshape(2, 12)
    assert torch.equal(one.logits(ids), other.logits(ids))
    assert one.digest == other.digest


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_another_dtype_gives_float32_logits(sound: Path, dtype: str) -> None:
    lm = load_model(sound, dtype=dtype)
    ids = np.arange(24).reshape(2, 12)
    assert str(lm.dtype) == f"torch.{dtype}"
    assert lm.logits(ids).dtype == lm.nll(ids).dtype == torch.float32
    sums = []
    lm.attend(ids, lambda layer, pattern, rows: sums.append(pattern.sum(-1)))
    assert float((torch.stack(sums) - 1).abs().max()) < 2e-2
    view = lm.without([(0, 1)], "mean")
    assert bool(torch.isfinite(view.nll(ids)).all()) and lm.recorder.receipts[-1].wired
    tolerance = {"float64": 1e-4}.get(dtype, 5e-2)
    torch.testing.assert_close(lm.logits(ids), load_model(sound).logits(ids), atol=tolerance, rtol=tolerance)


def test_auto_takes_the_dtype_of_the_weights(tmp_path: Path) -> None:
    path = save(llama().to(torch.bfloat16), tmp_path / "half")
    assert load_model(path, dtype="auto").dtype == torch.bfloat16
    assert load_model(path).dtype == torch.float32


def test_tied_embeddings_are_counted_once_and_load(tmp_path: Path) -> None:
    model = llama(tie_word_embeddings=True)
    lm = load_model(save(model, tmp_path / "tied"))
    untied = load_model(save(llama(tie_word_embeddings=False), tmp_path / "untied"))
    assert lm.parameters == untied.parameters - 512 * 16


# ---- paths


def test_missing_path(tmp_path: Path) -> None:
    line = refused(UsageError, "no such folder", lambda: load_model(tmp_path / "nowhere"))
    assert "check the path" in line and str(tmp_path / "nowhere") in line


@pytest.mark.parametrize("name", ["nobody/nothing", "nothing"])
def test_name_that_is_not_cached(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    line = refused(UsageError, f"model {name}: no such folder", lambda: load_model(name))
    assert "local hub cache" in line and "nothing is downloaded" in line


@pytest.mark.parametrize("path", ["a" * 5000, "~nobody-of-this-name/model", "a b/c\n/d", "", "\x00"])
def test_strange_paths(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((UsageError, LoadError)):
        load_model(path)


def test_a_file(folder: Path) -> None:
    refused(UsageError, "is a file: give the folder", lambda: load_model(folder / "config.json"))


def test_an_empty_folder(tmp_path: Path) -> None:
    refused(UsageError, "is an empty folder", lambda: load_model(tmp_path))


# ---- tokenizer


def test_without_a_tokenizer_only_text_is_missing(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()
    lm = load_model(folder)
    assert lm.tokenizer is None and len(lm.digest) == 64
    ids = np.arange(24).reshape(2, 12)
    assert bool(torch.isfinite(lm.without([(0, 1)], "zero").nll(ids)).all())
    refused(NotApplicable, "has no tokenizer: add tokenizer.json", lambda: lm.tokens)


def test_broken_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{")
    refused(LoadError, "tokenizer in .* cannot be read", lambda: load_model(folder))


def test_tokenizer_of_another_model(tmp_path: Path) -> None:
    path = save(llama(vocab_size=100), tmp_path / "small")
    refused(LoadError, r"embeddings for 0 to 99: they do not belong together", lambda: load_model(path))


# ---- what a claim may need


def test_context_too_short(tmp_path: Path) -> None:
    lm = load_model(save(llama(max_position_embeddings=10), tmp_path / "short"))
    line = refused(NotApplicable, "sequences of 12 tokens are needed", lambda: lm.nll(np.arange(12)[None]))
    assert "holds 10" in line
    assert lm.nll(np.arange(10)[None]).shape == (1, 9)


def test_one_layer_where_two_are_needed(tmp_path: Path) -> None:
    lm = load_model(save(llama(num_hidden_layers=1), tmp_path / "flat"))
    refused(NotApplicable, "needs at least 2 layers.*has 1", lambda: require_layers(lm, 2))
    require_layers(lm, 1)


def test_no_attention_heads(tmp_path: Path) -> None:
    config = transformers.MambaConfig(vocab_size=512, hidden_size=16, num_hidden_layers=2, state_size=4)
    lm = load_model(save(transformers.MambaForCausalLM(config), tmp_path / "mamba"))
    assert lm.layers == 2 and bool(torch.isfinite(lm.nll(np.arange(24).reshape(2, 12))).all())
    refused(NotApplicable, "mamba has no attention heads", lambda: lm.heads)
    refused(NotApplicable, "mamba has no attention heads", lambda: lm.without([(0, 0)], "zero"))


# ---- device, dtype, live models


@pytest.mark.parametrize("device", ["tpu", "cuda:x", "cuda:", "cpu:", "gpu", "", "CUDA"])
def test_unknown_device(sound: Path, device: str) -> None:
    refused(UsageError, "unknown device .*use cpu, cuda", lambda: load_model(sound, device=device))


@pytest.mark.parametrize("device", ["cuda", "cuda:3"])
def test_cuda_that_is_absent(device: str, sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    refused(UsageError, "torch sees 0 CUDA devices: use --device cpu", lambda: load_model(sound, device=device))


def test_mps_that_is_absent(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    refused(UsageError, "no MPS device", lambda: load_model(sound, device="mps"))


@pytest.mark.parametrize("dtype", ["float8", "torch.float32", "int64", ""])
def test_unknown_dtype(sound: Path, dtype: str) -> None:
    refused(UsageError, "unknown dtype .*use float32", lambda: load_model(sound, dtype=dtype))


def test_unknown_attention(sound: Path) -> None:
    refused(LoadError, "cannot be loaded", lambda: load_model(sound, attn="no_such_attention"))


def test_a_live_model_is_checked_in_the_same_way() -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(STORIES, local_files_only=True)
    model = llama().train()
    lm = live_model(model, tokenizer, "mine")
    assert lm.name == "mine" and not model.training and len(lm.tokens.frequent) > 100
    assert len(lm.digest) == 64 and lm.digest == live_model(llama(), tokenizer).digest
    refused(UsageError, "is a str: give a transformers causal language model", lambda: live_model("gpt2"))
    refused(UsageError, "is a Linear", lambda: live_model(torch.nn.Linear(2, 2)))
    broken = llama()
    with torch.no_grad():
        broken.lm_head.weight[0, 0] = torch.nan
    refused(LoadError, "holds NaN", lambda: live_model(broken, tokenizer))


def test_live_models_that_cannot_be_measured() -> None:
    refused(LoadError, "on the meta device: load the weights first", lambda: live_model(llama().to("meta")))

    class Own(torch.nn.Module):
        config: Any = {"layers": 2}  # noqa: RUF012

    refused(UsageError, "is a Own: give a transformers causal language model", lambda: live_model(Own()))


@pytest.mark.parametrize("family", ["gemma2", "gpt_oss"])
def test_a_model_that_was_forced_onto_sdpa_is_refused_where_sdpa_is_wrong(family: str) -> None:
    model = tiny_model(family)
    right = live_model(model).logits(some_ids())
    model.config._attn_implementation = "sdpa"  # the library's own setter would refuse
    if family == "gpt_oss":
        with torch.no_grad():
            wrong = model(torch.from_numpy(some_ids())).logits
        assert float((wrong - right).abs().max()) > 1e-2
    refused(LoadError, 'SDPA attention leaves out: load it with attn_implementation="eager"', lambda: live_model(model))


def test_a_model_made_in_inference_mode_is_measured() -> None:
    with torch.inference_mode():
        model = llama()
    ids = np.arange(24).reshape(2, 12)
    lm = live_model(model)
    for _ in range(2):  # the second time from the kept plain run
        assert bool(torch.isfinite(lm.without([(0, 1)], "mean").nll(ids)).all())


def test_the_language_part_of_a_vision_language_model() -> None:
    text = llama().config.to_dict()
    config = transformers.LlavaConfig(
        text_config=text,
        vision_config={
            "model_type": "clip_vision_model", "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2, "image_size": 28, "patch_size": 14, "projection_dim": 8,
        },
        image_token_index=500,
    )  # fmt: skip
    lm = live_model(transformers.LlavaForConditionalGeneration(config))
    assert (lm.layers, lm.heads, lm.kv_heads, lm.vocab) == (2, 4, 2, 512)
    before = [lm.model.config._attn_implementation, lm.model.config.vision_config._attn_implementation]
    lm.without([(1, 1)], "zero").nll(np.arange(24).reshape(2, 12))
    assert lm.identity.attached == 0 and lm.recorder.receipts[-1].moved_logits > 0
    assert [lm.model.config._attn_implementation, lm.model.config.vision_config._attn_implementation] == before


def test_files_are_checked_without_torch(folder: Path) -> None:
    assert check_path(str(folder)) == folder
    assert check_path("stories260K") == STORIES
