"""Models to which no instrument can be attached, refused by name, and models that changed since one was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import InvalidMeasurement, NotApplicable

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

#: Of every module its address and class, and whether it was compiled.
Structure = tuple[tuple[int, str, bool], ...]
Weights = tuple[tuple[int, int], ...]


def check_attachable(model: Any) -> None:
    """NotApplicable for a compiled or sharded model, weights that are not loaded, and prompts that an adapter adds.

    Quantised models and models with adapters inside (LoRA and its like) are not refused: the identity check decides.
    """
    name = getattr(getattr(model, "config", None), "model_type", type(model).__name__)
    for part in model.modules():
        if type(part).__name__ == "OptimizedModule" or getattr(part, "_compiled_call_impl", None) is not None:
            raise NotApplicable(
                f"{name} is compiled (torch.compile), and hooks may be compiled away: make the subject from the model "
                "before it is compiled"
            )
    weights = list(model.parameters())
    spread = getattr(model, "hf_device_map", None)
    places = {str(place) for place in spread.values()} if spread else {str(weight.device) for weight in weights}
    if len(places) > 1 or places & {"meta", "disk"}:
        raise NotApplicable(
            f"{name} is spread over {', '.join(sorted(places))}: load it whole on one device, like device_map={{'': 0}}"
        )
    if any(type(weight).__name__ == "DTensor" for weight in weights):
        raise NotApplicable(f"{name} holds sharded weights (DTensor): load it whole on one device")
    adapters = getattr(model, "peft_config", None)
    for adapter in adapters.values() if isinstance(adapters, dict) else ():
        if getattr(adapter, "is_prompt_learning", False):
            kind = getattr(adapter.peft_type, "value", adapter.peft_type)
            raise NotApplicable(
                f"{name} has an adapter that adds virtual tokens ({kind}), so positions would mean other tokens: use "
                "adapters inside the layers, like LoRA"
            )


def structure(model: Any) -> Structure:
    """What the model is made of now."""
    return tuple(
        (id(part), type(part).__name__, getattr(part, "_compiled_call_impl", None) is not None) for part in model.modules()
    )


def check_structure(model: Any, before: Structure) -> None:
    """InvalidMeasurement when modules were added, replaced or compiled since the instrument was attached."""
    now = structure(model)
    if now == before:
        return
    new = sorted({kind for _, kind, _ in set(now) - set(before)})
    raise InvalidMeasurement(
        f"the modules of {model.config.model_type} changed since the instrument was attached"
        + (f" (new: {', '.join(new)})" if new else "")
        + ": make a new subject from the model as it is now"
    )


def weights_of(model: Any) -> Weights:
    """Address and version of every weight: other ones after an optimiser's step or an assignment (not through `.data`)."""
    found = (*model.parameters(), *model.buffers())
    return tuple((weight.data_ptr(), 0 if weight.is_inference() else weight._version) for weight in found)


def check_weights(model: Any, before: Weights, what: str) -> None:
    """InvalidMeasurement when weights were written to since."""
    if weights_of(model) != before:
        raise InvalidMeasurement(f"{what}: weights of the model changed while it ran, so its passes are not of one network")
