"""Loss and metrics of token rows: next-token cross-entropy at the targets, accuracy and loss of every mark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .streams import Batch

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

_ROUND = 32  # targets are filled up to a multiple, so that batches of few shapes occur


def is_transformers(model: Any) -> bool:
    """Whether a network is a language model of transformers, with a body and an unembedding."""
    return hasattr(model, "lm_head") and hasattr(model, "base_model")


def token_logits(model: Any, ids: torch.Tensor) -> torch.Tensor:
    """Logits [n, t, vocab] of a transformers model, or of a module that takes ids and gives logits."""
    if is_transformers(model):
        logits: torch.Tensor = model(input_ids=ids, use_cache=False).logits
        return logits
    found: torch.Tensor = model(ids)
    return found


def token_loss(model: Any, batch: Batch) -> torch.Tensor:
    """Mean cross-entropy over the targets, by one whole pass of the model, as clamps need it."""
    ids, places = torch.from_numpy(batch.ids), torch.from_numpy(batch.targets[:, 1:])
    return torch.nn.functional.cross_entropy(token_logits(model, ids)[:, :-1][places], ids[:, 1:][places])


def short_token_loss(model: Any, batch: Batch) -> torch.Tensor:
    """The same for transformers models that nothing is done to inside.

    The unembedding is computed only where a target stands: with one target a row that is most of the work saved.
    """
    ids, places = torch.from_numpy(batch.ids), torch.from_numpy(batch.targets[:, 1:])
    hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    return torch.nn.functional.cross_entropy(model.lm_head(hidden[places]), ids[:, 1:][places])


def placed_tokens(batches: Sequence[Batch]) -> dict[str, torch.Tensor]:
    """Token rows of several seeds as arrays of one shape: ids, the places that predict a target, the targets, their weights."""
    width = batches[0].ids.shape[1]
    found = [np.nonzero(np.pad(batch.targets[:, 1:], ((0, 0), (1, 0)))) for batch in batches]
    most = -(-max(len(rows) for rows, _ in found) // _ROUND) * _ROUND
    places, targets = np.zeros((len(batches), most), np.int64), np.zeros((len(batches), most), np.int64)
    weights = np.zeros((len(batches), most), np.float32)
    for seed, (batch, (rows, columns)) in enumerate(zip(batches, found, strict=True)):
        places[seed, : len(rows)] = rows * width + columns - 1
        targets[seed, : len(rows)] = batch.ids[rows, columns]
        weights[seed, : len(rows)] = 1.0 / max(len(rows), 1)
    arrays = {"ids": np.stack([batch.ids for batch in batches]), "places": places, "targets": targets, "weights": weights}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def placed_token_loss(model: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The loss of token rows as `placed_tokens` gives them, without a step whose shape depends on values."""
    ids = batch["ids"]
    if is_transformers(model):
        width = ids.shape[1]  # the mask is given, since transformers looks at values to make one
        future = torch.full((width, width), torch.finfo(torch.float32).min).triu(1)
        hidden = model.base_model(input_ids=ids, attention_mask=future[None, None], use_cache=False).last_hidden_state
        logits = model.lm_head(hidden.flatten(0, 1)[batch["places"]])
    else:
        logits = model(ids).flatten(0, 1)[batch["places"]]
    loss = torch.nn.functional.cross_entropy(logits, batch["targets"], reduction="none")
    return (loss * batch["weights"]).sum()


def token_metrics(model: Any, batch: Batch, rows: int = 64) -> dict[str, float]:
    """Loss in nats over the targets, and loss and accuracy (first choice among all tokens) of every mark.

    A mark without a place in this batch is left out.
    """
    sums: dict[str, list[float]] = {}
    for start in range(0, len(batch.ids), rows):
        part = slice(start, start + rows)
        ids = torch.from_numpy(batch.ids[part])
        logits = token_logits(model, ids)[:, :-1].float()
        loss = torch.nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none").double()
        right = logits.argmax(-1) == ids[:, 1:]
        for name, mask in {"": batch.targets, **batch.marks}.items():
            places = torch.from_numpy(mask[part][:, 1:])
            total = sums.setdefault(name, [0.0, 0.0, 0.0])
            total[0] += float(places.sum())
            total[1] += float(loss[places].sum())
            total[2] += float(right[places].sum())
    metrics = {"loss": sums[""][1] / max(sums[""][0], 1.0)}
    for name, (count, loss_sum, right_sum) in sums.items():
        if name and count:
            metrics |= {f"{name} loss": loss_sum / count, f"{name} accuracy": right_sum / count}
    return metrics
