"""The one rule of judgement: where the interval of the typical effect lies relative to the region.

Judging reads replicates in index order, stops at the first decision of the schedule and ignores any surplus, so that
topping up a store never changes a verdict that was reached.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from ..effect import Value
from ..errors import DeclarationError, EffectError
from ..region import MOST_EFFECTS, Region
from .betting import Array
from .clusters import by_cluster
from .designs import Design, Seeds
from .prompts import judge_prompts
from .seeds import judge_seeds
from .summary import Judgement


def judge(
    replicates: Sequence[Mapping[str, Value]],
    regions: Mapping[str, Region],
    design: Design,
    clusters: Sequence[Hashable] | None = None,
) -> Judgement:
    """The verdict on `replicates`, in index order, against one region for each effect.

    Args:
        clusters: of each prompt batch, the template it comes from. Then a whole template is the replicate (see
            `by_cluster`), and what the judgement counts are templates.

    Raises `EffectError` when a replicate lacks an effect, `DeclarationError` for no or more than three effects, or
    clusters of seeds.
    """
    if not 1 <= len(regions) <= MOST_EFFECTS:
        raise DeclarationError(f"a claim has one to {MOST_EFFECTS} judged effects, found {len(regions)}")
    unit = "prompt batch"
    if clusters is not None:
        if isinstance(design, Seeds):
            raise DeclarationError("clusters are of prompt batches; average what is nested in a seed")
        replicates, unit = by_cluster(replicates, clusters, design.per_cluster), "template"
    ends = {name: _ends(name, replicates[: design.most]) for name in regions}
    have = min(len(replicates), design.most)
    if isinstance(design, Seeds):
        return judge_seeds(ends, regions, design, have)
    return judge_prompts(ends, regions, design, have, unit)


def _ends(name: str, replicates: Sequence[Mapping[str, Value]]) -> tuple[Array, Array]:
    """Lower and upper ends of one effect, each of shape [replicates]."""
    try:
        values = [replicate[name] for replicate in replicates]
    except KeyError:
        raise EffectError(f"a replicate has no effect {name!r}; each must give every judged effect") from None
    return np.array([v.low for v in values], dtype=np.float64), np.array([v.high for v in values], dtype=np.float64)
