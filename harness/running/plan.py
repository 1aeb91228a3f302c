"""The plan: what a session would spend, from committed costs and short probes, before anything is spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import LoadError, UsageError
from . import committed
from .budget import Need, refusal
from .estimate import LENGTH, Pace, busy, pace_of
from .item import Item, Subject

if TYPE_CHECKING:
    from .session import Session


@dataclass(frozen=True)
class Line:
    """An item of a plan: replicates to the next look, how many are reused, and the cost of each that is missing."""

    item: Item
    wants: int
    reused: int
    cost: Mapping[str, float] | None
    source: str  # "committed", "probe", "config" or ""
    pace: Pace | None = None  # of a given model

    @property
    def missing(self) -> int:
        return self.wants - self.reused

    def total(self, name: str) -> float | None:
        """Seconds or forward passes of what is missing; None when nobody knows."""
        if not self.missing:
            return 0.0
        return None if self.cost is None else self.missing * self.cost[name]

    @property
    def memory(self) -> float | None:
        """Peak megabytes; None when nobody knows."""
        if self.cost is None:
            return None if self.missing else 0.0
        return self.cost["peak_memory_mb"]


def plan(items: Sequence[Item], session: Session) -> list[Line]:
    """What each item would take to its next look; measures nothing.

    Costs are the committed ones. On a given model without any they are the claim's forward passes on its organisms times
    the pace of that model: probed, or computed from its configuration where it is too large to be loaded here; such a
    model is not loaded, so that what the store holds of it is not counted.
    """
    paces: dict[Subject, Pace | None] = {}
    lines = []
    for item in items:
        cost, source, reachable = _committed(item), "committed", True
        if cost is None and item.subject.kind == "model":
            if item.subject not in paces:
                paces[item.subject] = _pace(item.subject, session)
            pace, passes = paces[item.subject], _passes(item)
            if pace is None:
                lines.append(Line(item, 0, 0, None, ""))
                continue
            source, reachable = "probe" if pace.loaded else "config", pace.loaded
            if passes is not None:
                cost = {"forward_passes": passes, "seconds": passes * pace.seconds, "peak_memory_mb": pace.megabytes}
        if reachable:
            standing, replicates = session.replay(item)
        else:
            standing, replicates = session.stand(item, []), []
        lines.append(Line(item, standing.wants, len(replicates), cost, source if cost else "", paces.get(item.subject)))
    return lines


def _pace(subject: Subject, session: Session) -> Pace | None:
    """The pace of a given model; None for a step of a series that cannot be judged: one line in the report, nothing to spend."""
    if subject.gap:
        return None
    try:
        return pace_of(subject, session.subjects, session.options.budget.megabytes if session.options.budget else None)
    except LoadError:
        if subject.series is None:
            raise
        return None


def check_budget(items: Sequence[Item], session: Session) -> None:
    """Raise UsageError, with the numbers, when the plan does not fit the budget of the session's options."""
    budget = session.options.budget
    if budget is None:
        return
    needs = [Need(line.item.id, line.total("seconds"), line.memory) for line in plan(items, session)]
    if said := refusal(needs, budget, session.options.profile.name):
        raise UsageError(said)


def plan_table(items: Sequence[Item], session: Session) -> str:
    """A table of items with replicates wanted and reused, forward passes, seconds and memory; measures nothing.

    Replicates are those of the next look. A cost that nobody knows is shown as unknown.
    """
    from tabulate import tabulate

    lines = plan(items, session)
    heads = ["item", "to the next look", "reused", "forward passes", "seconds", "MB", "from"]
    told = [tabulate([_row(line) for line in lines], headers=heads, tablefmt="simple")]
    passes, seconds = (sum(line.total(name) or 0.0 for line in lines) for name in ("forward_passes", "seconds"))
    memory = max((line.memory or 0.0 for line in lines), default=0.0)
    unknown = sum(line.missing > 0 and line.cost is None for line in lines)
    told.append(
        f"in all: {passes:.0f} forward passes, {seconds:.0f} s of one core, {memory:.0f} MB at most"
        + (f"; {unknown} {'item' if unknown == 1 else 'items'} of unknown cost" if unknown else "")
    )
    if any(line.source in ("probe", "config") for line in lines) and (load := busy()):
        told.append(f"the machine is busy ({load}): seconds are processor time, and will be more while it is")
    told += [_grows(name, pace) for name, pace in {line.item.subject.name: line.pace for line in lines}.items() if pace]
    retrained = sorted({(i.subject.name, s) for i in items for s in session.recorded.seeds(i.subject)})
    if retrained:
        told.append("retrained to check recorded weights: " + ", ".join(f"{name} seed {seed}" for name, seed in retrained))
    return "\n".join(told)


def _grows(model: str, pace: Pace) -> str:
    """What a sequence takes, and what a longer one does: claims with longer prompts take more than the table says."""
    said = f"{model}: a sequence of {LENGTH} tokens takes {pace.seconds:.3g} s"
    if pace.longer is None:
        return said
    tokens, seconds = pace.longer
    return f"{said}, one of {tokens} tokens {seconds:.3g} s ({seconds / pace.seconds:.1f} times as long)"


def _row(line: Line) -> list[str]:
    subject = line.item.subject
    unit = subject.unit + ("" if line.wants == 1 else "s" if subject.seeded else "es")

    def shown(value: float | None, digits: int) -> str:
        return "unknown" if value is None or line.cost is None else f"{value:.{digits}f}"

    return [
        line.item.id.rpartition("/")[2],
        f"{line.wants} {unit}",
        str(line.reused),
        shown(line.total("forward_passes"), 0),
        shown(line.total("seconds"), 1),
        shown(line.memory, 0),
        line.source,
    ]


def _costs(item: Item) -> Mapping[str, Mapping[str, Any]]:
    found: Mapping[str, Mapping[str, Any]] = committed.read(committed.folder_of(item.claim), committed.COSTS).get(
        item.claim.name, {}
    )
    return found


def _committed(item: Item) -> dict[str, float] | None:
    """The committed cost of a replicate; a user's model is not taken for a shipped one of the same name."""
    if item.subject.kind == "model":
        from ..subjects.shipped import shipped_models

        shipped = shipped_models().get(item.subject.name)
        if shipped is None or item.subject.path not in (str(shipped), item.subject.name):
            return None
    costs = _costs(item)
    found = costs.get(item.label) or costs.get(item.subject.name)
    return {name: float(value) for name, value in found.items()} if found else None


def _passes(item: Item) -> float | None:
    """Forward passes of a replicate of this claim, or of this kind of control, where it took most; None where unknown."""
    costs = _costs(item)
    kind = f"{item.control.kind}: " if item.control else ""
    own = [entry for label, entry in costs.items() if (label.startswith(kind) if kind else ": " not in label)]
    known = own or list(costs.values())
    return max((float(entry["forward_passes"]) for entry in known), default=None)
