"""The screened sweep: a cheap pass orders the variants; the leaders, and a random sample of the rest, are run exactly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DeclarationError
from ..interventions.padding import Batch
from .attribution import attributable, estimates
from .exact import Sweep, levers_of, run
from .reading import Measure, Reading
from .variants import variants_of

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from ..subjects.lm import LM
    from .variants import Variant

#: Of the largest estimates as many as are wanted, and half as many again, are confirmed at first.
MARGIN = 1.5
#: Variants drawn at random from those that the cheap pass left behind.
SAMPLE = 8


@dataclass(frozen=True)
class Screened:
    """What a screened sweep found.

    top: numbers of the leading variants, by exact effect, largest first. exact: the sweep of `confirmed` variants.
    estimates: of all variants, by the cheap pass named `how`. sampled, missed: of those drawn at random among the rest,
    how many there were and how many belong to the leaders (they are in `top`). miss_limit: with 95 % confidence no
    larger a share of the rest would have belonged there.
    """

    top: tuple[int, ...]
    names: tuple[str, ...]
    confirmed: tuple[int, ...]
    exact: Sweep
    estimates: NDArray[np.float64]
    how: str
    sampled: int
    missed: int
    miss_limit: float

    @property
    def miss_rate(self) -> float:
        """Share of the random sample that the cheap pass missed; nan where nothing was left to draw from."""
        return self.missed / self.sampled if self.sampled else float("nan")


def screened(
    lm: LM,
    variants: Iterable[Any],
    ids: Any,
    measure: Measure,
    top: int,
    rng: Generator,
    mode: str = "zero",
    sample: int = SAMPLE,
) -> Screened:
    """The `top` variants with the largest absolute mean effect, each confirmed exactly.

    The estimates come from attribution patching; where edges are cut, or the model does not run in parts, from an exact
    sweep over a quarter of the sequences. Leaders are confirmed in the order of their estimates until the next
    estimate, wrong by as much as the worst of those below the leaders that were checked, would not be among the leaders.

    Args:
        variants, ids, measure, mode: as for `sweep`.
        rng: draws the seed of resampling and the sample.
        sample: how many of the rest are run exactly, for the miss rate.
    """
    found = variants_of(lm, variants, mode, rng)
    if not 1 <= top <= len(found):
        raise DeclarationError(f"the {top} most important of {len(found)} variants were asked for")
    batch = lm._batch(ids).compact()
    guess, how = _guess(lm, found, batch, measure)
    order = [int(number) for number in np.argsort(-np.abs(guess), kind="stable")]
    first = min(len(order), int(np.ceil(MARGIN * top)))
    rest = order[first:]
    drawn = [int(number) for number in rng.choice(rest, min(sample, len(rest)), replace=False)] if rest else []
    exact = dict(_confirm(lm, found, [*order[:first], *drawn], batch, measure))
    while more := _doubtful(guess, exact, order, top):
        exact.update(_confirm(lm, found, more, batch, measure))
    confirmed = tuple(exact)
    sizes = {number: abs(float(np.ravel(effect.means[0])[0])) for number, effect in exact.items()}
    best = tuple(sorted(sizes, key=lambda number: -sizes[number])[:top])
    missed = len(set(drawn) & set(best))
    return Screened(
        best,
        tuple(variant.name for variant in found),
        confirmed,
        _joined([exact[number] for number in confirmed]),
        guess,
        how,
        len(drawn),
        missed,
        _limit(missed, len(drawn)),
    )


def _guess(lm: LM, found: list[Variant], batch: Batch, measure: Measure) -> tuple[NDArray[np.float64], str]:
    levers = levers_of(lm)
    if levers.split is not None and attributable(found) and all(not variant.view.removals for variant in found):
        reading = Reading(measure, batch)
        reading.check()
        return estimates(lm, levers, found, reading), "attribution patching" + (" in bfloat16" if levers.lower else "")
    few = batch[: max(2, len(batch) // 4)]
    means = run(lm, found, few, measure).means
    return means.reshape(len(found), -1)[:, 0], f"an exact sweep of {len(few)} of {len(batch)} sequences"


def _confirm(lm: LM, found: list[Variant], numbers: list[int], batch: Batch, measure: Measure) -> Iterable[tuple[int, Sweep]]:
    swept = run(lm, [found[number] for number in numbers], batch, measure)
    for at, number in enumerate(numbers):
        yield number, Sweep(swept.names[at : at + 1], swept.values[at : at + 1], swept.plain, {}, swept.batch)


def _doubtful(guess: NDArray[np.float64], exact: dict[int, Sweep], order: list[int], top: int) -> list[int]:
    """The next variants whose estimate would reach the leaders if it were as wrong as the worst that was checked.

    Estimates of large effects are wrong by more, and those that are left are small: of what was checked the estimates
    count that lie below the leaders too.
    """
    effects = {number: float(np.ravel(one.means[0])[0]) for number, one in exact.items()}
    edge = sorted((abs(effect) for effect in effects.values()), reverse=True)[top - 1]
    below = [number for number in effects if abs(guess[number]) < edge] or list(effects)
    wrong = max(abs(effects[number] - guess[number]) for number in below)
    left = [number for number in order if number not in exact and abs(guess[number]) + wrong >= edge]
    return left[: max(1, top // 2)]


def _joined(parts: list[Sweep]) -> Sweep:
    values = np.concatenate([part.values for part in parts])
    return Sweep(tuple(part.names[0] for part in parts), values, parts[0].plain, {}, max(part.batch for part in parts))


def _limit(missed: int, sampled: int) -> float:
    """Upper limit of a share by Clopper and Pearson, 95 % one-sided; 1 where nothing was drawn."""
    if not sampled or missed == sampled:
        return 1.0 if sampled else float("nan")
    from scipy import stats

    return float(stats.beta.ppf(0.95, missed + 1, sampled - missed))
