"""Batches whose rows have unequal lengths. Inside instruments a position means the token, whatever column it stands in.

A batch keeps the layout in which the model runs it. Values that pass through an instrument are turned into *token
order* (token p of a row at place p, padding behind the last), changed there, and turned back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..errors import UsageError

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

@dataclass(frozen=True, eq=False)
class Batch:
    """Sequences as the model runs them.

    ids: [n, t], columns. begin, length: [n], the column of each row's first token and how many it has; None where no
    row is padded. options: what else the model is called with, one entry for each row.
    """

    ids: torch.Tensor
    begin: torch.Tensor | None = None
    length: torch.Tensor | None = None
    options: Mapping[str, torch.Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, given: torch.Tensor | Batch) -> Batch:
        """A batch from ids without padding, or the batch itself."""
        return given if isinstance(given, Batch) else cls(given)

    @classmethod
    def masked(cls, ids: torch.Tensor, mask: Any, options: Mapping[str, torch.Tensor] | None = None) -> Batch:
        """The batch of ids [n, t] whose tokens an attention mask [n, t] of 0 and 1 names; UsageError for another mask."""
        real = real_tokens(ids, mask)
        if bool(real.all()):
            return cls(ids, options=options or {})
        length = real.sum(1)
        begin = real.int().argmax(1)
        columns = torch.arange(ids.shape[1], device=ids.device)
        inside = (columns >= begin[:, None]) & (columns < (begin + length)[:, None])
        if not torch.equal(inside, real):
            row = int((inside != real).any(1).int().argmax())
            raise UsageError(f"attention_mask: row {row} has holes; tokens of a row must stand together, padded at its ends")
        return cls(ids, begin, length, options or {})

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: slice | torch.Tensor) -> Batch:
        parts = {name: value[rows] for name, value in self.options.items()}
        if self.begin is None or self.length is None:
            return replace(self, ids=self.ids[rows], options=parts)
        return Batch(self.ids[rows], self.begin[rows], self.length[rows], parts)

    def __str__(self) -> str:
        lengths = "" if self.length is None else f" with {int(self.length.min())} to {int(self.length.max())} tokens a row"
        return f"{tuple(self.ids.shape)}{lengths}"

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.ids), self.ids.shape[1]

    @property
    def tokens(self) -> torch.Tensor:
        """ids [n, t] in token order."""
        return self.turned(self.ids)

    @property
    def ends(self) -> torch.Tensor | None:
        """[n, 1]: where each row ends in token order; None where all rows fill the batch."""
        return None if self.length is None else self.length[:, None]

    @property
    def real(self) -> torch.Tensor | None:
        """bool [n, t] in token order: where tokens stand; None: everywhere."""
        return None if self.ends is None else torch.arange(self.ids.shape[1], device=self.ids.device) < self.ends

    def to(self, device: Any) -> Batch:
        """The same on another device."""
        parts = [None if part is None else part.to(device) for part in (self.begin, self.length)]
        options = {name: value.to(device) for name, value in self.options.items()}
        return Batch(self.ids.to(device), parts[0], parts[1], options)

    @property
    def lengths(self) -> torch.Tensor:
        """[n]: tokens in each row."""
        return torch.full((len(self),), self.ids.shape[1], device=self.ids.device) if self.length is None else self.length

    def like(self, other: Batch) -> Batch | None:
        """These tokens in the layout of another batch, one row standing for all; None where row lengths differ."""
        if len(self) not in (1, len(other)) or not torch.equal(self.lengths.expand(len(other)).to(other.ids.device), other.lengths):
            return None
        width = int(other.lengths.max())
        ids = other.tokens.clone()  # what stands in the padding does not matter
        inside = torch.arange(width, device=ids.device) < other.lengths[:, None]
        ids[:, :width] = torch.where(inside, self.tokens[:, :width].to(ids.device), ids[:, :width])
        return replace(other, ids=other.back(ids))

    def turned(self, values: torch.Tensor, axis: int = 1) -> torch.Tensor:
        """Values in token order, from the model's columns along an axis."""
        return self._moved(values, axis, 1)

    def back(self, values: torch.Tensor, axis: int = 1) -> torch.Tensor:
        """Values in the model's columns, from token order."""
        return self._moved(values, axis, -1)

    def compact(self) -> Batch:
        """The same tokens at the left, padded behind, no longer than the longest row: as plain a run as there is.

        To a causal model what stands behind a row's end is nothing, so no mask is needed.
        """
        if self.length is None:
            return self
        ids = self.tokens[:, : int(self.length.max())]
        found = replace(self, ids=ids, begin=torch.zeros_like(self.length), options={})
        real = found.real
        assert real is not None
        return replace(found, ids=torch.where(real, ids, ids[:, :1]))

    def leftward(self) -> Batch:
        """The same tokens at the right, padded before them, with a mask: as `generate` takes them."""
        if self.length is None:
            return replace(self, options={"attention_mask": torch.ones_like(self.ids)})
        compact = self.compact()
        found = replace(compact, begin=compact.ids.shape[1] - self.length)
        real = compact.real
        assert real is not None
        return replace(found, ids=found.back(compact.ids), options={"attention_mask": found.back(real).to(self.ids.dtype)})

    def placed(self, values: torch.Tensor, fill: float = 0.0) -> torch.Tensor:
        """Values [n, <= t, ...] of the compact run in this batch's columns (less one for losses); padding is `fill`."""
        if self.begin is None or self.length is None:
            return values
        missing = self.compact().ids.shape[1] - values.shape[1]
        columns = self.ids.shape[1] - missing
        place = torch.arange(columns, device=values.device) - self.begin.to(values.device)[:, None]
        inside = (place >= 0) & (place < (self.length - missing).to(values.device)[:, None])
        index = place.clamp(0, max(values.shape[1] - 1, 0))
        if not values.shape[1]:
            return values.new_full((len(values), columns, *values.shape[2:]), fill)
        found = values[torch.arange(len(values), device=values.device)[:, None], index]
        return found.masked_fill(~wide(inside, found), fill)

    def clean(self, values: torch.Tensor) -> torch.Tensor:
        """Values [n, t, ...] in token order, 0 behind the end of each row."""
        real, values = self.real, self.turned(values)
        return values if real is None else values.masked_fill(~wide(real.to(values.device), values), 0)

    def _moved(self, values: torch.Tensor, axis: int, sign: int) -> torch.Tensor:
        if self.begin is None or not bool(self.begin.any()):
            return values
        columns = values.shape[axis]
        index = (torch.arange(columns, device=values.device) + sign * self.begin.to(values.device)[:, None]) % columns
        shape = [1] * values.dim()
        shape[0], shape[axis] = index.shape
        return values.gather(axis, index.reshape(shape).expand_as(values))


def wide(mask: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """A mask [rows, seq] with as many axes as values [rows, seq, ...]."""
    return mask.reshape(*mask.shape, *(1,) * (values.dim() - 2))


def real_tokens(ids: torch.Tensor, mask: Any) -> torch.Tensor:
    """bool [n, t]; UsageError for a mask of another shape or of other values, and for a row without a token."""
    tensor = torch.as_tensor(mask, device=ids.device)
    if tensor.shape != ids.shape:
        raise UsageError(f"attention_mask: {tuple(tensor.shape)} was given for ids {tuple(ids.shape)}: both must be [n, t]")
    real = tensor.bool()
    if not bool((tensor == real).all()):
        raise UsageError("attention_mask: it must hold 0 for padding and 1 for tokens, and other values were given")
    if not bool(real.any(1).all()):
        raise UsageError(f"attention_mask: row {int((~real.any(1)).int().argmax())} has no token at all")
    return real
