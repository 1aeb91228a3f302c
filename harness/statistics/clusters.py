"""Clusters: prompts made from one template are alike, so the template is the replicate, not the prompt."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from ..effect import Value
from ..errors import EffectError


def by_cluster(replicates: Sequence[Mapping[str, Value]], clusters: Sequence[Hashable], size: int) -> list[dict[str, Value]]:
    """One replicate for each cluster: the average effects of its first `size` members.

    Clusters count in the order in which they become complete; one with fewer members is not counted yet and further
    members are ignored, so that topping up a store changes no replicate. Of an event the average is its share. Raises
    `EffectError` when replicates and cluster labels differ in number.
    """
    if len(replicates) != len(clusters):
        raise EffectError(f"each of {len(replicates)} replicates needs a cluster, found {len(clusters)} labels")
    members: dict[Hashable, list[Mapping[str, Value]]] = {}
    complete = []
    for replicate, label in zip(replicates, clusters, strict=True):
        group = members.setdefault(label, [])
        group.append(replicate)
        if len(group) == size:
            complete.append(_average(group))
    return complete


def _average(group: Sequence[Mapping[str, Value]]) -> dict[str, Value]:
    n = len(group)
    common = [name for name in group[0] if all(name in one for one in group)]
    return {name: Value(sum(one[name].low / n for one in group), sum(one[name].high / n for one in group)) for name in common}
