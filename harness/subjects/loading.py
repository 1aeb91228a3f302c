"""Loading a given model: every check before anything is measured, each failure one line that names the fix."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import LoadError, NotApplicable, UsageError
from .digest import model_digest
from .lm import LM
from .tokens import tokens_of

_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack")
SHORTEST_CONTEXT = 16


def check_path(path: str) -> None:
    """Raise UsageError or LoadError for a path that cannot hold a usable model; imports no heavy library.

    A name that is no path here is left to the local hub cache.
    """
    folder = Path(path)
    if not folder.exists():
        if path.startswith((".", "/", "~")) or path.count("/") > 1:
            raise UsageError(f"--model {path}: no such folder")
        if _cached(path) is None:
            raise UsageError(
                f"--model {path}: no such folder, and the local hub cache has no model of that name: "
                "download it first, or give the path of its folder"
            )
        return
    if folder.is_file():
        raise UsageError(f"--model {path} is a file: give the folder that holds config.json and the safetensors weights")
    if not any(folder.iterdir()):
        raise UsageError(f"--model {path} is an empty folder: it must hold config.json and safetensors weights")
    _check_config(folder)
    _check_weights(folder)


def _check_config(folder: Path) -> None:
    path = folder / "config.json"
    if not path.is_file():
        raise LoadError(f"{folder} has no config.json: is it a Hugging Face model folder?")
    try:
        config = json.loads(path.read_text())
        assert isinstance(config, dict)
    except (ValueError, AssertionError):
        raise LoadError(f"{path} is no valid JSON: download it again") from None
    if config.get("is_encoder_decoder"):
        raise LoadError(f"{folder} is an encoder-decoder model ({config.get('model_type')}): claims need a causal decoder")
    if "auto_map" in config:
        raise LoadError(
            f"{folder} needs code of its own ({config.get('model_type')}, auto_map): remote code is never run; "
            "use a version of the model that transformers itself knows"
        )


def _check_weights(folder: Path) -> None:
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        pickled = [found.name for pattern in _PICKLED for found in folder.glob(pattern)]
        if pickled:
            raise LoadError(
                f"{folder} holds pickled weights only ({pickled[0]}): they can run code when read; convert to safetensors"
            )
        raise LoadError(f"{folder} has a config and no weights: add its *.safetensors files")
    from safetensors import SafetensorError, safe_open

    for path in weights:
        try:
            with safe_open(path, framework="np") as file:
                file.keys()
        except (SafetensorError, OSError) as error:
            raise LoadError(f"{path} is corrupt or truncated ({error}): download it again") from None


def _cached(name: str) -> str | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, "config.json")
    except HFValidationError:
        return None
    return str(Path(found).parent) if isinstance(found, str) else None


def load_model(path: str, device: str = "cpu", dtype: str = "float32") -> LM:
    """Load a causal language model by path, or by name from the local hub cache; never touches the network.

    Raises:
        UsageError, LoadError: with one line that names what was asked, what was found and what to do.
    """
    check_path(path)
    folder = path if Path(path).exists() else _cached(path)
    assert folder is not None
    with _offline():
        model = _model(folder, dtype)
        tokenizer = _tokenizer(folder)
    try:
        model = model.to(device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"{path} does not fit on device {device!r}: {_line(error)}") from None
    return _subject(model, tokenizer, Path(folder).name)


def live_model(model: Any, tokenizer: Any, name: str) -> LM:
    """A subject around a model the caller holds; the same checks as for one loaded by path."""
    return _subject(model, tokenizer, name)


def _model(folder: str, dtype: str) -> Any:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (ValueError, KeyError, OSError) as error:
        raise LoadError(f"{folder}: transformers does not know this architecture ({_line(error)}): upgrade transformers") from None
    if config.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise LoadError(f"{folder} is a {config.model_type} model and no causal language model: claims need a causal decoder")
    try:
        model, found = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype="auto" if dtype == "auto" else getattr(torch, dtype),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except Exception as error:
        raise LoadError(f"{folder} cannot be loaded as a causal language model: {_line(error)}") from None
    missing = sorted(found["missing_keys"])
    if missing:
        raise LoadError(
            f"{folder} lacks {len(missing)} weights ({missing[0]}, ...): they would be random; is it a causal language model?"
        )
    if mismatched := sorted(str(key[0] if isinstance(key, tuple) else key) for key in found["mismatched_keys"]):
        raise LoadError(f"{folder}: {mismatched[0]} has another shape than config.json says: config and weights do not belong together")
    return model


def _tokenizer(folder: str) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception:
        return None


def _subject(model: Any, tokenizer: Any, name: str) -> LM:
    import torch

    if tokenizer is None:
        raise LoadError(
            f"{name} has no tokenizer beside it, and claims draw their tokens from text: add tokenizer.json and tokenizer_config.json"
        )
    for parameter_name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            raise LoadError(f"{name}: weight {parameter_name} holds NaN or infinity: the checkpoint is broken")
    vocab = int(model.config.get_text_config(decoder=True).vocab_size)
    lm = LM(model, tokens=tokens_of(tokenizer, vocab), tokenizer=tokenizer, name=name, digest=model_digest(model))
    if lm.context < SHORTEST_CONTEXT:
        raise LoadError(f"{name} has a context of {lm.context} tokens: claims need at least {SHORTEST_CONTEXT}")
    ids = lm.tokens.frequent[: min(8, lm.context)][None, :]
    if not bool(torch.isfinite(lm.logits(ids)).all()):
        raise LoadError(f"{name} gives logits that are not finite: the checkpoint is broken or dtype {lm.dtype} overflows")
    # A model without attention heads is a subject to which claims do not apply, not a mistake: they say so themselves.
    with contextlib.suppress(NotApplicable):
        _ = lm.instrument
    lm.recorder.reset()
    return lm


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    """No network and no chatter from the loading libraries."""
    from transformers.utils import logging

    before, verbosity = os.environ.get("HF_HUB_OFFLINE"), logging.get_verbosity()
    os.environ["HF_HUB_OFFLINE"] = "1"
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if before is None:
            del os.environ["HF_HUB_OFFLINE"]
        else:
            os.environ["HF_HUB_OFFLINE"] = before


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
