"""Power: from a few pilot replicates, how many replicates a claim needs to see an effect at a distance from the edge.

Pilot replicates have indices of their own (`fresh.PILOTS` and on), which no verdict ever reads: they are burned by where
they lie, and named in what is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..claim import Claim
from ..errors import UsageError
from . import fresh
from .item import Item, Subject, items_of, model_subject, named_subject
from .judging import effects_of
from .measure import Replicate
from .options import Options
from .streams import stream


def power(
    claim: Claim, identity: str, options: Options, *, at: float | None = None, pilot: int = 6, on: str | None = None
) -> dict[str, Any]:
    """The plan of a claim on one subject: for each judged effect the power at distance `at`, and replicates for 0.9.

    Args:
        at: distance d* inside the edge of each effect's region, on its scale; by default what the
            claim states, else `statistics.default_distance`.
        pilot: replicates to measure for the spread of effects.
        on: a family, shipped model or path; the claim's first subject by default. Fresh seeds of a recorded family are
            trained, which takes as long as its recipe does.

    Raises:
        UsageError: where too few pilot replicates meet the preconditions, or a distance leaves the region.
    """
    from ..statistics import by_cluster, default_distance, plan

    item = Item(claim, identity, _subject(claim, identity, on))
    session = fresh.fresh_session(options)
    size = item.per_cluster
    start = fresh.aligned(fresh.PILOTS, size)
    replicates = fresh.replicates_from(session, item, start, pilot * size)
    passing = [one for one in replicates if one.passed]
    if not passing:
        raise UsageError(f"no pilot replicate of {claim.name} on {item.subject.name} could be judged: {_why(replicates)}")
    values = by_cluster([effects_of(one) for one in passing], [one.index // size for one in passing], size)
    design, effects = session.design(item), {}
    for name, region in claim.holds.items():
        own = [one[name] for one in values]
        stated = claim.distance.get(name) if at is None else at
        distance = default_distance(own, region) if stated is None else stated
        rng = stream(options.seed, f"power/{item.id}/{name}", 0)
        made = plan(own, region, distance, design, rng=rng, name=name)
        effects[name] = {
            "region": str(region), "distance": made.distance, "power": made.power, "refuted": made.refuted, "mean": made.mean,
            "needed": made.needed, "explored": made.explored,
        }  # fmt: skip
    burned = [start + i for i in range(pilot * size)]
    return {
        "claim": identity, "subject": item.subject.name, "unit": item.subject.unit, "most": design.most, "burned": burned,
        "pilot": len(values), "effects": effects,
    }  # fmt: skip


def _subject(claim: Claim, identity: str, on: str | None) -> Subject:
    if on is None:
        return next(iter(items_of(claim, identity))).subject
    from ..subjects.family import families
    from ..subjects.shipped import shipped_models

    return named_subject(on) if on in families() or on in shipped_models() else model_subject(on)


def _why(replicates: list[Replicate]) -> str:
    found = next((one.fatal for one in replicates if one.fatal), None)
    return str(found["problem"]["reason"]) if found else "a precondition fails"


def power_text(found: Mapping[str, Any]) -> str:
    """A plan as text."""
    from tabulate import tabulate

    from ..reporting import words

    unit = str(found["unit"])
    rows = []
    for name, one in found["effects"].items():
        needed = f"more than {one['explored']}" if one["needed"] is None else str(one["needed"])
        figures = [f"{one['distance']:.3g}", f"{one['power']:.2f}", f"{one['mean']:.1f}", needed]
        rows.append([name, one["region"], *figures])
    heads = ["effect", "holds", "d*", f"power, at most {found['most']}", f"mean {words.plural(unit)}", "for power 0.9"]
    burned = f"{found['burned'][0]} to {found['burned'][-1]}"
    return "\n".join(
        [
            f"{found['claim']} on {found['subject']}",
            tabulate(rows, headers=heads, tablefmt="simple", disable_numparse=True),
            f"spread of {words.count(found['pilot'], 'pilot ' + unit)}, indices {burned}: burned, no verdict reads them",
        ]
    )
