"""Loss and metrics of token rows: next-token cross-entropy at the targets, accuracy and loss of every mark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .streams import Batch

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")


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
