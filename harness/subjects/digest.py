"""Identity of a network: its class, configuration and weights, whatever files and dtype they came in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

#: Configuration entries that name files, versions and ways of computing or answering, not the network.
_INCIDENTAL = {
    *("_name_or_path", "transformers_version", "dtype", "torch_dtype", "architectures"),
    *("attn_implementation", "_attn_implementation", "use_cache", "output_attentions", "output_hidden_states", "return_dict"),
}
#: Numbers that are brought to the CPU and hashed at once, so that no weight is copied whole.
_BLOCK = 1 << 22


def model_digest(model: Any) -> str:
    """sha256 over class, configuration and weights (names, shapes, values) of a model in memory.

    Equal for a live model and for the same one loaded from its folder: floating-point values count as float32 (as float64
    where float32 cannot hold them), and of weights that are tied the first name stands for all.
    """
    found = hashlib.sha256(type(model).__name__.encode() + _plain_config(model.config.to_dict()))
    for name, tensor in _weights(model):
        dtype = _held_in(tensor)
        found.update(f"{name} {dtype} {tuple(tensor.shape)}".encode())
        for block in _blocks(tensor):
            found.update(block.to(dtype).cpu().view(torch.uint8).numpy().data)
    return found.hexdigest()


def _weights(model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Weights and lasting buffers by name, each once."""
    seen = set()
    for name, tensor in sorted(model.state_dict().items()):
        place = (tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype)
        if not tensor.numel() or place not in seen:
            seen.add(place)
            yield name, tensor


def _held_in(tensor: torch.Tensor) -> torch.dtype:
    """The dtype in which the values of a tensor are told, the same for all that hold these values exactly."""
    if not tensor.is_floating_point():
        return tensor.dtype
    if tensor.dtype == torch.float64 and not all(torch.equal(block.float().double(), block) for block in _blocks(tensor)):
        return torch.float64
    return torch.float32


def _blocks(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    flat = tensor.detach().contiguous().flatten()
    return (flat[begin : begin + _BLOCK] for begin in range(0, flat.numel(), _BLOCK))


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def combined(*parts: str) -> str:
    """sha256 over texts, each told from the next."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _plain_config(config: Mapping[str, Any]) -> bytes:
    return json.dumps(_without_incidental(config), sort_keys=True, default=repr).encode()


def _without_incidental(value: Any) -> Any:
    """A configuration, and those inside it, without what is not of the network."""
    if not isinstance(value, Mapping):
        return value
    return {name: _without_incidental(inner) for name, inner in value.items() if name not in _INCIDENTAL}
