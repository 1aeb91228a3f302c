"""Attention edges from queries to keys: cut before the softmax, or held at a weight after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DeclarationError, UsageError
from .changes import At, Change, padded
from .sites import Site, Where

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")


@dataclass(frozen=True, eq=False)
class Edges:
    """Edges from `queries` to `keys` that lie in the past or at the query itself, or those that `mask` names.

    mask: bool [seq, seq] or [n, seq, seq], query by key.
    """

    queries: Where | None = None
    keys: Where | None = None
    mask: torch.Tensor | None = None

    @property
    def rows(self) -> int | None:
        """How many rows a run must have."""
        return None if self.mask is None or self.mask.dim() == 2 or len(self.mask) == 1 else len(self.mask)

    def __str__(self) -> str:
        if self.mask is not None:
            return f"{int(self.mask.sum())} edges"
        return f"{self.queries or 'all'} to {self.keys or 'all'}"

    def among(self, at: At, keys: int) -> torch.Tensor:
        """bool [rows or 1, queries, keys] of one pass; UsageError when no edge is meant, or sequences do not fit."""
        queries = at.ids.shape[1]
        before = keys - queries  # a cache holds the keys before this pass
        real = at.mask(None)
        if self.mask is not None:
            longest = keys if at.ends is None else int(at.ends.max())
            if not longest <= self.mask.shape[-1] <= keys or before:
                raise UsageError(f"the mask of edges is for {self.mask.shape[-1]} tokens; the sequences have {longest}")
            mask = self.mask if self.mask.dim() == 3 else self.mask[None]
            mask = (mask[at.rows] if len(mask) > 1 else mask).to(at.ids.device)
            mask = padded(padded(mask, 1, queries), 2, keys)
            return mask if real is None else mask & real[:, :, None]
        past = at.ids if at.past is None else at.past
        if past.shape[1] != keys:
            raise UsageError(f"edges are cut among {past.shape[1]} tokens, and the attention sees {keys} keys")
        query = torch.arange(queries, device=at.ids.device) + at.start
        found = torch.arange(keys, device=at.ids.device) <= query[..., None]
        found = found.expand(len(at.ids), queries, keys).clone()
        if self.queries is not None or real is not None:
            meant = at.mask(self.queries)
            assert meant is not None
            found &= meant[:, :, None]
        if self.keys is not None:
            whole = at.whole if at.whole is not None else at.ends
            found &= self.keys.mask(past, at.tokens, 0, whole)[:, None, :]
        if not before and not bool(found.any()):
            raise UsageError(f"edges {self}: there are none in these sequences: keys must not lie after their queries")
        return found


@dataclass(frozen=True, eq=False)
class Cut(Change):
    """Edges do not exist for the softmax: the weights of the others grow to sum to one."""

    edges: Edges = Edges()

    @property
    def at_kind(self) -> str | None:
        return "scores"

    def new(self, site: Site, part: torch.Tensor, at: At) -> torch.Tensor:
        gone = self.edges.among(at, part.shape[-1])[:, :, None, :]
        return part.masked_fill(gone, torch.finfo(part.dtype).min)


@dataclass(frozen=True, eq=False)
class Hold(Change):
    """Edges have this weight; the others stay, or with `rescale` share what is left in their old proportions."""

    edges: Edges = Edges()
    weight: float = 0.0
    rescale: bool = False

    def new(self, site: Site, part: torch.Tensor, at: At) -> torch.Tensor:
        held = self.edges.among(at, part.shape[-1])[:, :, None, :].expand_as(part)
        changed = part.masked_fill(held, self.weight)
        if not self.rescale:
            return changed
        left = part.masked_fill(held, 0).sum(-1, keepdim=True)
        free = part.sum(-1, keepdim=True) - self.weight * held.sum(-1, keepdim=True)
        if bool((held.any(-1, keepdim=True) & ((left <= 0) | (free < -1e-6))).any()):
            raise UsageError(f"{self}: the held weights leave nothing for the other keys to share")
        scaled = part * (free / left.clamp_min(torch.finfo(part.dtype).tiny))
        return torch.where(held.any(-1, keepdim=True), torch.where(held, changed, scaled), part)


def edges_of(queries: Any, keys: Any, pairs: Any, what: str) -> Edges:
    """Checked edges; DeclarationError for pairs in the future, of another shape, or beside queries and keys."""
    if pairs is None:
        return Edges(None if queries is None else Where.parse(queries), None if keys is None else Where.parse(keys))
    if queries is not None or keys is not None:
        raise DeclarationError(f"{what}: edges are named by queries and keys or by pairs, not by both")
    array = pairs.detach().cpu().numpy() if torch.is_tensor(pairs) else np.asarray(pairs)
    if array.dtype != np.bool_ or array.ndim not in (2, 3) or array.shape[-1] != array.shape[-2]:
        raise DeclarationError(
            f"{what}: pairs must be bool [seq, seq] or [n, seq, seq], query by key; {array.dtype} {array.shape} given"
        )
    future = np.argwhere(np.triu(array, 1))
    if len(future):
        query, key = future[0][-2:]
        raise DeclarationError(f"{what}: the edge from query {query} to key {key} lies in the future")
    if not array.any():
        raise DeclarationError(f"{what}: an empty set of edges was given")
    return Edges(mask=torch.from_numpy(array.copy()))
