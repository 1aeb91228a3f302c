"""Lower precision for the cheap pass of a screening: bfloat16, only where a probe shows that it is faster.

Processors without units for it take a hundred times as long, others a third; the weights are converted in each pass,
which the probe counts.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

#: Each shape of weight is timed with this many rows, so often; the fastest counts.
ROWS, TIMES = 128, 3
#: Largest time, as a share of float32's, at which bfloat16 is taken.
FASTER = 0.8
#: Side of a first product, which takes little time on any processor and tells those that lack the units.
SMALL = 256


def lowered(device: str, on: bool) -> torch.autocast:
    """Matrix products in bfloat16 inside this context, if `on`."""
    return torch.autocast(device, torch.bfloat16, enabled=on)


def faster(modules: Iterable[Any]) -> bool:
    """Whether the linear maps among the modules, all together, multiply faster in bfloat16, weights converted each time."""
    counts, first = Counter[tuple[int, ...]](), dict[tuple[int, ...], torch.Tensor]()
    for module in modules:
        weight = getattr(module, "weight", None)
        if isinstance(weight, torch.Tensor) and weight.dim() == 2 and not isinstance(module, torch.nn.Embedding):
            counts[tuple(weight.shape)] += 1
            first.setdefault(tuple(weight.shape), weight)
    if not first or any(weight.dtype != torch.float32 for weight in first.values()):
        return False
    device = next(iter(first.values())).device
    small = torch.ones(SMALL, SMALL, device=device)
    if _seconds(_in_precision(small, small, True), device) > _seconds(_in_precision(small, small, False), device):
        return False
    times = {True: 0.0, False: 0.0}
    for shape, weight in first.items():
        rows = torch.ones(ROWS, shape[1], device=device)
        for on in times:
            times[on] += counts[shape] * _seconds(_in_precision(rows, weight, on), device)
    return times[True] <= FASTER * times[False]


def _in_precision(rows: torch.Tensor, weight: torch.Tensor, on: bool) -> Callable[[], Any]:
    def product() -> None:
        with lowered(rows.device.type, on):
            torch.nn.functional.linear(rows, weight)

    return product


def _seconds(function: Callable[[], Any], device: torch.device) -> float:
    """Least of a few times, after one that is not counted."""
    found = []
    with torch.no_grad():
        for _ in range(1 + TIMES):
            began = time.perf_counter()
            function()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            found.append(time.perf_counter() - began)
    return min(found[1:])
