"""Removing heads: what is replaced by what. Outputs are meant before the output projection, so its bias stays."""

from __future__ import annotations

import difflib
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DeclarationError, InvalidMeasurement, UsageError
from .padding import Batch, wide

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

Head = tuple[int, int]
MODES = ("resample", "mean", "position mean", "zero")


@dataclass(frozen=True)
class Removal:
    """Query heads to remove, and how.

    zero: the output becomes zero. mean: the mean over all rows and positions of the model's plain run on the same ids.
    position mean: that over all rows, for each position. resample: the plain run's output of another row at the same
    position; `seed` fixes which row.
    """

    heads: tuple[Head, ...]
    mode: str
    seed: int = 0

    def __str__(self) -> str:
        return f"without {names(self.heads)} ({self.mode})"


@dataclass(frozen=True)
class Write:
    """What one removal writes at one layer: `values` is [rows, seq, k, head_dim] for its k heads, or [k, head_dim]."""

    removal: int
    heads: tuple[int, ...]
    values: torch.Tensor

    def of(self, rows: slice) -> torch.Tensor:
        """The values for some of the rows, [rows or 1, seq or 1, k, head_dim]."""
        return self.values[rows] if self.values.dim() == 4 else self.values[None, None]


def removal(heads: Iterable[Any], mode: str, seed: int | None, layers: int, per_layer: int) -> Removal:
    """A checked removal; DeclarationError names the heads or the mode that do not exist."""
    if mode not in MODES:
        near = difflib.get_close_matches(str(mode), MODES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise DeclarationError(f"ablation mode {mode!r} is unknown: use {', '.join(MODES)}{hint}")
    if mode == "resample" and seed is None:
        raise DeclarationError("resample ablation draws which row each row takes its donor from: pass rng=, or another mode")
    found: set[Head] = set()
    for pair in heads:
        try:
            layer, head = (operator.index(number) for number in pair)
        except (TypeError, ValueError):
            raise DeclarationError(f"a head is a pair (layer, head) of integers; {pair!r} was given") from None
        if not (0 <= layer < layers and 0 <= head < per_layer):
            raise DeclarationError(
                f"head {layer}.{head} is out of range: the subject has layers 0 to {layers - 1}, each with query heads "
                f"0 to {per_layer - 1}"
            )
        found.add((layer, head))
    if not found:
        raise DeclarationError("an empty set of heads was to be removed: name at least one (layer, head)")
    return Removal(tuple(sorted(found)), mode, seed or 0)


def resolved(removals: Sequence[Removal]) -> dict[int, dict[int, int]]:
    """layer -> head -> number of the removal that writes there: of two that name one head, the later."""
    found: dict[int, dict[int, int]] = {}
    for number, made in enumerate(removals):
        for layer, head in made.heads:
            found.setdefault(layer, {})[head] = number
    return found


def writes(
    removals: Sequence[Removal], plain: Mapping[int, torch.Tensor], kept: Mapping[int, Sequence[int]], batch: Batch
) -> dict[int, list[Write]]:
    """What is written at each layer.

    Args:
        plain: by layer, the plain run's outputs [rows, seq, k, head_dim], in token order, of the heads that `kept`
            names; of all rows where a mean or a resampling needs them.
        batch: the run.
    """
    found: dict[int, list[Write]] = {}
    lengths, own = batch.lengths.tolist(), torch.arange(len(batch))
    drawn = {m.seed: torch.from_numpy(donors(lengths, m.seed)) for m in removals if m.mode == "resample"}
    for layer, owners in resolved(removals).items():
        for number in sorted(set(owners.values())):
            heads = tuple(sorted(head for head, owner in owners.items() if owner == number))
            outputs = plain[layer][:, :, [list(kept[layer]).index(head) for head in heads]]
            made = removals[number]
            if made.mode == "zero":
                values = torch.zeros_like(outputs[0, 0])
            elif made.mode == "mean":
                values = _mean(outputs, batch.real)
            elif made.mode == "position mean":
                values = _mean(outputs, batch.real, (0,)).expand_as(outputs)
            else:
                values = outputs[drawn[made.seed].to(outputs.device)]
                if bool((drawn[made.seed] == own).any()):
                    raise InvalidMeasurement(f"{made}: a row would get its own output back")
            found.setdefault(layer, []).append(Write(number, heads, values))
    return found


def derangement(n: int, seed: int) -> NDArray[np.int64]:
    """A uniformly drawn permutation of n rows that leaves none in its place; UsageError for fewer than two."""
    if n < 2:
        raise UsageError(f"resample ablation needs at least 2 rows, each row's donor is another one; {n} given")
    rng = np.random.default_rng(seed)
    place = np.arange(n)
    while True:  # about one permutation in e has no fixed point
        order = rng.permutation(n)
        if not np.any(order == place):
            return order.astype(np.int64)


def donors(lengths: Sequence[int], seed: int) -> NDArray[np.int64]:
    """For each row another one of the same length, as `derangement` draws them; UsageError for a row that is alone."""
    found, every = np.empty(len(lengths), dtype=np.int64), np.asarray(lengths)
    for length in sorted(set(lengths)):
        rows = np.flatnonzero(every == length)
        if len(rows) == 1 and len(lengths) > 1:
            raise UsageError(
                f"resample ablation takes each row's donor among the rows of its length, and row {rows[0]} alone has "
                f"{length} tokens: pass rows of one length, or another mode"
            )
        found[rows] = rows[derangement(len(rows), seed)]
    return found


def names(heads: Sequence[Head]) -> str:
    """Heads as a reader writes them: `1.3 1.5`."""
    return " ".join(f"{layer}.{head}" for layer, head in heads)


def _mean(outputs: torch.Tensor, real: torch.Tensor | None, over: tuple[int, ...] = (0, 1)) -> torch.Tensor:
    """[k, head_dim] over rows and tokens (or what is left), summed in float64 where the device has it."""
    exact = torch.float32 if outputs.device.type == "mps" else torch.float64
    if real is None:
        return outputs.mean(dim=over, dtype=exact).to(outputs.dtype)
    mask = wide(real, outputs)
    total = outputs.masked_fill(~mask, 0).sum(over, dtype=exact)
    return (total / mask.sum(over).clamp_min(1)).to(outputs.dtype)
