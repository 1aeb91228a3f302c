"""Files of a given model: what can be said of them before anything heavy is imported, each failure in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import LoadError, UsageError
from .shipped import shipped_models

_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack")
_TOKENIZER = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "*.tiktoken")


def check_path(path: str) -> Path:
    """The folder of a model given by path, or by name from the shipped ones or the local hub cache; files are checked.

    Raises:
        UsageError: no such folder, a file, an empty folder.
        LoadError: no config.json, no weights, pickled or damaged weights, an encoder-decoder model.
    """
    folder = _existing(path) or _by_name(path)
    if folder.is_file():
        raise UsageError(f"model {path} is a file: give the folder that holds config.json and the safetensors weights")
    if not any(folder.iterdir()):
        raise UsageError(f"model {path} is an empty folder: it must hold config.json and safetensors weights")
    _check_config(folder)
    _check_weights(folder)
    return folder


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder holds the files of a tokenizer."""
    return any(next(folder.glob(pattern), None) is not None for pattern in _TOKENIZER)


def _existing(path: str) -> Path | None:
    try:
        folder = Path(path).expanduser()
        return folder if folder.exists() else None
    except (OSError, RuntimeError):  # a name longer than any file's, the home of a user that does not exist
        return None


def _by_name(name: str) -> Path:
    if name in shipped_models():
        return shipped_models()[name]
    looks_like_a_path = name.startswith((".", "/", "~")) or name.count("/") > 1 or "\\" in name
    if not looks_like_a_path and (cached := _cached(name)) is not None:
        return cached
    where = "" if looks_like_a_path else ", and the local hub cache has no model of that name"
    fix = (
        "check the path"
        if looks_like_a_path
        else "download it first (nothing is downloaded here) or give the path of its folder"
    )
    shown = name if len(name) <= 200 and name.isprintable() else f"{name[:200]!r}"
    raise UsageError(f"model {shown}: no such folder{where}: {fix}")


def _cached(name: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, "config.json")
    except (HFValidationError, OSError, ValueError):  # no possible name of a model
        return None
    return Path(found).parent if isinstance(found, str) else None


def _check_config(folder: Path) -> None:
    path = folder / "config.json"
    if not path.is_file():
        if (folder / "adapter_config.json").is_file():
            raise LoadError(f"{folder} holds an adapter and no model: merge it into its base model and save that")
        raise LoadError(f"{folder} has no config.json: is it the folder of a Hugging Face model?")
    config = read_json(path)
    if config.get("is_encoder_decoder"):
        raise LoadError(
            f"{folder} is an encoder-decoder model ({config.get('model_type')}): claims need a causal decoder"
        )


def _check_weights(folder: Path) -> None:
    weights = sorted(folder.glob("*.safetensors"))
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        places = read_json(index).get("weight_map")
        if not isinstance(places, dict) or not places:
            raise LoadError(f"{index} does not say which file holds which weight: download it again")
        listed = set(places.values())
        if missing := sorted(name for name in listed if not (folder / str(name)).is_file()):
            raise LoadError(
                f"{folder} lacks {len(missing)} of {len(listed)} weight files ({missing[0]}, ...): download it again"
            )
    if not weights:
        pickled = sorted(found.name for pattern in _PICKLED for found in folder.glob(pattern))
        if pickled:
            raise LoadError(
                f"{folder} holds pickled weights only ({pickled[0]}): reading them can run code; use safetensors"
            )
        if found := next(folder.glob("*.gguf"), None):
            raise LoadError(f"{folder} holds GGUF weights only ({found.name}): use the model's safetensors version")
        raise LoadError(f"{folder} has a config and no weights: add its *.safetensors files")
    from safetensors import SafetensorError, safe_open

    for path in weights:
        try:
            with safe_open(path, framework="np") as file:
                file.keys()
        except (SafetensorError, OSError, ValueError) as error:
            raise LoadError(
                f"{path} is damaged or cut short ({str(error).splitlines()[0]}): download it again"
            ) from None


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; LoadError when it is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError):
        found = None
    if not isinstance(found, dict):
        raise LoadError(f"{path} is no valid JSON object: download it again")
    return found
