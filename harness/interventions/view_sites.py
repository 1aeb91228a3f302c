"""Views with something else at sites: ablated, patched, scaled, added to, replaced, projected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..errors import DeclarationError
from .changes import Patch, Project, Scale, Set, Source, orthonormal, values_for
from .changing import checked_source
from .view import Sites, View, site_names

if TYPE_CHECKING:
    import torch
    from numpy.random import Generator
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")


class SiteViews(View):
    """Changes at any site."""

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
        return self._changed(Patch(found, f"ablated {site_names(found)} ({mode})", self._source(mode, seed)))

    def patched(self, sites: Sites, source: Any) -> Self:
        """What stands at these sites replaced by what stands there in another run.

        Args:
            source: ids [n, seq] or [1, seq] for this model's plain run on them; a subject or a view, also of another
                model of the same shape, for its run on the same ids; or a pair of both.
        """
        found = self._sites(sites)
        lm, ids = source if isinstance(source, tuple) and len(source) == 2 else (source, None)
        if not isinstance(lm, View):
            lm, ids = self.plain(), source
        text = f"patched {site_names(found)} from {_called(lm, ids, self)}"
        given = Source("run", lm, None if ids is None else lm._batch(ids).compact())
        return self._changed(Patch(found, text, checked_source(given, found, self.size, self.dtype, text)))

    def scaled(self, sites: Sites, factor: float) -> Self:
        """What stands at these sites times a factor."""
        found = self._sites(sites)
        if not np.isfinite(factor):
            raise DeclarationError(f"scaled {site_names(found)}: the factor must be a finite number; {factor} was given")
        return self._changed(Scale(found, f"scaled {site_names(found)} by {factor:g}", factor=float(factor)))

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

    def _set(self, sites: Sites, values: Any, add: bool) -> Self:
        found = self._sites(sites)
        what = f"{'added to' if add else 'replaced'} {site_names(found)}"
        values = torch.as_tensor(values)
        if any(site.kind == "pattern" for site in found):
            values = _pattern(values, add, what)
        tensor, rank = values_for(values, found, self.size, what)
        rows = len(tensor) if tensor.dim() - rank == 2 and len(tensor) > 1 else None
        return self._changed(Set(found, what, rows=rows, values=tensor, add=add, rank=rank))

    def _project(self, sites: Sites, directions: Any, keep: bool) -> Self:
        found = self._sites(sites)
        self._refuse(found, "pattern", "projected")
        what = f"{'filtered' if keep else 'projected out of'} {site_names(found)}"
        basis = orthonormal(directions, found, self.size, what)
        return self._changed(Project(found, f"{what} ({len(basis)} directions)", basis=basis, keep=keep))


def _pattern(values: torch.Tensor, add: bool, what: str) -> torch.Tensor:
    if values.dim() < 2 or values.shape[-1] != values.shape[-2] or add:
        raise DeclarationError(
            f"{what}: a pattern is replaced by [queries, keys], [heads, queries, keys] or [n, heads, queries, keys]; "
            f"{tuple(values.shape)} was given"
        )
    if bool((values < 0).any()) or bool((values.triu(1) != 0).any()):
        raise DeclarationError(f"{what}: weights must be at least 0, and none may lie in the future")
    return values[:, None] if values.dim() == 2 else values.transpose(-3, -2)


def _called(lm: Any, ids: Any, mine: View) -> str:
    made = [str(change) for change in (*lm.removals, *lm.changes)]
    same = lm._shared is mine._shared
    who = "the plain run" if same and not made else "a run" if same else lm.name
    return who + (f" ({'; '.join(made)})" if made else "") + (" on other ids" if ids is not None else "")
