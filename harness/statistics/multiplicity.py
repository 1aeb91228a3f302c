"""A suite of claims: how many of its verdicts may be wrong, raw and adjusted side by side.

Many claims judged at 95 % each give some wrong verdicts. The adjusted verdict keeps the expected share of wrong ones
among all that are SUPPORTED, and among all that are REFUTED, at 5 %: Benjamini and Hochberg 1995 on the p-values of
seeds, its e-BH form (Wang and Ramdas 2022), which holds under any dependence between the claims, on the e-values of
prompts. What does not stand is INCONCLUSIVE; adjusting never makes a verdict stronger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from ..verdict import Verdict
from .designs import LEVEL

if TYPE_CHECKING:
    from scipy import stats
else:
    from ..lazy import LazyModule

    stats = LazyModule("scipy.stats")

#: What the false discovery rate is held at, and the room that rounding needs.
RATE = 1 - LEVEL
ROUNDING = 1e-9


class Evidence(Protocol):
    """What is needed of a judgement: its verdict, with the p-value of seeds or the e-value of prompts."""

    @property
    def verdict(self) -> Verdict: ...
    @property
    def p_value(self) -> float | None: ...
    @property
    def e_value(self) -> float | None: ...


@dataclass(frozen=True)
class Adjusted:
    """A verdict `raw` and `adjusted`: it stands if a false discovery rate of `rate` may be allowed, which is 5 %.

    `method` is "BH" among the `of` claims judged on seeds and "e-BH" among the `of` judged on prompts.
    """

    raw: Verdict
    adjusted: Verdict
    method: Literal["BH", "e-BH"]
    rate: float
    of: int


def adjust(judgements: Sequence[Evidence]) -> tuple[Adjusted, ...]:
    """Raw and adjusted verdicts of a suite, in its order: one judgement for each claim and subject, no controls.

    Every claim judged counts among those that were asked, whatever came out. The two kinds of evidence are adjusted
    apart.
    """
    found: dict[int, Adjusted] = {}
    for method in ("BH", "e-BH"):
        places = [i for i, one in enumerate(judgements) if (one.e_value is None) == (method == "BH")]
        for i in places:
            found[i] = Adjusted(judgements[i].verdict, Verdict.INCONCLUSIVE, method, 1.0, len(places))
        for verdict in (Verdict.SUPPORTED, Verdict.REFUTED):
            levels = [_level(judgements[i]) if judgements[i].verdict is verdict else 1.0 for i in places]
            rates = stats.false_discovery_control(levels) if levels else []
            for i, rate in zip(places, rates, strict=True):
                if judgements[i].verdict is verdict:
                    stands = verdict if rate <= RATE * (1 + ROUNDING) else Verdict.INCONCLUSIVE
                    found[i] = Adjusted(verdict, stands, method, float(rate), len(places))
    return tuple(found[i] for i in range(len(judgements)))


def _level(judgement: Evidence) -> float:
    """The p-value, or what an e-value is worth as one (Markov); 1 where a judgement has neither."""
    if judgement.e_value is not None:
        return min(1.0, 1 / judgement.e_value)
    return 1.0 if judgement.p_value is None else judgement.p_value
