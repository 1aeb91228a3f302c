"""Judging: stored replicates of one item, replayed in index order, become a verdict. Nothing is measured here."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..effect import Value
from ..verdict import Verdict
from .measure import Replicate, differs

if TYPE_CHECKING:
    from ..statistics import Judgement, Prompts, Seeds
    from .item import Item

#: A family in which more than this share of the seeds fails a precondition does not bear the claim (DESIGN section 7).
MOST_FAILING = 0.25


@dataclass(frozen=True)
class Standing:
    """Where an item stands: its verdict on the replicates so far, and whether more of them are worth measuring."""

    verdict: Verdict
    reason: str
    wants: int  # replicates in total worth having; equal to how many there are when it is final
    judgement: Judgement | None = None
    variants: Mapping[str, Judgement] = field(default_factory=dict)
    used: tuple[int, ...] = ()


def stand(item: Item, replicates: Sequence[Replicate], design: Seeds | Prompts, seeds: int | None) -> Standing:
    """Judge an item on its replicates 0, 1, 2, ... so far.

    Args:
        design: how replicates are looked at.
        seeds: how many the family has; None on a given model.
    """
    n = len(replicates)
    if gap := _missing(replicates):
        return Standing(Verdict.INVALID, gap, n)
    if problem := _problem(replicates):
        verdict, reason = problem
        if verdict is not Verdict.NOT_APPLICABLE or seeds is None or _uniform(replicates):
            return Standing(verdict, reason, n)
    passing, failing = _parted(replicates)
    if failing and seeds is None:
        return Standing(Verdict.NOT_APPLICABLE, unmet(item, failing[0]), n)
    if seeds is not None and len(failing) > MOST_FAILING * n and n >= _at_first(design, None):
        return Standing(Verdict.NOT_APPLICABLE, f"{len(failing)} of {n} seeds fail a precondition: {unmet(item, failing[0])}", n)
    return _judged(item, replicates, passing, design, seeds)


def replay(
    stored: Callable[[int], Replicate | None],
    judge: Callable[[Sequence[Replicate]], Standing],
    design: Seeds | Prompts,
    seeds: int | None,
) -> tuple[Standing, list[Replicate]]:
    """Where an item stands on what is stored, and the replicates that this takes: as if judged after each of them.

    While all replicates pass, judging cannot end between two looks; so it is done at looks only, and of
    prompt batches (of which each one is a look) once for all, a decision being found by bisection: a further batch never
    changes one.

    Args:
        stored: replicate of an index, None where it is missing.
        judge: where the item stands on the replicates so far.
        seeds: how many the family has; None on a given model.
    """
    by_looks, most = hasattr(design, "looks"), design.most * getattr(design, "per_cluster", 1)
    replicates: list[Replicate] = []
    standing, wants = None, _at_first(design, seeds)
    while (have := len(replicates)) < wants:
        ahead: list[Replicate] = []
        target = wants if by_looks else most
        if not all(replicate.passed for replicate in replicates):
            target = have + 1  # the share of those that fail may end it at any seed
        while have + len(ahead) < target:
            found = stored(have + len(ahead))
            if found is None:
                break
            ahead.append(found)
            if not found.passed:
                break
        if not ahead:
            break
        standing = judge([*replicates, *ahead])
        used = len(ahead)
        if standing.judgement is None or not (by_looks or standing.wants > have + used):
            standing, used = _first_end(replicates, ahead, judge, bisect=standing.judgement is not None)
        replicates += ahead[:used]
        wants = standing.wants
    return standing or judge([]), replicates


def _at_first(design: Seeds | Prompts, seeds: int | None) -> int:
    """How many replicates are wanted where there are none yet: those of the first look."""
    from ..statistics import next_look

    wants = (next_look(0, design) or 0) * getattr(design, "per_cluster", 1)
    return wants if seeds is None else min(wants, seeds)


def _first_end(
    have: Sequence[Replicate], ahead: Sequence[Replicate], judge: Callable[[Sequence[Replicate]], Standing], bisect: bool
) -> tuple[Standing, int]:
    """Where an item stands after the first of the replicates ahead that ends the judging, and which it is; else after all.

    Args:
        bisect: whether all of them end it, and what follows the first goes on to.
    """
    found: dict[int, Standing] = {}

    def ends(n: int) -> bool:
        found[n] = judge([*have, *ahead[:n]])
        return found[n].wants <= len(have) + n

    every = range(1, len(ahead) + 1)
    first = every[bisect_left(every, True, key=ends)] if bisect else next(filter(ends, every), len(ahead))
    return found[first], first


def _judged(
    item: Item, replicates: Sequence[Replicate], passing: Sequence[Replicate], design: Seeds | Prompts, seeds: int | None
) -> Standing:
    from ..statistics import agrees, judge, next_look

    n = len(replicates)
    size = item.per_cluster
    judgement = judge([effects_of(replicate) for replicate in passing], item.claim.holds, design, _templates(item, passing))
    wants = n
    if not judgement.decided:
        target = next_look(len(passing) // size, design)
        assert target is not None  # what is undecided has a further look
        wants = n + target * size - len(passing)  # a seed that fails a precondition is replaced by a further one
        if seeds is not None:
            wants = min(wants, seeds)
    variants = {} if item.control else _variants(item, passing, design)
    verdict, reason = judgement.verdict, judgement.reason
    if verdict is Verdict.SUPPORTED and item.control is None:
        for variant in item.claim.variants:
            found = variants.get(variant.name)
            if variant.binding and (found is None or not agrees(judgement, found)):
                verdict = Verdict.INCONCLUSIVE
                said = "could not be measured" if found is None else "points the other way"
                reason = f"the binding variant {variant.name!r} {said}; otherwise: {reason}"
    if len(passing) < n and verdict in (Verdict.SUPPORTED, Verdict.REFUTED):
        shown = [effects_of(replicate) for replicate in replicates if not replicate.fatal]
        other = judge(shown, item.claim.holds, design).verdict  # of seeds, which have no templates
        if {verdict, other} == {Verdict.SUPPORTED, Verdict.REFUTED}:
            verdict = Verdict.INCONCLUSIVE
            reason = f"all seeds together, those that fail a precondition included, come out {other}; otherwise: {reason}"
    used = tuple(replicate.index for replicate in passing[: judgement.n * size])
    if verdict is Verdict.INCONCLUSIVE:
        reason += _could_have_seen(item, judgement)
    return Standing(verdict, reason, wants, judgement, variants, used)


def _parted(replicates: Sequence[Replicate]) -> tuple[list[Replicate], list[Replicate]]:
    """Those that pass all preconditions, and those that do not."""
    passing: list[Replicate] = []
    failing: list[Replicate] = []
    for replicate in replicates:
        (passing if replicate.passed else failing).append(replicate)
    return passing, failing


def _templates(item: Item, replicates: Sequence[Replicate]) -> list[int] | None:
    """The template of each prompt batch; None where each one is a replicate."""
    return None if item.per_cluster == 1 else [replicate.index // item.per_cluster for replicate in replicates]


def _could_have_seen(item: Item, judgement: Judgement) -> str:
    """From which distance to an edge this spread and number would have decided, beside the d* that the claim states."""
    said = []
    for name, distance in (judgement.detectable or {}).items():
        stated = item.claim.distance.get(name)
        of = "" if len(item.claim.holds) == 1 else f"{name} "
        said.append(f"{of}{distance:.3g} or more from the edge" + ("" if stated is None else f" (d* is {stated:.3g})"))
    return f"; it would have seen {', '.join(said)}" if said else ""


def _problem(replicates: Sequence[Replicate]) -> tuple[Verdict, str] | None:
    worst: tuple[Verdict, str] | None = None
    for replicate in replicates:
        found = replicate.fatal
        if found is not None:
            verdict = Verdict(found["problem"]["verdict"])
            said = (verdict, f"replicate {replicate.index}: {found['problem']['reason']}")
            if verdict is not Verdict.NOT_APPLICABLE:
                return said
            worst = worst or (verdict, found["problem"]["reason"])
        rerun = replicate.parts.get("rerun:")
        effect = replicate.parts.get("effect:") if rerun else None
        if rerun and effect and not found and (name := differs(effect["effects"], rerun["effects"])):
            return Verdict.INVALID, f"not pure: a rerun of replicate {replicate.index} gave another value of {name!r}"
    if same := _copies(replicates):
        return Verdict.INVALID, same
    return worst


def _missing(replicates: Sequence[Replicate]) -> str | None:
    """What is lacking of a whole series 0, 1, 2, ... of replicates; a rest of one is not evidence."""
    have = {replicate.index for replicate in replicates}
    whole = max(have, default=-1) + 1
    if len(have) == whole:
        return None
    return f"replicates are missing: {', '.join(str(index) for index in range(whole) if index not in have)} of {whole}"


def _copies(replicates: Sequence[Replicate]) -> str | None:
    """Two replicates that are one: seeds of a trained family with the same weights, or the same random numbers drawn."""
    for what, said in (("network", "are the same network"), ("drawn", "drew the same random numbers")):
        first: dict[str, int] = {}
        for replicate in replicates:
            mark = replicate.parts.get("effect:", {}).get(what)
            if mark is not None and (other := first.setdefault(mark, replicate.index)) != replicate.index:
                return f"replicates {other} and {replicate.index} {said}: they are one replicate, not two"
    return None


def _uniform(replicates: Sequence[Replicate]) -> bool:
    """Whether the very first seeds all say NOT_APPLICABLE, so that no further seed can change it."""
    return len(replicates) >= 2 and all(replicate.fatal for replicate in replicates)


def _variants(item: Item, passing: Sequence[Replicate], design: Seeds | Prompts) -> dict[str, Judgement]:
    from ..statistics import judge

    found: dict[str, Judgement] = {}
    for variant in item.claim.variants:
        part = f"variant:{variant.name}"
        with_it = [replicate for replicate in passing if "effects" in replicate.parts.get(part, {})]
        have = [effects_of(replicate, part) for replicate in with_it]
        if have:
            found[variant.name] = judge(have, item.claim.holds, design, _templates(item, with_it))
    return found


def effects_of(replicate: Replicate, part: str = "effect:") -> dict[str, Value]:
    """The effects of one replicate as values."""
    return {name: Value.from_json(ends) for name, ends in replicate.parts[part]["effects"].items()}


def unmet(item: Item, replicate: Replicate) -> str:
    """The first precondition a replicate fails, in words, with the measured value."""
    for requirement in item.claim.requires:
        body: dict[str, Any] | None = replicate.parts.get(f"requires:{requirement.name}")
        if body and body.get("passed") is False:
            value = body["value"]
            return f"needs {requirement.need}, found {'infinity' if value is None else f'{value:.3g}'}"
    found = replicate.fatal
    return str(found["problem"]["reason"]) if found else "no precondition failed"
