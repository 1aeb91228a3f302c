"""Removing heads: their outputs, before the output projection, are replaced by zero, a mean, or another sequence's."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import DeclarationError, InvalidMeasurement
from .receipts import names

if TYPE_CHECKING:
    import torch

Head = tuple[int, int]
Mode = Literal["resample", "mean", "zero"]
MODES = ("resample", "mean", "zero")


@dataclass(frozen=True)
class Removal:
    """Heads to remove and how. Biases of the output projection stay.

    zero: output zero. mean: the plain run's mean over all rows and positions of the same ids. resample: the plain run's
    output of another row at the same position; which row is a derangement drawn from `seed`.
    """

    heads: tuple[Head, ...]
    mode: str
    seed: int = 0

    def __str__(self) -> str:
        return f"without {names(self.heads)} ({self.mode})"

    @property
    def by_layer(self) -> Mapping[int, list[int]]:
        found: dict[int, list[int]] = {}
        for layer, head in self.heads:
            found.setdefault(layer, []).append(head)
        return found


def removal(heads: Iterable[Any], mode: str, seed: int, layers: int, per_layer: int) -> Removal:
    """A checked removal; DeclarationError names the heads or the mode that do not exist."""
    if mode not in MODES:
        near = difflib.get_close_matches(str(mode), MODES, n=1)
        raise DeclarationError(
            f"ablation mode {mode!r} is unknown: use {', '.join(MODES)}" + (f"; did you mean {near[0]!r}?" if near else "")
        )
    found = sorted({(int(layer), int(head)) for layer, head in heads})
    if not found:
        raise DeclarationError("an empty set of heads was to be removed: name at least one (layer, head)")
    for layer, head in found:
        if not (0 <= layer < layers and 0 <= head < per_layer):
            raise DeclarationError(
                f"head {layer}.{head} is out of range: the subject has layers 0 to {layers - 1} with heads 0 to {per_layer - 1}"
            )
    return Removal(tuple(found), mode, seed)


def derangement(n: int, seed: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """A random permutation of rows that leaves none in its place; needs two rows."""
    if n < 2:
        raise InvalidMeasurement("resample ablation needs at least two sequences: each takes its donor from another")
    order = np.random.default_rng(seed).permutation(n)
    donors = np.empty(n, dtype=np.int64)
    donors[order] = np.roll(order, 1)
    return donors


def replacements(removal: Removal, plain: Mapping[int, torch.Tensor], n: int) -> dict[int, torch.Tensor | float]:
    """What to write at each layer: 0.0, a mean [heads, head_dim], or donors [n, seq, heads, head_dim].

    Args:
        plain: the plain run's outputs of the removed heads, [n, seq, heads, head_dim], by layer.
    """
    import torch

    if removal.mode == "zero":
        return dict.fromkeys(removal.by_layer, 0.0)
    if removal.mode == "mean":
        return {layer: output.double().mean(dim=(0, 1)).to(output.dtype) for layer, output in plain.items()}
    donors = torch.from_numpy(derangement(n, removal.seed))
    return {layer: output[donors.to(output.device)] for layer, output in plain.items()}
