"""The plan: what a session would spend, from committed costs per replicate, before anything is spent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import committed
from .item import Item

if TYPE_CHECKING:
    from .session import Session


def plan_table(items: Sequence[Item], session: Session) -> str:
    """A table of items with replicates wanted and reused, forward passes, seconds and memory; measures nothing.

    Replicates are those of the next look. A cost that was never recorded is shown as unknown.
    """
    from tabulate import tabulate

    rows: list[list[str]] = []
    seconds = passes = unknown = 0.0
    memory = 0.0
    for item in items:
        standing, replicates = session.replay(item)
        missing = standing.wants - len(replicates)
        cost = _cost(item)
        if missing and cost is None:
            unknown += 1
        if cost is not None:
            seconds += missing * cost["seconds"]
            passes += missing * cost["forward_passes"]
            memory = max(memory, cost["peak_memory_mb"])
        rows.append(
            [
                item.id.rpartition("/")[2],
                f"{standing.wants} {item.subject.unit}{'' if item.subject.seeded else 'es'}".replace("seed", "seeds"),
                str(len(replicates)),
                "unknown" if cost is None else f"{missing * cost['forward_passes']:.0f}",
                "unknown" if cost is None else f"{missing * cost['seconds']:.1f}",
                "unknown" if cost is None else f"{cost['peak_memory_mb']:.0f}",
            ]
        )
    table = tabulate(rows, headers=["item", "to the next look", "reused", "forward passes", "seconds", "MB"], tablefmt="simple")
    retrained = sorted({(i.subject.name, s) for i in items for s in session.recorded.seeds(i.subject)})
    lines = [
        table,
        f"in all: {passes:.0f} forward passes, {seconds:.0f} s of one core, {memory:.0f} MB at most"
        + (f"; {unknown:.0f} {'item' if unknown == 1 else 'items'} of unknown cost" if unknown else ""),
    ]
    if retrained:
        lines.append("retrained to check recorded weights: " + ", ".join(f"{name} seed {seed}" for name, seed in retrained))
    return "\n".join(lines)


def _cost(item: Item) -> dict[str, float] | None:
    by_subject = committed.read(committed.folder_of(item.claim), committed.COSTS).get(item.claim.name, {})
    found = by_subject.get(item.label) or by_subject.get(item.subject.name)
    return {name: float(value) for name, value in found.items()} if found else None
