"""What every view of a subject has: its interventions, and how a site and a source of values are checked."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from ..errors import DeclarationError, NotApplicable
from . import proof
from .changes import Change, Source
from .heads import MODES, Removal
from .overlaps import refuse_contradictions
from .sites import Site, Size, sites_of

if TYPE_CHECKING:
    import torch

    from ..subjects.tokens import Tokens
    from .instrument import Instrument
    from .padding import Batch

Sites = str | Site | Iterable[str | Site]


class View:
    """A subject under interventions; the methods that add some are in the classes built on this one."""

    removals: tuple[Removal, ...]
    changes: tuple[Change, ...]
    _shared: dict[str, Any]

    if TYPE_CHECKING:

        @property
        def layers(self) -> int: ...
        @property
        def heads(self) -> int: ...
        @property
        def kv_heads(self) -> int: ...
        @property
        def dtype(self) -> torch.dtype: ...
        @property
        def instrument(self) -> Instrument: ...
        def _batch(self, ids: Any) -> Batch: ...

    def plain(self) -> Self:
        """The same subject without any intervention."""
        view = copy.copy(self)
        view.removals, view.changes = (), ()
        return view

    @property
    def size(self) -> Size:
        """What sites are checked against."""
        if "size" not in self._shared:
            instrument = self.instrument
            reached = proof.instrument_has_stream(instrument)
            width, neurons = (instrument.places.width, instrument.places.neurons) if reached else (0, 0)
            self._shared["size"] = Size(
                instrument.family, self.layers, self.heads, self.kv_heads, instrument.head_dim, width, neurons
            )
        found: Size = self._shared["size"]
        return found

    @property
    def known_tokens(self) -> Tokens | None:
        """The subject's tokens for token classes, if it knows them."""
        try:
            found: Tokens = self.tokens  # type: ignore[attr-defined]
            return found
        except NotApplicable:  # sites by position need none
            return None

    def _sites(self, sites: Sites) -> tuple[Site, ...]:
        found = sites_of(sites, self.size)
        for kind in sorted({site.kind for site in found}):
            proof.check_kind(self.instrument, kind)
        return found

    @staticmethod
    def _refuse(sites: tuple[Site, ...], kind: str, what: str) -> None:
        for site in sites:
            if site.kind == kind:
                raise DeclarationError(f"{site}: a {kind} is not {what}")

    def _source(self, mode: str, seed: int | None) -> Source | None:
        if mode not in MODES:
            raise DeclarationError(f"ablation mode {mode!r} is unknown: use {', '.join(MODES)}")
        if mode == "zero":
            return None
        if mode == "resample" and seed is None:
            raise DeclarationError("resample ablation draws donors: pass rng=, or another mode")
        return Source(mode, self.plain(), seed=seed or 0)

    def _changed(self, change: Change) -> Self:
        return self._with(self.removals, (*self.changes, change))

    def _with(self, removals: tuple[Removal, ...], changes: tuple[Change, ...]) -> Self:
        if changes:
            refuse_contradictions(removals, changes, self.size)
        view = copy.copy(self)
        view.removals, view.changes = removals, changes
        return view


def site_names(sites: Iterable[Site]) -> str:
    return " ".join(map(str, sites))
