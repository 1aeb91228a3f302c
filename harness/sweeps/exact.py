"""The exact sweep: every variant's measure, equal to running each variant by itself, with what they share computed once.

A variant differs from the plain run from one layer on. Passes begin there, behind its heads where nothing before them
differs; several variants lie in one batch, each in its own rows; the last layer and the unembedding are computed at the
positions that the measure reads. A model that does not bear this is run variant by variant, with the same results.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..interventions.padding import Batch
from .levers import Levers, find
from .reading import Measure, Reading
from .resumed import Resumed
from .variants import Variant, resumable, variants_of

if TYPE_CHECKING:
    import torch
    from numpy.random import Generator
    from numpy.typing import NDArray

    from ..subjects.lm import LM
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")


@dataclass(frozen=True)
class Sweep:
    """What a sweep found.

    names: of the variants, in the order in which they were given. values: float64 [variants, n] (or [variants, n, m])
    of the measure. plain: [n] (or [n, m]) without intervention. naive: variants that had to be run by themselves, with
    the reason. batch: variants in one pass.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    plain: NDArray[np.float64]
    naive: dict[str, str] = field(default_factory=dict)
    batch: int = 1

    @property
    def effects(self) -> NDArray[np.float64]:
        """values - plain, of each sequence."""
        return self.values - self.plain

    @property
    def means(self) -> NDArray[np.float64]:
        """Mean effect over sequences, [variants] (or [variants, m])."""
        found: NDArray[np.float64] = self.effects.mean(1)
        return found

    def top(self, many: int) -> list[int]:
        """Numbers of the variants with the largest absolute mean effect (of the first number), largest first."""
        size = np.abs(self.means.reshape(len(self.values), -1)[:, 0])
        return [int(number) for number in np.argsort(-size, kind="stable")[:many]]


def sweep(lm: LM, variants: Iterable[Any], ids: Any, measure: Measure, mode: str = "zero", rng: Generator | None = None) -> Sweep:
    """The measure under each variant on ids, equal to a loop over views within rounding.

    Args:
        variants: sites, heads, sets of either, or views of `lm`; see `heads`, `neurons`, `blocks`, `positions`, `edges`.
        ids: [n, seq], or a padded batch (`input_ids` and `attention_mask`), each row of which is read as if it were alone.
        mode, rng: how values at sites are replaced: "zero", "mean", "position mean", "resample"; see `lm.ablated`.

    Raises:
        InvalidMeasurement: an intervention did not happen, or the model gives other logits in parts than as a whole.
    """
    found = variants_of(lm, variants, mode, rng)
    return run(lm, found, lm._batch(ids).compact(), measure)


def plain(lm: LM, ids: Any, measure: Measure) -> NDArray[np.float64]:
    """The measure without intervention, float64 [n] or [n, m]: what a sweep has as `plain`, of no variants at all."""
    found: NDArray[np.float64] = alone(lm, Reading(measure, lm._batch(ids).compact())).double().numpy()
    return found


def run(lm: LM, found: Sequence[Variant], batch: Batch, measure: Measure) -> Sweep:
    """A sweep of variants that are made already, on a compact batch."""
    levers, reading = levers_of(lm), Reading(measure, batch)
    reading.check()
    naive: dict[int, str] = {}
    if levers.split is None:
        naive = dict.fromkeys(range(len(found)), next(iter(levers.refused.values())))
    else:
        why = "its values are not those of this model's plain run"
        naive = {at: why for at, variant in enumerate(found) if not resumable(lm, variant, batch)}
    values: dict[int, torch.Tensor] = {}
    together = 1
    plain = None
    if levers.split is not None and len(naive) < len(found):
        many = [(at, variant) for at, variant in enumerate(found) if at not in naive]
        made = Resumed(lm, levers, levers.split, [variant for _, variant in many], reading)
        together, plain = made.sweep(), made.plain
        for (at, _), value in zip(many, made.values, strict=True):
            if value is None:  # nothing moved: the audit of a run by itself says whether that is the truth
                naive[at] = "no logit moved"
            else:
                values[at] = value
    for at in naive:
        values[at] = alone(found[at].view, reading)
    if plain is None:
        plain = alone(lm, reading)
    return Sweep(
        tuple(variant.name for variant in found),
        torch.stack([values[at] for at in range(len(found))]).double().numpy(),
        plain.double().numpy(),
        {found[at].name: why for at, why in naive.items()},
        together,
    )


def levers_of(lm: LM) -> Levers:
    """What the model bears, tried once."""
    if "levers" not in lm._shared:
        lm._shared["levers"] = find(lm.instrument, lm._probe())
    found: Levers = lm._shared["levers"]
    return found


def alone(view: Any, reading: Reading) -> torch.Tensor:
    """The measure [n] or [n, m] of a view that runs by itself."""
    return torch.cat([reading.of(reading.pick(logits, rows), rows) for logits, rows in view._passes(reading.batch)])
