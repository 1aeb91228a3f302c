"""Profiles: how much is spent. They change the largest number of replicates and nothing else."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from ..errors import UsageError

if TYPE_CHECKING:
    from ..claim import Claim
    from ..statistics import Prompts, Seeds
    from .item import Item


@dataclass(frozen=True)
class Profile:
    """Looks at seeds; share of a claim's largest number of prompt batches; whether drawn seeds are retrained."""

    name: str
    looks: tuple[int, ...]
    prompts: float
    retrain: str  # "none", "one" (drawn by --seed) or "all"

    def most(self, claim: Claim) -> int:
        """Largest number of prompt batches for a claim on one given model."""
        return max(2, round(claim.most * self.prompts))

    def design(self, item: Item) -> Seeds | Prompts:
        """How the replicates of an item are looked at."""
        from ..statistics import Prompts

        if item.subject.seeded:
            return _seeds(self.looks)
        most, tuned_for = self.most(item.claim), item.claim.most
        return Prompts(bounds=dict(item.claim.bounds), most=most, tuned_for=tuned_for, per_cluster=item.per_cluster)


@cache
def _seeds(looks: tuple[int, ...]) -> Seeds:
    from ..statistics import Seeds

    return Seeds(looks=looks)


PROFILES: Mapping[str, Profile] = {
    "smoke": Profile("smoke", (6,), 0.25, "none"),
    "standard": Profile("standard", (6, 11), 1.0, "one"),
    "full": Profile("full", (6, 11), 5.0, "all"),
}


def profile_named(name: str) -> Profile:
    """A profile by name; UsageError names the nearest."""
    if name not in PROFILES:
        near = difflib.get_close_matches(name, PROFILES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"unknown profile {name!r}: use one of {', '.join(PROFILES)}{hint}")
    return PROFILES[name]
