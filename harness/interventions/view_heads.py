"""Views without some heads: as wholes, by group, or by row."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from ..errors import DeclarationError
from .changes import Patch
from .heads import Head, removal
from .view import View

if TYPE_CHECKING:
    import torch
    from numpy.random import Generator
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")


class HeadViews(View):
    """Removing heads."""

    def without(self, heads: Iterable[Head], mode: str = "resample", rng: Generator | None = None) -> Self:
        """The model with the outputs of these query heads replaced in every forward pass. Views nest.

        Values come from the plain run of the model on the same ids, also in a view of a view, so the order of nesting
        is free; where two removals name one head, the later one holds. One view always resamples in the same way.

        Args:
            heads: (layer, head) pairs.
            mode: "resample", "mean", "position mean" or "zero"; see `Removal`.
            rng: draws which row each row takes its donor from. One number is drawn in every mode, so variants of a
                claim that only differ in the mode stay paired.

        Raises:
            DeclarationError: heads out of range, an empty set, an unknown mode, resampling without rng.
            InvalidMeasurement: from the view's passes, when a receipt says that the removal did not happen.
        """
        seed = None if rng is None else int(rng.integers(2**63))
        made = removal(heads, mode, seed, self.layers, self.heads)
        return self._with((*self.removals, made), self.changes)

    def only(self, heads: Iterable[Head], layers: Iterable[int], mode: str = "resample", rng: Generator | None = None) -> Self:
        """The model without all other heads of these layers; see `without`."""
        kept = {(int(layer), int(head)) for layer, head in heads}
        every = [(layer, head) for layer in layers for head in range(self.heads)]
        return self.without([head for head in every if head not in kept], mode, rng)

    def without_groups(self, groups: Iterable[tuple[int, int]], mode: str = "resample", rng: Generator | None = None) -> Self:
        """The model without all query heads of these (layer, key-value group) pairs; see `without`."""
        each = self.heads // self.kv_heads
        heads = []
        for layer, group in groups:
            if not 0 <= operator.index(group) < self.kv_heads:
                raise DeclarationError(
                    f"key-value group {layer}.{group} is out of range: each layer has groups 0 to {self.kv_heads - 1}"
                )
            heads += [(layer, group * each + part) for part in range(each)]
        return self.without(heads, mode, rng)

    def without_by_row(self, mask: Any, mode: str = "resample", rng: Generator | None = None) -> Self:
        """Row i of a run loses the heads of mask[i], so that one batch carries many variants.

        Args:
            mask: bool [n, layers, heads]; runs must have n rows. Rows without any stay plain.
            mode: as for `without`; means are over all rows of the run.
        """
        seed = None if rng is None else int(rng.integers(2**63))
        tensor = torch.as_tensor(mask)
        if tensor.dtype != torch.bool or tensor.dim() != 3 or tuple(tensor.shape[1:]) != (self.layers, self.heads):
            raise DeclarationError(
                f"a mask of heads by row is bool [n, {self.layers} layers, {self.heads} heads]; {tensor.dtype} "
                f"{tuple(tensor.shape)} was given"
            )
        sites = [f"L{layer}.z" for layer in range(self.layers) if bool(tensor[:, layer].any())]
        if not sites:
            raise DeclarationError("an empty set of heads was to be removed: the mask names none")
        text = f"without by row {int(tensor.sum())} heads in {len(tensor)} rows ({mode})"
        found, source = self._sites(sites), self._source(mode, seed)
        return self._changed(Patch(found, text, source, rows=len(tensor), row_mask=tensor.clone()))
