"""The two-pair label task: x1 y1 x2 y2 q, where q is x1 or x2 and its label is asked (ih-clamp, arXiv 2404.07129)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import NotApplicable, UsageError
from ..sweeps.reading import of_logits
from .swept import of_views, without_each

if TYPE_CHECKING:
    import torch
    from numpy.random import Generator
    from numpy.typing import NDArray

    from ..subjects.lm import LM

    Floats = NDArray[np.float64]
    Ids = NDArray[np.int64]
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

TASK = "two-pair labels"
QUERY = 4


@dataclass(frozen=True)
class Episodes:
    """ids int64 [n, 5] = x1 y1 x2 y2 q; the right label, positions (1 or 3) of right and wrong, [n]; label ids."""

    ids: Ids
    answer: Ids
    right: Ids
    wrong: Ids
    labels: Ids

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Kept:
    """Loss in nats and accuracy with a set of heads kept; each float64 [sets]."""

    loss: Floats
    accuracy: Floats


def episodes(lm: LM, rng: Generator, n: int, pairs: Literal["train", "held_out", "all"] = "all") -> Episodes:
    """`n` random episodes over label pairs that were trained on, held out, or both; both orders, both queries.

    NotApplicable when the subject was not built for this task (`lm.facts["task"]`).
    """
    facts: Any = lm.facts
    if facts.get("task") != TASK:
        raise NotApplicable(f'the task "{TASK}" is needed; this subject has {facts.get("task") or "no such task"}')
    if pairs not in ("train", "held_out", "all"):
        raise UsageError(f'label pairs "{pairs}" are unknown; use "train", "held_out" or "all"')
    items, labels = (np.asarray(facts[name], dtype=np.int64) for name in ("items", "labels"))
    named = [facts[name] for name in (("train_pairs", "held_out_pairs") if pairs == "all" else (f"{pairs}_pairs",))]
    known = np.array([pair for group in named for pair in group], dtype=np.int64).reshape(-1, 2)
    if len(known) == 0:
        raise NotApplicable(f'label pairs "{pairs}" are needed; this subject has none')
    if not np.isin(known, labels).all():
        raise UsageError("facts of the subject: label pairs must be given as label token ids")
    label = rng.permuted(known[rng.integers(len(known), size=n)], axis=1)
    first = rng.integers(len(items), size=n)
    item = items[np.stack([first, (first + rng.integers(1, len(items), n)) % len(items)], axis=1)]
    asked = rng.integers(2, size=n)
    rows = np.arange(n)
    ids = np.stack([item[:, 0], label[:, 0], item[:, 1], label[:, 1], item[rows, asked]], axis=1)
    return Episodes(ids, label[rows, asked], 1 + 2 * asked, 3 - 2 * asked, labels)


def label_accuracy(lm: LM, shown: Episodes) -> float:
    """Share of episodes in which the right label has the largest logit of all labels."""
    return _accuracy(_label_logits(lm, shown), shown)


def label_accuracies(lm: LM, views: Sequence[LM], shown: Episodes) -> Floats:
    """`label_accuracy` of each view of `lm`, in one sweep, [views]."""
    return np.array([_accuracy(each, shown) for each in _logits_of_views(lm, views, shown)])


def label_loss(lm: LM, shown: Episodes) -> float:
    """NLL of the right label among the labels, nats; ln 2 is a coin flip between the two shown."""
    return _loss(_label_logits(lm, shown), shown)


def label_strength(lm: LM, shown: Episodes) -> Floats:
    """Attention from the query to the right label minus to the wrong one, mean over episodes, [layers, heads]."""
    return _query_attention(lm, shown, [shown.right], [shown.wrong])


def item_attention(lm: LM, shown: Episodes) -> Floats:
    """Attention from the query to the two items, [layers, heads]: the rival predictor of sufficiency."""
    zero = np.zeros_like(shown.right)
    return _query_attention(lm, shown, [zero, zero + 2], [])


def with_heads_kept(
    lm: LM, shown: Episodes, sets: Sequence[Sequence[int]], layer: int = 1, mode: str = "zero", rng: Generator | None = None
) -> Kept:
    """Loss and accuracy with only these heads of the layer kept, for each set; one sweep, so that layers below run once."""
    gone = [[(layer, head) for head in range(lm.heads) if head not in set(kept)] for kept in sets]
    logits = _logits_of_views(lm, without_each(lm, gone, mode, rng), shown)
    return Kept(np.array([_loss(each, shown) for each in logits]), np.array([_accuracy(each, shown) for each in logits]))


def solo_accuracies(
    lm: LM, shown: Episodes, layer: int = 1, mode: str = "zero", rng: Generator | None = None
) -> Floats:
    """Accuracy with one head of the layer kept and its others removed, [heads].

    The source removes by zeroing; mean agrees. Resample does not fit: it puts other episodes' answers in the place of
    the removed heads, which one head cannot outvote.
    """
    return with_heads_kept(lm, shown, [[head] for head in range(lm.heads)], layer, mode, rng).accuracy


def without_one_accuracies(
    lm: LM, shown: Episodes, layer: int = 1, mode: str = "zero", rng: Generator | None = None
) -> Floats:
    """Accuracy with one head of the layer removed, [heads]."""
    heads = range(lm.heads)
    return with_heads_kept(lm, shown, [[kept for kept in heads if kept != gone] for gone in heads], layer, mode, rng).accuracy


def _accuracy(logits: Floats, shown: Episodes) -> float:
    return float((shown.labels[logits.argmax(1)] == shown.answer).mean())


def _loss(logits: Floats, shown: Episodes) -> float:
    logits = logits - logits.max(1, keepdims=True)
    right = logits[np.arange(len(shown)), (shown.labels[None, :] == shown.answer[:, None]).argmax(1)]
    return float((np.log(np.exp(logits).sum(1)) - right).mean())


def _label_logits(lm: LM, shown: Episodes) -> Floats:
    """float32 logits of the labels at the query, as float64 [n, labels]."""
    logits = lm.logits(torch.from_numpy(shown.ids))[:, QUERY]
    found: Floats = logits[:, torch.from_numpy(shown.labels)].double().cpu().numpy()
    return found


def _logits_of_views(lm: LM, views: Sequence[LM], shown: Episodes) -> Floats:
    """As `_label_logits`, of many views of `lm`, [views, n, labels]."""
    labels = torch.from_numpy(shown.labels)
    at_query = of_logits(lambda logits, *_: logits[:, 0, labels.to(logits.device)], [QUERY], "label logits")
    return of_views(lm, views, shown.ids, at_query)


def _query_attention(lm: LM, shown: Episodes, plus: Sequence[Ids], minus: Sequence[Ids]) -> Floats:
    """Attention from the query, summed over `plus` positions minus `minus` positions, mean over episodes."""
    found = np.zeros((len(shown), lm.layers, lm.heads))

    def read(layer: int, pattern: torch.Tensor, rows: slice) -> None:
        weights = pattern[:, :, QUERY].double().cpu().numpy()
        at = np.arange(len(weights))
        for sign, positions in ((1.0, plus), (-1.0, minus)):
            for position in positions:
                found[rows, layer] += sign * weights[at, :, position[rows]]

    lm.attend(torch.from_numpy(shown.ids), read)
    mean: Floats = found.mean(0)
    return mean
