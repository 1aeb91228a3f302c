"""Folders that cannot be loaded: configuration and weights, each with one line of what was found and what to do."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from claimbench.errors import LoadError
from claimbench.subjects.loading import live_model, load_model

from saved_models import STORIES, edit_json, llama, refused, save

pytestmark = pytest.mark.usefixtures("no_network", "settings_stay")


# ---- configuration


def test_no_config(folder: Path) -> None:
    (folder / "config.json").unlink()
    refused(LoadError, "has no config.json", lambda: load_model(folder))


def test_an_adapter_alone(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "gpt2"}')
    shutil.copy(STORIES / "model.safetensors", tmp_path / "adapter_model.safetensors")
    refused(LoadError, "adapter and no model: merge it", lambda: load_model(tmp_path))


@pytest.mark.parametrize("text", ["{", "[]", "\xff\xfe", ""])
def test_config_that_is_no_json_object(folder: Path, text: str) -> None:
    (folder / "config.json").write_bytes(text.encode("latin-1"))
    refused(LoadError, "no valid JSON object", lambda: load_model(folder))


def test_config_without_a_model_type(folder: Path) -> None:
    edit_json(folder / "config.json", model_type=None, architectures=None)
    refused(LoadError, "names no model_type", lambda: load_model(folder))


def test_config_of_nonsense_values(folder: Path) -> None:
    edit_json(folder / "config.json", hidden_size="wide")
    refused(LoadError, "no valid llama config", lambda: load_model(folder))


def test_unknown_architecture(folder: Path) -> None:
    edit_json(folder / "config.json", model_type="gpt-of-next-year", architectures=["NextForCausalLM"])
    refused(LoadError, "unknown model type 'gpt-of-next-year': upgrade", lambda: load_model(folder))


def test_remote_code_is_never_run(folder: Path, tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    (folder / "configuration_own.py").write_text(f"open({str(trace)!r}, 'w').close()\n")
    edit_json(
        folder / "config.json",
        model_type="own",
        auto_map={"AutoConfig": "configuration_own.OwnConfig", "AutoModelForCausalLM": "configuration_own.Own"},
    )
    refused(LoadError, "needs code of its own .*never run", lambda: load_model(folder))
    assert not trace.exists()


def test_remote_code_beside_a_known_architecture_is_ignored(folder: Path, tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    (folder / "modeling_own.py").write_text(f"open({str(trace)!r}, 'w').close()\n")
    edit_json(folder / "config.json", auto_map={"AutoModelForCausalLM": "modeling_own.Own"})
    assert load_model(folder).layers == 2
    assert not trace.exists()


def test_vision_model(tmp_path: Path) -> None:
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=8, patch_size=4
    )
    save(transformers.ViTModel(config), tmp_path / "vit", tokenizer=False)
    refused(LoadError, "vit model and no causal language model", lambda: load_model(tmp_path / "vit"))
    refused(LoadError, "no causal language model", lambda: live_model(transformers.ViTModel(config)))


@pytest.mark.parametrize("name", ["t5", "bart"])
def test_encoder_decoder_model(name: str, tmp_path: Path) -> None:
    if name == "t5":
        model: Any = transformers.T5ForConditionalGeneration(
            transformers.T5Config(vocab_size=512, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
        )
    else:
        model = transformers.BartForConditionalGeneration(
            transformers.BartConfig(
                vocab_size=512, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
                decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=32,
            )
        )  # fmt: skip
    save(model, tmp_path / name)
    refused(LoadError, "encoder-decoder model", lambda: load_model(tmp_path / name))
    refused(LoadError, "encoder-decoder model", lambda: live_model(model))


def test_model_that_sees_the_future(tmp_path: Path) -> None:
    config = transformers.BertConfig(
        vocab_size=512, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    save(transformers.BertLMHeadModel(config), tmp_path / "bert")
    refused(LoadError, "no causal model: a later token changes earlier logits", lambda: load_model(tmp_path / "bert"))


def test_base_model_without_a_language_model_head(tmp_path: Path) -> None:
    base = llama().model
    refused(LoadError, "gives no logits", lambda: live_model(base))
    save(base, tmp_path / "base")
    refused(LoadError, "lacks 1 weights.*random", lambda: load_model(tmp_path / "base"))


# ---- weights


def test_no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    refused(LoadError, "has a config and no weights", lambda: load_model(folder))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "tf_model.h5"])
def test_pickled_weights_alone(folder: Path, name: str) -> None:
    (folder / "model.safetensors").rename(folder / name)
    line = refused(LoadError, "pickled weights only", lambda: load_model(folder))
    assert name in line and "safetensors" in line


def test_a_pickle_beside_safetensors_is_not_read(folder: Path, tmp_path: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    assert load_model(folder).layers == 2


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, -1])
def test_truncated_weights(folder: Path, keep: float) -> None:
    path = folder / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep) if isinstance(keep, float) else keep])
    refused(LoadError, "damaged or cut short.*download it again", lambda: load_model(folder))


def test_corrupt_header(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(b"\xff" * 8 + path.read_bytes()[8:])
    refused(LoadError, "damaged or cut short", lambda: load_model(folder))


def test_missing_shard(tmp_path: Path) -> None:
    sharded = save(llama(), tmp_path / "sharded", max_shard_size="20KB")
    gone = sorted(sharded.glob("*.safetensors"))[1]
    gone.unlink()
    line = refused(LoadError, r"lacks 1 of \d+ weight files", lambda: load_model(sharded))
    assert gone.name in line


def test_broken_index_of_shards(tmp_path: Path) -> None:
    sharded = save(llama(), tmp_path / "sharded", max_shard_size="20KB")
    index = sharded / "model.safetensors.index.json"
    index.write_text('{"weight_map": ["x"]}')
    refused(LoadError, "index", lambda: load_model(sharded))
    index.write_text("{")
    refused(LoadError, "no valid JSON object", lambda: load_model(sharded))


def test_lacking_weights_are_not_drawn_at_random(folder: Path) -> None:
    from safetensors.numpy import load_file, save_file

    path = folder / "model.safetensors"
    tensors = load_file(path)
    del tensors["model.layers.1.self_attn.q_proj.weight"]
    save_file(tensors, path, {"format": "pt"})
    refused(LoadError, "lacks 1 weights.*layers.1.self_attn.q_proj", lambda: load_model(folder))


def test_weights_of_another_shape(folder: Path) -> None:
    edit_json(folder / "config.json", intermediate_size=32)
    refused(LoadError, "mlp|shape|size", lambda: load_model(folder))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(folder: Path, value: float) -> None:
    from safetensors.numpy import load_file, save_file

    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors["model.layers.1.mlp.up_proj.weight"][3, 2] = value
    save_file(tensors, path, {"format": "pt"})
    refused(LoadError, "layers.1.mlp.up_proj.weight holds NaN or infinity", lambda: load_model(folder))


def test_logits_that_are_not_finite() -> None:
    model = llama()
    with torch.no_grad():
        model.lm_head.weight.fill_(3e38)
        model.model.norm.weight.fill_(3e38)
    refused(LoadError, "logits that are not finite", lambda: live_model(model))
