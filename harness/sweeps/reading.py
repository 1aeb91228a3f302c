"""Measures of a sweep: what is read off the logits, and at which positions, so that nothing else is computed."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..errors import DeclarationError
from ..interventions.padding import Batch

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

#: (logits [rows, k, vocab] at the k positions, ids [rows, seq], rows of the run) -> [rows] or [rows, m]
Read = Callable[["torch.Tensor", "torch.Tensor", slice], "torch.Tensor"]

#: Logits whose log-probabilities are made at once, bytes.
PART_BYTES = 4 * 2**20


@dataclass(frozen=True)
class Measure:
    """One number, or one row of numbers, for each sequence.

    Args:
        name: what errors and reports call it.
        of: (logits float32 [rows, k, vocab], ids [rows, seq], rows) -> [rows] or [rows, m]; each row for itself.
        positions: at which logits are read, in this order, negative ones from the end; None: all k = seq of them.
    """

    name: str
    of: Read
    positions: tuple[int, ...] | None = None

    def places(self, length: int) -> tuple[int, ...] | None:
        """The positions from the start of sequences of this length; DeclarationError for those beyond it."""
        if self.positions is None:
            return None
        wrong = [at for at in self.positions if not -length <= at < length]
        if wrong or not self.positions:
            raise DeclarationError(
                f"{self.name}: position {wrong[0] if wrong else '(none)'} is read; the sequences have positions 0 to {length - 1}"
            )
        return tuple(at % length for at in self.positions)


@dataclass(frozen=True)
class Reading:
    """A measure on a compact batch. Of rows of unequal lengths each is read as if it were run by itself, without padding."""

    measure: Measure
    batch: Batch

    @cached_property
    def same(self) -> tuple[int, ...] | None:
        """The columns that are read in every row; None: all, or other ones in each row."""
        return self.measure.places(self.batch.shape[1]) if self.batch.length is None else None

    @cached_property
    def each(self) -> torch.Tensor | None:
        """The columns that are read in each row, [n, k], where rows are padded and not all are read."""
        if self.batch.length is None or self.measure.positions is None:
            return None
        found = [self.measure.places(int(length)) for length in self.batch.length]
        return torch.tensor(found, device=self.batch.ids.device)

    def check(self) -> None:
        """DeclarationError where a row lacks a position that is read."""
        _ = self.same, self.each

    def pick(self, values: torch.Tensor, rows: slice) -> torch.Tensor:
        """Values [m * rows, seq, ...] at the columns that are read, [m * rows, k, ...]."""
        if self.each is None:
            return values if self.same is None else values[:, list(self.same)]
        columns = self.each[rows]
        columns = columns.repeat(len(values) // len(columns), 1)
        return values[torch.arange(len(values), device=values.device)[:, None], columns]

    def cut(self, logits: torch.Tensor, row: int) -> torch.Tensor:
        """What was picked of one row [1, k, vocab], less what stands behind its end."""
        whole = self.batch.length is None or self.measure.positions is not None
        return logits if whole else logits[:, : int(self.batch.lengths[row])]

    def of(self, logits: torch.Tensor, rows: slice) -> torch.Tensor:
        """The measure of what was picked of some rows, [rows] or [rows, m]."""
        if self.batch.length is None:
            return self.measure.of(logits, self.batch.ids[rows], rows).cpu()
        found = []
        for row in range(rows.start, rows.stop):
            ids = self.batch.ids[row : row + 1, : int(self.batch.length[row])]
            found.append(self.measure.of(self.cut(logits[row - rows.start][None], row), ids, slice(row, row + 1)).cpu())
        return torch.cat(found)


def loss() -> Measure:
    """Mean -log p of each token given those before it, nats, of each sequence."""

    def of(logits: torch.Tensor, ids: torch.Tensor, _: slice) -> torch.Tensor:
        return _nll(logits, ids.roll(-1, 1))[:, :-1].mean(1)  # without a copy of the logits

    return Measure("loss", of)


def token_losses() -> Measure:
    """-log p of each token given those before it, nats, [n, seq - 1]."""
    return Measure("token losses", lambda logits, ids, _: _nll(logits, ids.roll(-1, 1))[:, :-1])


def loss_at(tokens: Iterable[int]) -> Measure:
    """Mean -log p of the tokens at these positions (1 or later; negative ones from the end), nats, of each sequence."""
    wanted = tuple(operator.index(at) for at in tokens)
    if not wanted or 0 in wanted:
        raise DeclarationError(f"loss_at: name positions of tokens that have one before them; {list(wanted)} was given")

    def of(logits: torch.Tensor, ids: torch.Tensor, _: slice) -> torch.Tensor:
        return _nll(logits, ids[:, list(wanted)]).mean(1)

    return Measure(f"loss at {','.join(map(str, wanted))}", of, tuple(at - 1 for at in wanted))


def last_token_loss(targets: Any) -> Measure:
    """-log p of each sequence's target as the token after its last; targets: integers [n]."""
    wanted = torch.as_tensor(targets).long()

    def of(logits: torch.Tensor, _: torch.Tensor, rows: slice) -> torch.Tensor:
        return _nll(logits, _rows(wanted, rows, logits)[:, None])[:, 0]

    return Measure("last token loss", of, (-1,))


def logit_difference(targets: Any, distractors: Any) -> Measure:
    """Logit of the target less that of the distractor after each sequence's last token; both integers [n]."""
    right, wrong = torch.as_tensor(targets).long(), torch.as_tensor(distractors).long()

    def of(logits: torch.Tensor, _: torch.Tensor, rows: slice) -> torch.Tensor:
        last = logits[:, 0]
        parts = [last.gather(1, _rows(these, rows, logits)[:, None])[:, 0] for these in (right, wrong)]
        return parts[0] - parts[1]

    return Measure("logit difference", of, (-1,))


def of_logits(read: Read, positions: Iterable[int] | None = None, name: str = "logits") -> Measure:
    """A function of one's own; see `Measure`."""
    return Measure(name, read, None if positions is None else tuple(operator.index(at) for at in positions))


def _nll(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """[rows, k]; a few positions at a time, which stay in the processor's cache."""
    flat, wanted = logits.reshape(-1, logits.shape[-1]), targets.reshape(-1)
    step = max(1, PART_BYTES // (4 * flat.shape[1]))
    parts = zip(torch.split(flat, step), torch.split(wanted, step), strict=True)
    return torch.cat([torch.nn.functional.cross_entropy(*part, reduction="none") for part in parts]).reshape(targets.shape)


def _rows(targets: torch.Tensor, rows: slice, logits: torch.Tensor) -> torch.Tensor:
    if targets.dim() != 1 or len(targets) < rows.stop:
        raise DeclarationError(f"targets {tuple(targets.shape)} were given: one integer for each sequence is needed")
    return targets[rows].to(logits.device)
