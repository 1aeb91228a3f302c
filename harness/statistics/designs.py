"""Designs: what a replicate is, when the data are looked at, and when looking ends."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import DeclarationError
from ..region import Region
from .order_statistics import error_over_looks, miss, rank_for

#: Two-sided level of every interval; no claim chooses it.
LEVEL = 0.95
#: Fewer seeds than this are shown but never decide.
FEWEST_SEEDS = 6
#: The numbers of seeds at which they are judged.
SCHEDULE = (6, 11)


@dataclass(frozen=True)
class Seeds:
    """Replicates are seeds; the median effect is judged at fixed looks (numbers of seeds), by default at 6, then 11.

    A cheaper profile may stop early, `Seeds((6,))`; it judges as the whole schedule does up to there. Looks that do not
    increase, or that together exceed the error of 2.5 % on a side, raise `DeclarationError`.
    """

    looks: tuple[int, ...] = SCHEDULE

    def __post_init__(self) -> None:
        looks = tuple(self.looks)
        object.__setattr__(self, "looks", looks)
        if not looks or looks[0] < 1 or any(a >= b for a, b in itertools.pairwise(looks)):
            raise DeclarationError(f"looks must be increasing numbers of seeds, such as (6, 11), found {looks}")
        error = error_over_looks(looks, LEVEL)
        if error > (1 - LEVEL) / 2:
            raise DeclarationError(
                f"looks at {looks} would support a false finding {error:.1%} of the time, allowed is"
                f" {(1 - LEVEL) / 2:.1%}; use fewer looks, such as (6, 11)"
            )

    @property
    def most(self) -> int:
        """The largest number of seeds that is ever used."""
        return self.looks[-1]

    @property
    def schedule(self) -> tuple[int, ...]:
        """The whole schedule these looks belong to."""
        return SCHEDULE if self.looks == SCHEDULE[: len(self.looks)] else self.looks

    def error_at(self, look: int) -> float:
        """The one-sided error a rate spends at `look`: 2.5 % shared between the looks as the median's ranks share it.

        With 2.5 % at every look a rate would be supported on the edge up to 3.5 % of the time (at an edge of 0.78).
        A look that is not one of the schedule gets 2.5 %; it is shown and does not decide.
        """
        spends = {n: miss(n, rank_for(n, LEVEL)) for n in self.schedule if n >= FEWEST_SEEDS}
        if look not in spends:
            return (1 - LEVEL) / 2
        return (1 - LEVEL) / 2 * spends[look] / sum(spends.values())


@dataclass(frozen=True)
class Prompts:
    """Replicates are prompt batches on one model; the mean effect, clipped at ±bound, is judged after every one.

    `bounds` gives the half-width b for each effect that is not a rate (on its region's scale); deciding is allowed from
    `least` replicates on and ends at `most`. `tuned_for` is the maximum the bets are made for (a claim's own, the same
    in every profile, so that a cheaper profile decides as the whole one does up to there); any other value is valid
    too, and costs some replicates. Where prompts come from templates, a template is the replicate: its batches are
    averaged, `per_cluster` of them each (see `by_cluster`).
    """

    bounds: Mapping[str, float] = field(default_factory=dict)
    most: int = 200
    least: int = 2
    tuned_for: int = 200
    per_cluster: int = 1

    def __post_init__(self) -> None:
        for name, bound in self.bounds.items():
            if not (isinstance(bound, int | float) and math.isfinite(bound) and bound > 0):
                raise DeclarationError(f"the clip bound of effect {name!r} must be a positive number, found {bound!r}")
        if not 1 <= self.least <= self.most:
            raise DeclarationError(f"prompts need 1 <= least <= most, found least {self.least}, most {self.most}")
        if self.tuned_for < 1 or self.per_cluster < 1:
            raise DeclarationError(
                f"prompts need tuned_for and per_cluster of at least 1, found {self.tuned_for} and {self.per_cluster}"
            )

    @property
    def planned(self) -> float:
        """The size of the fixed design that the bets are tuned to: the maximum is one and a half times as large."""
        return self.tuned_for / 1.5

    def range_of(self, name: str, region: Region) -> tuple[float, float]:
        """The interval an effect is clipped to, on the region's scale; every edge must lie inside it."""
        if region.of == "rate":
            return 0.0, 1.0
        if name not in self.bounds:
            raise DeclarationError(f"effect {name!r} has no clip bound; prompts need bounds={{{name!r}: ...}}")
        bound = float(self.bounds[name])
        for edge in region.edges:
            if not -bound < region.forward(edge) < bound:
                raise DeclarationError(
                    f"effect {name!r} is clipped at ±{bound:g}, its region is {region}; give a bound beyond every edge"
                )
        return -bound, bound


Design = Seeds | Prompts


def next_look(n_have: int, design: Design) -> int | None:
    """How many replicates in total are worth having next; None when the schedule has no further look."""
    if isinstance(design, Seeds):
        return next((look for look in design.looks if look > n_have), None)
    return max(n_have + 1, design.least) if n_have < design.most else None
