"""Attribution patching: what every variant would do to the measure if the model were linear, from one pass and its gradient.

An estimate only: it is blind where attention saturates or effects cancel. Nothing rests on it but the order in which
variants are confirmed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..interventions.attention import Plan
from ..interventions.changes import At
from ..interventions.changing import write
from ..interventions.padding import wide
from .plains import Plains
from .precision import lowered
from .reading import Reading
from .variants import Variant

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from ..subjects.lm import LM
    from .levers import Levers
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")


def attributable(variants: Sequence[Variant]) -> bool:
    """Whether all variants change values that a gradient speaks of: no edges that are cut before the softmax."""
    return all(kind != "scores" for variant in variants for kind, _ in variant.by_place)


def estimates(lm: LM, levers: Levers, variants: Sequence[Variant], reading: Reading) -> NDArray[np.float64]:
    """Estimated effect of each variant on the first number of the measure, mean over sequences, [variants].

    Args:
        levers: of a model that runs in parts; its matrix products are in bfloat16 where these found that faster.
    """
    split = levers.split
    assert split is not None
    places = sorted({place for variant in variants for place in variant.by_place})
    sums, batch = np.zeros(len(variants)), reading.batch
    plains = Plains(lm, split, variants, batch, heads=())
    if plains.needed:  # values that variants are given
        for _ in plains.walk(lm.layers):
            plains.kept = frozenset(plains.values)
    for rows in lm._slices(batch.ids):
        values, gradients = _gradients(lm, reading, rows, places, levers.lower)
        for number, variant in enumerate(variants):
            for (kind, layer), made in variant.by_place.items():
                was, gradient = values[kind, layer], gradients[kind, layer]
                members = made[0][1].members(lm.size) if len(made) == 1 else None
                if members is not None:  # what the change does not speak of need not be looked at
                    was, gradient = was[:, :, list(members)], gradient[:, :, list(members)]
                now = was
                for change, site in made:
                    at = At(batch.ids[rows], rows, lm.known_tokens, given=plains.given(change, rows), ends=batch[rows].ends)
                    if members is not None:
                        now, mask = change.new(site, was, at), at.mask(site.where)
                        now = now if mask is None else torch.where(wide(mask, now), now, was)
                    else:
                        now = write(change, site, now, at, lm.size)[0]
                sums[number] += float((gradient * (now - was)).sum())
    return sums / len(batch)


def _gradients(
    lm: LM, reading: Reading, rows: slice, places: list[tuple[str, int]], lower: bool
) -> tuple[dict[tuple[str, int], torch.Tensor], dict[tuple[str, int], torch.Tensor]]:
    """Values at some places, and the gradient there of the measure's sum over rows."""
    met: dict[tuple[str, int], torch.Tensor] = {}

    def note(kind: str, layer: int, values: torch.Tensor) -> torch.Tensor:
        if not values.requires_grad:
            values = values.detach().requires_grad_()
        met[kind, layer] = values
        return values * 1  # what follows takes a tensor of its own, so nothing in place reaches this one

    plan = Plan(alter=note, wanted=frozenset(places), rows=rows.stop - rows.start)
    lm.recorder.forward_passes += 2 * plan.rows
    with lm.instrument.attached(plan), torch.enable_grad(), lowered(lm.model.device.type, lower):
        logits = lm.model(input_ids=reading.batch.ids[rows], use_cache=False).logits.float()
        read = reading.of(reading.pick(logits, rows), rows)
        total = (read if read.dim() == 1 else read[:, 0]).sum()
        found = torch.autograd.grad(total, [met[place] for place in places], allow_unused=True)
    values = {place: met[place].detach().to(lm.dtype) for place in places}
    return values, {
        place: torch.zeros_like(values[place]) if gradient is None else gradient.to(lm.dtype)
        for place, gradient in zip(places, found, strict=True)
    }
