"""What may be done at a site: each change maps what stands there to what shall stand there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import DeclarationError, UsageError
from .padding import Batch
from .sites import Site, Size, Where

if TYPE_CHECKING:
    import torch

    from ..subjects.tokens import Tokens
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

ORTHONORMAL = 1e-5


@dataclass(frozen=True)
class At:
    """One pass over `rows` of the run's sequences.

    ids: [rows, seq] of this pass in token order, whose first has position `start`; `whole` is the length of the run.
    past: ids from position 0 where `start` is not. ends: [rows, 1], where the tokens of each row end; None: nowhere
    before the last. `start` and `whole` may be [rows, 1] too.
    given: by site, what the change's source holds there, [rows or 1, seq or 1, ...]. seen: what this pass read so far.
    """

    ids: torch.Tensor
    rows: slice
    tokens: Tokens | None
    start: int | torch.Tensor = 0
    whole: int | torch.Tensor | None = None
    given: Mapping[Site, torch.Tensor] = field(default_factory=dict)
    seen: dict[tuple[str, int], torch.Tensor] = field(default_factory=dict)
    past: torch.Tensor | None = None
    ends: torch.Tensor | None = None

    def mask(self, where: Where | None) -> torch.Tensor | None:
        """bool [rows, seq]: the tokens that are meant; None: all that there are."""
        if where is not None:
            return where.mask(self.ids, self.tokens, self.start, self.whole, self.ends)
        return None if self.ends is None else torch.arange(self.ids.shape[1], device=self.ids.device) < self.ends


@dataclass(frozen=True)
class Source:
    """Where a change takes its values from.

    run: a subject's run on `ids`, or on the run's own ids. mean, position mean: of the subject's plain run, over rows
    and positions or over rows. resample: its plain run of another row, drawn with `seed`.
    """

    mode: str
    lm: Any
    ids: torch.Tensor | Batch | None = None
    seed: int = 0
    sites: Mapping[Site, Site] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Change:
    """Something done at `sites`. `text` is what receipts call it; `rows`: how many a run must have."""

    sites: tuple[Site, ...]
    text: str
    source: Source | None = None
    reads: tuple[Site, ...] = ()
    rows: int | None = None

    def __str__(self) -> str:
        return self.text

    @property
    def at_kind(self) -> str | None:
        """The kind of what is written, where it is not that of the sites."""
        return None

    @property
    def per_row(self) -> bool:
        """Whether what is written depends on which rows are run."""
        return self.rows is not None or (self.source is not None and self.source.mode in ("run", "resample", "position mean"))

    def new(self, site: Site, part: torch.Tensor, at: At) -> torch.Tensor:
        """What shall stand at a site in place of part [rows, seq, heads, head_dim], [rows, seq, width] or the like."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Patch(Change):
    """What the source holds at the same site."""

    row_mask: torch.Tensor | None = None  # bool [n, layers, heads]: heads that are written in each row

    def new(self, site: Site, part: torch.Tensor, at: At) -> torch.Tensor:
        value = at.given[site].to(part.dtype).expand_as(part) if self.source else torch.zeros_like(part)
        if self.row_mask is None:
            return value
        return torch.where(self.row_mask[at.rows, site.layer][:, None, :, None].to(part.device), value, part)


@dataclass(frozen=True, eq=False)
class Scale(Change):
    """The same times a factor."""

    factor: float = 1.0

    def new(self, site: Site, part: torch.Tensor, at: At) -> torch.Tensor:
        return part * self.factor


@dataclass(frozen=True, eq=False)
class Set(Change):
    """Given values, or the sum with them. values: of the site's unit, [seq, *unit] or [n, seq, *unit]."""

    values: torch.Tensor | None = None
    add: bool = False
    rank: int = 1

    @property
    def per_row(self) -> bool:
        assert self.values is not None
        extra = self.values.dim() - self.rank
        return self.rows is not None or (extra > 0 and self.values.shape[extra - 1] > 1)

    def new(self, site: Site, part: torch.Tensor, at: At) -> torch.Tensor:
        assert self.values is not None
        values = self.values.to(part)
        extra = values.dim() - self.rank
        if extra == 2:
            values = values[at.rows]
        if extra >= 1 and values.shape[extra - 1] != 1:
            longest = part.shape[1] if at.ends is None else int(at.ends.max())
            if not longest <= values.shape[extra - 1] <= part.shape[1]:
                raise UsageError(f"{self}: values are for sequences of {values.shape[extra - 1]} tokens; these have {longest}")
            values = padded(values, extra - 1, part.shape[1])
            if site.kind == "pattern" and values.shape[-1] != 1:
                values = padded(values, values.dim() - 1, part.shape[-1])
        try:
            values = values.expand_as(part)
        except RuntimeError:
            raise UsageError(
                f"{self}: values {tuple(self.values.shape)} do not fit what stands there, {tuple(part.shape)}"
            ) from None
        return part + values if self.add else values


@dataclass(frozen=True, eq=False)
class Project(Change):
    """Without what lies in a subspace, or with nothing else. basis: orthonormal [k, width]."""

    basis: torch.Tensor | None = None
    keep: bool = False

    def new(self, site: Site, part: torch.Tensor, at: At) -> torch.Tensor:
        assert self.basis is not None
        basis = self.basis.to(part)
        inside = (part @ basis.T) @ basis
        return inside if self.keep else part - inside


@dataclass(frozen=True, eq=False)
class Direct(Change):
    """At the end of the stream, without what `reads` added to it in this pass, or with the source's in its place."""

    factor: float = 1.0

    def new(self, site: Site, part: torch.Tensor, at: At) -> torch.Tensor:
        for read in self.reads:
            own = at.seen[read.kind, read.layer]
            other = at.given[read].to(part.dtype) - own if self.source else -own
            mask = at.mask(read.where)
            if mask is not None:
                other = other * mask[..., None]
            part = part + self.factor * other
        return part


def padded(values: torch.Tensor, axis: int, length: int) -> torch.Tensor:
    """Values with zeros behind them along an axis, up to a length that is no shorter."""
    missing = length - values.shape[axis]
    if missing <= 0:
        return values
    shape = list(values.shape)
    shape[axis] = missing
    return torch.cat([values, values.new_zeros(shape)], axis)


def values_for(values: Any, sites: tuple[Site, ...], size: Size, what: str) -> tuple[torch.Tensor, int]:
    """A checked tensor and the rank of the sites' unit; DeclarationError naming both shapes."""
    tensor = torch.as_tensor(values)
    if tensor.dtype == torch.bool or tensor.is_complex():
        raise DeclarationError(f"{what}: values must be real numbers; {tensor.dtype} was given")
    if not bool(torch.isfinite(tensor.detach()).all()):
        raise DeclarationError(f"{what}: values must be finite numbers")
    units = {site.unit(size) for site in sites}
    if len(units) > 1:
        raise DeclarationError(f"{what}: these sites hold different shapes, {' and '.join(map(str, sorted(units)))}")
    unit = units.pop()
    rank = len(unit)
    if tensor.dim() <= rank and all(
        have in (1, want) or want == -1 for have, want in zip(tensor.shape[::-1], unit[::-1], strict=False)
    ):
        tensor = tensor.reshape((1,) * (rank - tensor.dim()) + tuple(tensor.shape))
    elif not (
        rank < tensor.dim() <= rank + 2
        and all(have in (1, want) or want == -1 for have, want in zip(tensor.shape[-rank:], unit, strict=True))
    ):
        shown = ", ".join("keys" if number == -1 else str(number) for number in unit)
        raise DeclarationError(
            f"{what}: values {tuple(tensor.shape)} do not fit {sites[0]}: one number, [{shown}], [seq, {shown}] or "
            f"[rows, seq, {shown}] is needed"
        )
    return tensor, rank


def orthonormal(directions: Any, sites: tuple[Site, ...], size: Size, what: str) -> torch.Tensor:
    """A basis [k, width]; DeclarationError for an empty one, another width, or directions that are not orthonormal."""
    basis = torch.as_tensor(directions)
    basis = basis[None] if basis.dim() == 1 else basis
    width = {site.unit(size)[-1] for site in sites}
    if basis.dim() != 2 or 0 in basis.shape or not basis.is_floating_point():
        raise DeclarationError(f"{what}: directions must be real [k, width], k at least 1; {tuple(basis.shape)} given")
    if width != {basis.shape[1]}:
        raise DeclarationError(f"{what}: directions have width {basis.shape[1]}; {sites[0]} has {sorted(width)[0]}")
    wide = basis.double()
    off = float((wide @ wide.T - torch.eye(len(wide), dtype=wide.dtype, device=wide.device)).abs().max())
    if not off <= ORTHONORMAL:
        raise DeclarationError(
            f"{what}: directions must be orthonormal, and their products differ from that by {off:.2g}: "
            "divide by their length, or pass torch.linalg.qr(directions.T).Q.T"
        )
    return basis
