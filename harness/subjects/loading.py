"""Loading a given model: every check before anything is measured, each failure one line that names the fix."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import LoadError, UsageError
from .files import check_path, has_tokenizer, read_json
from .lm import LM
from .tokens import no_tokens, tokens_of

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

__all__ = ["DTYPES", "check_path", "live_model", "load_model", "tokenizer_of"]

DTYPES = ("float32", "bfloat16", "float16", "float64")
#: How much a later token may change earlier logits, relative to their size, by dtype.
_CAUSAL = {"float32": 1e-4, "float64": 1e-6}


def load_model(path: str | Path, device: str = "cpu", dtype: str = "float32", attn: str | None = None) -> LM:
    """Load a causal language model by path, by the name of a shipped one, or by name from the local hub cache.

    Never touches the network and never runs code that comes with a model.

    Args:
        device: "cpu", "cuda", "cuda:N" or "mps".
        dtype: one of `DTYPES`, or "auto" for the dtype of the weights.
        attn: attention implementation of transformers ("eager", "sdpa"); by default the one it would choose.

    Raises:
        UsageError, LoadError: one line that names what was asked, what was found and what to do.
    """
    where = _device(device)
    kind = _dtype(dtype)
    folder = check_path(str(path))
    with _quiet():
        model = _model(folder, kind, attn)
        tokenizer = _tokenizer(folder)
    try:
        model = model.to(where)
    except RuntimeError as error:
        raise LoadError(f"{path} does not fit on device {device!r}: {_line(error)}") from None
    name = folder.name if folder.parent.name != "snapshots" else str(path)
    return _subject(model.requires_grad_(False), tokenizer, name)


def tokenizer_of(path: str | Path) -> Any:
    """The tokenizer of a model's folder or name, without its weights; None where there is none."""
    folder = check_path(str(path))
    with _quiet():
        return _tokenizer(folder)


def live_model(model: Any, tokenizer: Any = None, name: str = "model") -> LM:
    """A subject around a model that the caller holds, with the same checks. The model is put in eval mode."""
    if not isinstance(model, torch.nn.Module) or not hasattr(getattr(model, "config", None), "get_text_config"):
        raise UsageError(f"{name} is a {type(model).__name__}: give a transformers causal language model")
    config: Any = model.config
    if getattr(config, "is_encoder_decoder", False):
        raise LoadError(f"{name} is an encoder-decoder model ({config.model_type}): claims need a causal decoder")
    return _subject(model, tokenizer, name)


def _device(device: str) -> torch.device:
    kind, colon, number = device.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (colon and not number.isdecimal()):
        raise UsageError(f"unknown device {device!r}: use cpu, cuda, cuda:N or mps")
    if kind == "cuda":
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(number or 0) >= found:
            raise UsageError(f"device {device!r} was asked for, and torch sees {found} CUDA devices: use --device cpu")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UsageError(f"device {device!r} was asked for, and torch sees no MPS device: use --device cpu")
    return torch.device(device)


def _dtype(dtype: str) -> Any:
    if dtype == "auto":
        return "auto"
    if dtype not in DTYPES:
        raise UsageError(f"unknown dtype {dtype!r}: use {', '.join(DTYPES)} or auto")
    return getattr(torch, dtype)


def _model(folder: Path, dtype: Any, attn: str | None) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(folder, **local)
    except Exception as error:
        raise LoadError(_unknown(folder, error)) from None
    if config.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise LoadError(
            f"{folder} is a {config.model_type} model and no causal language model: claims need a causal decoder"
        )
    options: dict[str, Any] = {} if attn is None else {"attn_implementation": attn}
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder, config=config, dtype=dtype, use_safetensors=True, output_loading_info=True, **local, **options
        )
    except Exception as error:
        raise LoadError(f"{folder} cannot be loaded as a causal language model: {_line(error)}") from None
    model, found = loaded
    mismatched = sorted(str(key[0] if isinstance(key, tuple) else key) for key in found.get("mismatched_keys") or ())
    if mismatched:
        raise LoadError(
            f"{folder}: {mismatched[0]} has another shape than config.json says: they do not belong together"
        )
    if missing := sorted(found.get("missing_keys") or ()):
        raise LoadError(
            f"{folder} lacks {len(missing)} weights ({missing[0]}, ...), which would be random: "
            "is it a causal language model?"
        )
    return model


def _unknown(folder: Path, error: Exception) -> str:
    from transformers import CONFIG_MAPPING

    known: Any = CONFIG_MAPPING
    config = read_json(folder / "config.json")
    model_type = config.get("model_type")
    if model_type is None:
        return f"{folder / 'config.json'} names no model_type: is it the config of a Hugging Face model?"
    if model_type in known:
        return f"{folder / 'config.json'} is no valid {model_type} config: {_line(error)}"
    if "auto_map" in config:
        return (
            f"{folder} needs code of its own (model type {model_type}), which is never run: use a version of the model "
            "that transformers itself knows"
        )
    return f"{folder} is of the unknown model type {model_type!r}: upgrade transformers, if a later one knows it"


def _tokenizer(folder: Path) -> Any:
    if not has_tokenizer(folder):
        return None
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise LoadError(f"the tokenizer in {folder} cannot be read ({_line(error)}): download it again") from None


def _subject(model: Any, tokenizer: Any, name: str) -> LM:
    for weight, parameter in model.named_parameters():
        if parameter.is_meta:
            raise LoadError(f"{name}: weight {weight} is on the meta device: load the weights first")
        if parameter.is_floating_point() and not bool(torch.isfinite(parameter.detach()).all()):
            raise LoadError(f"{name}: weight {weight} holds NaN or infinity: the checkpoint is broken")
    vocab = getattr(model.config.get_text_config(decoder=True), "vocab_size", None)
    if not isinstance(vocab, int):
        raise LoadError(
            f"{name} is a {model.config.model_type} model and no causal language model: claims need a causal decoder"
        )
    tokens = no_tokens(name) if tokenizer is None else tokens_of(tokenizer, vocab)
    lm = LM(model, tokens=tokens, tokenizer=tokenizer, name=name)
    _check_attention(lm)
    _check_outputs(lm)
    lm.recorder.reset()
    return lm


def _check_attention(lm: LM) -> None:
    """SDPA leaves sink logits out without a word and fails at soft caps; the library's own setter refuses both."""
    if getattr(lm.model.config, "_attn_implementation", None) != "sdpa":
        return
    capped = bool(getattr(lm.config, "attn_logit_softcapping", None))
    if capped or any(hasattr(part, "sinks") for part in lm.model.modules()):
        what = "soft caps" if capped else "sink logits"
        raise LoadError(
            f"{lm.name} ({lm.model.config.model_type}) has {what}, which SDPA attention leaves out: "
            'load it with attn_implementation="eager"'
        )


def _check_outputs(lm: LM) -> None:
    """Logits of a probe must be there, finite, and blind to later tokens."""
    ids = np.random.default_rng(0).choice(lm._ordinary(), size=(1, min(8, lm.context))).repeat(2, axis=0)
    ids[1, -1] = next(int(token) for token in lm._ordinary() if token != ids[0, -1])
    try:
        logits = lm.logits(ids)
    except (AttributeError, TypeError):
        raise LoadError(
            f"{lm.name} ({type(lm.model).__name__}) gives no logits: load it as a causal language model"
        ) from None
    if not bool(torch.isfinite(logits).all()):
        raise LoadError(
            f"{lm.name} gives logits that are not finite: the checkpoint is broken, or {lm.dtype} overflows"
        )
    earlier = logits[:, :-1]
    seen = float((earlier[0] - earlier[1]).abs().max() / logits.abs().max()) if earlier.numel() else 0.0
    if seen > _CAUSAL.get(str(lm.dtype).removeprefix("torch."), 5e-2):
        raise LoadError(
            f"{lm.name} is no causal model: a later token changes earlier logits by {seen:.2g} of their size"
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No network and no chatter from the loading libraries."""
    from huggingface_hub import constants
    from transformers import utils

    logging: Any = utils.logging
    offline, verbosity, bars = constants.HF_HUB_OFFLINE, logging.get_verbosity(), logging.is_progress_bar_enabled()
    constants.HF_HUB_OFFLINE = True
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = offline
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
