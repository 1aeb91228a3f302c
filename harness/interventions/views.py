"""What a person writes: each method gives a view of the same model under one more intervention.

Views nest. Heads are removed first; other instruments act on what is left, at one site in the order in which they were
written. Sources of values run by themselves: what is in force around them does not reach them.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..errors import DeclarationError, NotApplicable
from . import holding, proof
from .changes import Change, Direct, Patch, Project, Scale, Set, Source, orthonormal, values_for
from .changing import checked_source
from .edges import Cut, Hold, edges_of
from .heads import MODES, Head, Removal, removal
from .sites import Site, Size, sites_of

if TYPE_CHECKING:
    import torch
    from numpy.random import Generator

    from ..subjects.tokens import Tokens
    from .instrument import Instrument
    from .padding import Batch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

Sites = str | Site | Iterable[str | Site]


class Views:
    """The interventions of a subject; `LM` is one."""

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

    # ---- heads

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
        view = copy.copy(self)
        view.removals = (*self.removals, made)
        return view

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

    # ---- any site

    def ablated(self, sites: Sites, mode: str = "mean", rng: Generator | None = None) -> Self:
        """What stands at these sites replaced, by mode as in `without`: attention, MLP, neurons, queries, ...

        Head outputs are removed by `without`. Means are over the positions that a site names.
        """
        seed = None if rng is None else int(rng.integers(2**63))
        found = self._sites(sites)
        for site in found:
            if site.kind == "z":
                raise DeclarationError(f"{site}: head outputs are removed by without([(layer, head)], mode)")
        self._refuse(found, "pattern", "ablated: use knocked_out, clamped or replaced")
        return self._changed(Patch(found, f"ablated {_names(found)} ({mode})", self._source(mode, seed)))

    def patched(self, sites: Sites, source: Any) -> Self:
        """What stands at these sites replaced by what stands there in another run.

        Args:
            source: ids [n, seq] or [1, seq] for this model's plain run on them; a subject or a view, also of another
                model of the same shape, for its run on the same ids; or a pair of both.
        """
        found = self._sites(sites)
        lm, ids = source if isinstance(source, tuple) and len(source) == 2 else (source, None)
        if not isinstance(lm, Views):
            lm, ids = self.plain(), source
        text = f"patched {_names(found)} from {_called(lm, ids, self)}"
        given = Source("run", lm, None if ids is None else lm._batch(ids).compact())
        return self._changed(Patch(found, text, checked_source(given, found, self.size, self.dtype, text)))

    def scaled(self, sites: Sites, factor: float) -> Self:
        """What stands at these sites times a factor."""
        found = self._sites(sites)
        if not np.isfinite(factor):
            raise DeclarationError(f"scaled {_names(found)}: the factor must be a finite number; {factor} was given")
        return self._changed(Scale(found, f"scaled {_names(found)} by {factor:g}", factor=float(factor)))

    def added(self, sites: Sites, values: Any) -> Self:
        """What stands at these sites plus values: one number, the site's shape, [seq, ...] or [n, seq, ...]."""
        return self._set(sites, values, add=True)

    def replaced(self, sites: Sites, values: Any) -> Self:
        """These values at these sites: one number, the site's shape, [seq, ...] or [n, seq, ...].

        Patterns are [queries, keys], [heads, queries, keys] or [n, heads, queries, keys]; none may look ahead.
        """
        return self._set(sites, values, add=False)

    def projected_out(self, sites: Sites, directions: Any) -> Self:
        """What stands at these sites without its part in a subspace. directions: orthonormal [k, width] or [width]."""
        return self._project(sites, directions, keep=False)

    def filtered(self, sites: Sites, directions: Any) -> Self:
        """Of what stands at these sites only the part in a subspace. directions: orthonormal [k, width] or [width]."""
        return self._project(sites, directions, keep=True)

    # ---- attention edges

    def knocked_out(self, sites: Sites, queries: Any = None, keys: Any = None, pairs: Any = None) -> Self:
        """Edges of these patterns cut before the softmax: the remaining keys share the attention.

        Args:
            sites: like `L1.pattern` or `L1.H2.pattern`.
            queries, keys: positions or tokens (`-1`, `2:5`, `bos`, `token=17`); all by default. Only edges to the past
                and to the query itself exist.
            pairs: instead of both, bool [seq, seq] or [n, seq, seq], query by key.
        """
        found = self._patterns(sites, "knocked_out")
        edges = edges_of(queries, keys, pairs, f"knocked_out {_names(found)}")
        text = f"knocked out {_names(found)} {edges}"
        return self._changed(Cut(found, text, rows=edges.rows, edges=edges))

    def clamped(
        self, sites: Sites, weight: float, queries: Any = None, keys: Any = None, pairs: Any = None, rescale: bool = False
    ) -> Self:
        """Edges of these patterns held at a weight after the softmax; named as in `knocked_out`.

        The other weights stay as they are, or with `rescale` share what is left, so that rows sum as before.
        """
        found = self._patterns(sites, "clamped")
        if not 0 <= weight <= 1:
            raise DeclarationError(f"clamped {_names(found)}: attention weights lie from 0 to 1; {weight} was given")
        edges = edges_of(queries, keys, pairs, f"clamped {_names(found)}")
        text = f"clamped {_names(found)} {edges} at {weight:g}" + (" (rescaled)" if rescale else "")
        return self._changed(Hold(found, text, rows=edges.rows, edges=edges, weight=float(weight), rescale=rescale))

    # ---- paths

    def frozen(self, sites: Sites) -> Self:
        """What stands at these sites as in the model's plain run on the same ids."""
        view = self.patched(sites, self.plain())
        last = view.changes[-1]
        view.changes = (*view.changes[:-1], replace(last, text=f"frozen {_names(last.sites)}"))
        return view

    def without_direct(self, sites: Sites, source: Any = None) -> Self:
        """What these attention and MLP blocks add is taken from the end of the stream, and later layers still see it.

        Args:
            sites: like `L1.attn` and `L1.mlp`.
            source: as in `patched`: what they add in another run is put in its place; nothing by default.
        """
        found = self._sites(sites)
        for site in found:
            if site.kind not in ("attn", "mlp"):
                raise DeclarationError(f"{site}: only attn and mlp have a direct effect that can be blocked")
        last = self._sites(f"L{self.layers - 1}.post")
        text, given = f"without direct effect {_names(found)}", None
        if source is not None:
            patch = self.patched(found, source).changes[-1]
            given, text = patch.source, f"direct effect of {patch}"
        factor = self.instrument.places.layers[0].factor
        return self._changed(Direct(last, text, given, reads=found, factor=factor))

    def path_patched(self, senders: Sites, receivers: Sites, source: Any, through_mlps: bool = False) -> Self:
        """The receivers see the senders as they are in the source, on direct paths alone; all else is plain.

        Two runs, both exact: the senders are patched while every other head's output, and every MLP, is held at its
        plain value; what then stands at the receivers is patched into the plain run.

        Args:
            senders: head outputs or MLPs, like `L0.H1.z`.
            receivers: like `L1.H2.q`, `L1.k`, `L1.mlp`; or `logits`, the end of the stream.
            source: as in `patched`.
            through_mlps: MLPs are not held, so paths through them count too.
        """
        sent = self._sites(senders)
        if isinstance(receivers, str) and receivers == "logits":
            receivers = f"L{self.layers - 1}.post"
        received = self._sites(receivers)
        for site in sent:
            if site.kind not in ("z", "mlp"):
                raise DeclarationError(f"{site}: paths start at head outputs (z) or MLPs (mlp)")
        earliest = min(site.layer for site in sent)
        for site in received:
            before = site.layer < earliest or (site.layer == earliest and site.kind not in ("post", "mlp", "neurons"))
            if before:
                raise DeclarationError(f"{site}: no path leads there, since the senders begin in layer {earliest}")
        held = [f"L{layer}.z" for layer in range(self.layers)]
        given = {site.layer for site in received if site.kind == "mlp"}
        if not through_mlps:
            held += [f"L{layer}.mlp" for layer in range(self.layers) if layer not in given]
        carried = self.plain().frozen(held).patched(sent, source)
        text = f"path patched {_names(sent)} to {_names(received)}"
        view = self.patched(received, carried)
        view.changes = (*view.changes[:-1], replace(view.changes[-1], text=text))
        return view

    # ---- while the model is used from outside

    def held(self) -> AbstractContextManager[Any]:
        """A context in which the model itself runs under this view's interventions, with gradients: training clamps.

            with lm.patched("L1.pattern", teacher).held() as model:
                model(input_ids=ids, labels=ids).loss.backward()

        Sources run in each pass, without gradient. Vectors given to `added` or `replaced` learn if they require it.
        """
        return holding.held(self)

    def generate(self, ids: Any, when: str = "every step", rng: Generator | None = None, **options: Any) -> torch.Tensor:
        """Sequences that transformers' `generate` gives under this view's interventions, ids [n, seq] first.

        Args:
            when: "every step", or "prompt": only in the pass over the prompt. Positions mean those of the prompt.
            rng: for sampling.
            options: of transformers' `generate`: max_new_tokens, num_beams, do_sample, ...
        """
        return holding.generate(self, self._batch(ids), when, rng, options)

    # ---- inside

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

    def _patterns(self, sites: Sites, what: str) -> tuple[Site, ...]:
        found = self._sites(sites)
        for site in found:
            if site.kind != "pattern" or site.where is not None:
                raise DeclarationError(
                    f"{what} {site}: edges belong to a pattern, like L{site.layer}.pattern; positions are given by "
                    "queries= and keys="
                )
        if what == "knocked_out":
            proof.check_kind(self.instrument, "scores")
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

    def _set(self, sites: Sites, values: Any, add: bool) -> Self:
        found = self._sites(sites)
        what = f"{'added to' if add else 'replaced'} {_names(found)}"
        values = torch.as_tensor(values)
        if any(site.kind == "pattern" for site in found):
            values = _pattern(values, add, what)
        tensor, rank = values_for(values, found, self.size, what)
        rows = len(tensor) if tensor.dim() - rank == 2 and len(tensor) > 1 else None
        return self._changed(Set(found, what, rows=rows, values=tensor, add=add, rank=rank))

    def _project(self, sites: Sites, directions: Any, keep: bool) -> Self:
        found = self._sites(sites)
        self._refuse(found, "pattern", "projected")
        what = f"{'filtered' if keep else 'projected out of'} {_names(found)}"
        basis = orthonormal(directions, found, self.size, what)
        return self._changed(Project(found, f"{what} ({len(basis)} directions)", basis=basis, keep=keep))

    def _changed(self, change: Change) -> Self:
        view = copy.copy(self)
        view.changes = (*self.changes, change)
        return view


def _pattern(values: torch.Tensor, add: bool, what: str) -> torch.Tensor:
    if values.dim() < 2 or values.shape[-1] != values.shape[-2] or add:
        raise DeclarationError(
            f"{what}: a pattern is replaced by [queries, keys], [heads, queries, keys] or [n, heads, queries, keys]; "
            f"{tuple(values.shape)} was given"
        )
    if bool((values < 0).any()) or bool((values.triu(1) != 0).any()):
        raise DeclarationError(f"{what}: weights must be at least 0, and none may lie in the future")
    return values[:, None] if values.dim() == 2 else values.transpose(-3, -2)


def _names(sites: Iterable[Site]) -> str:
    return " ".join(map(str, sites))


def _called(lm: Any, ids: Any, mine: Views) -> str:
    made = [str(change) for change in (*lm.removals, *lm.changes)]
    same = lm._shared is mine._shared
    who = "the plain run" if same and not made else "a run" if same else lm.name
    return who + (f" ({'; '.join(made)})" if made else "") + (" on other ids" if ids is not None else "")
