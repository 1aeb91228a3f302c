"""Identity of a network: its configuration and its weights, whatever files they came from."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

#: Configuration entries that name files, versions and ways of computing, not the network.
_INCIDENTAL = ("_name_or_path", "transformers_version", "attn_implementation", "_attn_implementation", "dtype", "torch_dtype")


def model_digest(model: Any) -> str:
    """sha256 over configuration and tensors (names, dtypes, shapes, bytes) of a live model."""
    found = hashlib.sha256()
    config = {name: value for name, value in model.config.to_dict().items() if name not in _INCIDENTAL}
    found.update(json.dumps(config, sort_keys=True, default=repr).encode())
    for name, tensor in sorted(model.state_dict().items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().flatten()
        found.update(flat.view(_bytes()).numpy().tobytes() if flat.numel() else b"")
    return found.hexdigest()


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def _bytes() -> Any:
    import torch

    return torch.uint8
