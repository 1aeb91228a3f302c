"""Views in which attention edges are cut, or held at a weight."""

from __future__ import annotations

from typing import Any, Self

from ..errors import DeclarationError
from . import proof
from .edges import Cut, Hold, edges_of
from .sites import Site
from .view import Sites, View, site_names


class EdgeViews(View):
    """Changes of single weights in attention patterns."""

    def knocked_out(self, sites: Sites, queries: Any = None, keys: Any = None, pairs: Any = None) -> Self:
        """Edges of these patterns cut before the softmax: the remaining keys share the attention.

        Args:
            sites: like `L1.pattern` or `L1.H2.pattern`.
            queries, keys: positions or tokens (`-1`, `2:5`, `bos`, `token=17`); all by default. Only edges to the past
                and to the query itself exist.
            pairs: instead of both, bool [seq, seq] or [n, seq, seq], query by key.
        """
        found = self._patterns(sites, "knocked_out")
        edges = edges_of(queries, keys, pairs, f"knocked_out {site_names(found)}")
        text = f"knocked out {site_names(found)} {edges}"
        return self._changed(Cut(found, text, rows=edges.rows, edges=edges))

    def clamped(
        self, sites: Sites, weight: float, queries: Any = None, keys: Any = None, pairs: Any = None, rescale: bool = False
    ) -> Self:
        """Edges of these patterns held at a weight after the softmax; named as in `knocked_out`.

        The other weights stay as they are, or with `rescale` share what is left, so that rows sum as before.
        """
        found = self._patterns(sites, "clamped")
        if not 0 <= weight <= 1:
            raise DeclarationError(f"clamped {site_names(found)}: attention weights lie from 0 to 1; {weight} was given")
        edges = edges_of(queries, keys, pairs, f"clamped {site_names(found)}")
        text = f"clamped {site_names(found)} {edges} at {weight:g}" + (" (rescaled)" if rescale else "")
        return self._changed(Hold(found, text, rows=edges.rows, edges=edges, weight=float(weight), rescale=rescale))

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
