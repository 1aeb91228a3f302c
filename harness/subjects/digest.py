"""Identity of a network: its configuration and its weights, whatever files they came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: Configuration entries that name files, versions and ways of computing, not the network.
_INCIDENTAL = {
    *("_name_or_path", "transformers_version", "dtype", "torch_dtype"),
    *("attn_implementation", "_attn_implementation"),
}
_BLOCK = 1 << 20


def model_digest(model: Any) -> str:
    """sha256 over configuration and tensors (names, dtypes, shapes, bytes) of a live model."""
    import torch

    found = hashlib.sha256(_plain_config(model.config.to_dict()))
    for name, tensor in sorted(model.state_dict().items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().flatten()
        if flat.numel():
            found.update(memoryview(flat.view(torch.uint8).numpy()))
    return found.hexdigest()


def folder_digest(folder: Path) -> str:
    """sha256 over `config.json` and the tensors of all safetensors files, by name, however they are spread over files.

    The folder must hold readable safetensors. Not equal to `model_digest` of the model loaded from it (names differ).
    """
    found = hashlib.sha256(_plain_config(json.loads((folder / "config.json").read_text(encoding="utf-8"))))
    tensors: dict[str, tuple[Path, int, Mapping[str, Any]]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size))
        tensors |= {name: (path, 8 + size, about) for name, about in header.items() if name != "__metadata__"}
    for name, (path, begin, about) in sorted(tensors.items()):
        found.update(f"{name} {about['dtype']} {about['shape']}".encode())
        first, last = about["data_offsets"]
        with path.open("rb") as file:
            file.seek(begin + first)
            left = last - first
            while left and (block := file.read(min(left, _BLOCK))):
                found.update(block)
                left -= len(block)
    return found.hexdigest()


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def combined(*parts: str) -> str:
    """sha256 over texts, each told from the next."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _plain_config(config: Mapping[str, Any]) -> bytes:
    kept = {name: value for name, value in config.items() if name not in _INCIDENTAL}
    return json.dumps(kept, sort_keys=True, default=repr).encode()
