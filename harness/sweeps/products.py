"""Matrix products by oneDNN, which multiplies float32 faster than torch's own choice on some processors.

Measured on the weights of the model at hand, shape by shape, and used only where it is faster. The weights stay where
they are: nothing is packed, so no memory is taken and weights that change are used as they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

#: The products that are timed multiply a weight by this many rows, at most and at least, within so many multiplications;
#: each a few times, of which the fastest counts.
MOST_ROWS, LEAST_ROWS, WORK, TIMES = 256, 32, 2**29, 5
#: Largest time, as a share of torch's own, at which oneDNN is taken.
FASTER = 0.97

Forward = Callable[..., Any]


def faster(modules: Iterable[Any]) -> list[Any]:
    """Those linear maps (`torch.nn.Linear`, transformers' `Conv1D`) whose product oneDNN does faster here."""
    found, shapes = [], dict[tuple[Any, ...], bool]()
    for module in modules:
        if _bears(module):
            key = (type(module), tuple(module.weight.shape))
            if key not in shapes:
                shapes[key] = _is_faster(module)
            if shapes[key]:
                found.append(module)
    return found


def by_onednn(module: Any) -> Forward:
    """A forward for a linear map that gives what its own gives, within rounding."""
    turned = type(module) is not torch.nn.Linear  # Conv1D holds its weight as [inputs, outputs]

    def forward(values: torch.Tensor) -> torch.Tensor:
        weight = module.weight.t() if turned else module.weight
        found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(values, weight, module.bias, "none", [], "")
        return found

    return forward


def _bears(module: Any) -> bool:
    from transformers.pytorch_utils import Conv1D

    if type(module) not in (torch.nn.Linear, Conv1D) or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    weight = module.weight
    own = type(weight) in (torch.nn.Parameter, torch.Tensor) and "forward" not in vars(module)
    return own and weight.device.type == "cpu" and weight.dtype == torch.float32


def _is_faster(module: Any) -> bool:
    inputs = module.weight.shape[1 if type(module) is torch.nn.Linear else 0]
    rows = torch.ones(max(LEAST_ROWS, min(MOST_ROWS, WORK // module.weight.numel())), inputs)
    seconds: list[list[float]] = [[], []]
    with torch.no_grad():
        for _ in range(TIMES):
            for times, product in zip(seconds, (module.forward, by_onednn(module)), strict=True):
                began = time.perf_counter()
                product(rows)
                times.append(time.perf_counter() - began)
    own, other = map(min, seconds)
    return other <= FASTER * own
