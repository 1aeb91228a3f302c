"""The identity check: an attached instrument must change nothing, and know which head is which, before it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import NotApplicable
from .attention import Plan
from .instrument import Instrument, plain_forward

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

#: Largest relative difference of logits that an attached instrument may make.
IDENTITY = 1e-5
#: Largest relative difference of logits between a family's eager function, which has patterns, and what it uses itself.
EAGER = {"float64": 1e-6, "float32": 1e-4, "bfloat16": 5e-2, "float16": 1e-2}
#: Largest share of a head's outputs that its own pattern may leave unexplained.
LAYOUT = {"float64": 1e-9, "float32": 2e-5, "bfloat16": 2e-2, "float16": 2e-3}


@dataclass(frozen=True)
class Identity:
    """Relative differences of logits. attached: instrument in place, idle. restored: own outputs written back."""

    attached: float
    restored: float
    sequences: int


def check_identity(instrument: Instrument, ids: torch.Tensor) -> Identity:
    """Compare the model with itself under the instrument, on ids [rows, seq].

    Raises:
        NotApplicable: naming the family and the measured difference.
    """
    plain = plain_forward(instrument.model, ids).logits
    kept: dict[int, torch.Tensor] = {}

    def keep(layer: int, outputs: torch.Tensor) -> torch.Tensor:
        kept[layer] = outputs.clone()
        return outputs

    def write_back(layer: int, outputs: torch.Tensor) -> torch.Tensor:
        changed = torch.zeros_like(outputs)
        for head in range(outputs.shape[2]):
            changed[:, :, head] = kept[layer][:, :, head]
        return changed

    watched = Plan(edit=keep)
    attached = difference(plain, instrument.forward(ids, watched))
    if set(watched.reached.values()) != {1} or len(watched.reached) != instrument.layers:
        raise NotApplicable(
            f"cannot be intervened on: of {instrument.layers} layers of {instrument.family} the instrument reached "
            f"{len(watched.reached)}"
        )
    found = Identity(attached, difference(plain, instrument.forward(ids, Plan(edit=write_back))), 3 * len(ids))
    for value, what in ((found.attached, "in place"), (found.restored, "writing each head's own output back")):
        if not value <= IDENTITY:
            raise NotApplicable(
                f"cannot be intervened on exactly: with the instrument {what} the logits of {instrument.family} differ "
                f"by {value:.2g} of their size, and {IDENTITY:g} is allowed"
            )
    return found


def check_patterns(instrument: Instrument, ids: torch.Tensor) -> float:
    """Relative difference of logits in the pass that reads patterns; NotApplicable when that is another network."""
    plain = plain_forward(instrument.model, ids).logits
    error = difference(plain, instrument.forward(ids, Plan(read=lambda layer, weights: None)))
    allowed = _allowed(EAGER, plain)
    if not error <= allowed:
        raise NotApplicable(
            f"attention patterns cannot be read: the eager attention of {instrument.family} gives logits that differ "
            f"by {error:.2g} of their size from its own, and {allowed:g} is allowed"
        )
    return error


def difference(plain: torch.Tensor, other: torch.Tensor) -> float:
    """Largest absolute difference of logits, over the largest absolute logit; infinite when not finite."""
    plain, other = plain.float(), other.float()
    found = float((plain - other).abs().max() / plain.abs().max().clamp_min(torch.finfo(torch.float32).tiny))
    return found if np.isfinite(found) else float("inf")


def check_layout(instrument: Instrument, tokens: np.ndarray, rng: np.random.Generator) -> float:
    """Whether slice h of the head outputs belongs to pattern h, by what attention means; the unexplained share.

    In the first layer a value depends on its token and place alone, so over rows that draw each place's token from a
    pair, outputs must be pattern times values for *one* set of values. tokens: usable ids, two or more.

    Raises:
        NotApplicable: when a head's outputs are not its own pattern's.
    """
    rows, length = 24, 4
    pair = rng.choice(tokens, 2, replace=False)
    choice = rng.integers(0, 2, (rows, length))
    ids = torch.from_numpy(pair[choice]).to(instrument.model.device)
    patterns: dict[int, torch.Tensor] = {}
    outputs: dict[int, torch.Tensor] = {}

    def keep(layer: int, found: torch.Tensor) -> torch.Tensor:
        outputs.setdefault(layer, found.clone())
        return found

    instrument.forward(ids, Plan(edit=keep, read=lambda layer, found: patterns.__setitem__(layer, found)))
    pattern, output = patterns[0].double().cpu().numpy(), outputs[0].double().cpu().numpy()
    worst = 0.0
    for head in range(instrument.heads):
        design = np.zeros((rows, length, length, 2))  # row, query, key, which token stands there
        for which in (0, 1):
            design[..., which] = pattern[:, head] * (choice == which)[:, None, :]
        target = output[:, :, head].reshape(rows * length, -1)
        flat = design.reshape(rows * length, -1)
        left = target - flat @ np.linalg.lstsq(flat, target, rcond=None)[0]
        worst = max(worst, float(np.linalg.norm(left)) / max(float(np.linalg.norm(target)), 1e-30))
    allowed = _allowed(LAYOUT, outputs[0])
    if not worst <= allowed:
        raise NotApplicable(
            f"cannot tell the heads of {instrument.family} apart: {worst:.2g} of what enters its output projection is "
            f"not its attention pattern times values, and {allowed:g} is allowed"
        )
    return worst


def _allowed(by_dtype: Mapping[str, float], tensor: torch.Tensor) -> float:
    return by_dtype.get(str(tensor.dtype).removeprefix("torch."), by_dtype["float32"])
