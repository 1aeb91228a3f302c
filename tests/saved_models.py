"""Models saved to folders, to be loaded or broken."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from claimbench.errors import ClaimbenchError
from claimbench.subjects.shipped import shipped_models

STORIES = shipped_models()["stories260K"]


def llama(**changes: Any) -> Any:
    values = dict(
        vocab_size=512, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, pad_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return transformers.LlamaForCausalLM(transformers.LlamaConfig(**{**values, **changes})).eval()


def save(model: Any, folder: Path, tokenizer: bool = True, **options: Any) -> Path:
    model.save_pretrained(folder, **options)
    if tokenizer:
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(STORIES / name, folder / name)
    return folder


def refused(error: type[ClaimbenchError], text: str, act: Callable[[], Any]) -> str:
    """The message of the error, which must be one line."""
    with pytest.raises(error, match=text) as found:
        act()
    line = str(found.value)
    assert "\n" not in line and len(line) < 400
    return line


def edit_json(path: Path, **changes: Any) -> None:
    values = json.loads(path.read_text())
    values.update(changes)
    path.write_text(json.dumps({name: value for name, value in values.items() if value is not None}))
