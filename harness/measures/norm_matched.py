"""Heads whose outputs are as large as those of given heads: large outputs may hurt when they are removed, whatever they do.

The norm of a head is that of what it adds to the residual stream, behind the output projection (and the norm behind that, where
a family has one): before it, heads whose outputs the projection reads faintly would look as large as others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import NotApplicable, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import optimize

    from ..subjects.lm import LM

    Norms = NDArray[np.float64]
else:
    from ..lazy import LazyModule

    optimize = LazyModule("scipy.optimize")

Head = tuple[int, int]
#: Norms below this part of the largest are that: of heads that write nothing no logarithm could be taken.
SILENT = 1e-6


def output_norms(lm: LM, ids: Any, layers: Iterable[int]) -> Norms:
    """Mean norm, over the tokens of these sequences, of what each head of these layers adds, [layers, heads]; nan in others.

    What a head adds is what attention adds beyond the same layer without this head (zeroed).

    Args:
        ids: as for `LM.logits`; padding does not count.
    """
    found = np.full((lm.layers, lm.heads), np.nan)
    tokens = int(np.asarray(ids["attention_mask"]).sum()) if isinstance(ids, Mapping) else int(np.prod(np.shape(ids)))
    for layer in sorted(set(layers)):
        (whole,) = lm.activations(ids, f"L{layer}.attn").values()
        for head in range(lm.heads):
            (rest,) = lm.without([(layer, head)], mode="zero").activations(ids, f"L{layer}.attn").values()
            found[layer, head] = float((whole - rest).double().norm(dim=-1).sum()) / tokens
    return found


def norm_matched_heads(norms: Norms, targets: Iterable[Head], forbidden: Iterable[Head] = ()) -> list[Head]:
    """To each target another head of its layer, none of them forbidden and none twice, so that log norms differ least in all.

    Args:
        norms: of `output_norms`, [layers, heads]; those of the targets' layers must be known.

    Returns:
        Heads in the order of the targets. Of equal ones the first is taken.

    Raises:
        NotApplicable: a layer has fewer other heads than targets, as for matched random sets.
    """
    chosen = list(dict.fromkeys(targets))
    if not chosen:
        raise UsageError("heads matched on norm: 0 heads to match; need at least one")
    layers, heads = norms.shape
    barred = {*chosen, *forbidden}
    if outside := [head for head in barred if not (0 <= head[0] < layers and 0 <= head[1] < heads)]:
        raise UsageError(f"head {outside[0]} is out of range: there are norms of {layers} layers of {heads} heads")
    found: dict[Head, Head] = {}
    for layer in sorted({layer for layer, _ in chosen}):
        mine = [head for head in chosen if head[0] == layer]
        free = [(layer, head) for head in range(heads) if (layer, head) not in barred]
        if len(free) < len(mine):
            raise NotApplicable(f"a set matched on norm needs {len(mine)} other heads of layer {layer}, which has {len(free)} left")
        if not np.isfinite(norms[layer]).all():
            raise UsageError(f"heads matched on norm: the norms of layer {layer} are not known")
        apart = np.abs(np.subtract.outer(_logs(norms, mine), _logs(norms, free)))
        found.update((mine[row], free[column]) for row, column in zip(*optimize.linear_sum_assignment(apart), strict=True))
    return [found[head] for head in chosen]


def norm_ratio(norms: Norms, targets: Iterable[Head], matched: Iterable[Head]) -> float:
    """Geometric mean of the targets' norms over that of the heads in their place: 1 where the match is perfect in the mean."""
    return float(np.exp(_logs(norms, list(targets)).mean() - _logs(norms, list(matched)).mean()))


def _logs(norms: Norms, heads: list[Head]) -> Norms:
    """Log norms of heads; what is silent is as large as the least that is not."""
    values = np.array([norms[head] for head in heads])
    least = max(SILENT * float(np.nanmax(norms)), np.finfo(float).tiny)
    return np.asarray(np.log(np.maximum(values, least)))
