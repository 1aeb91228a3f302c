"""Views that hold what is not meant to change, and let an effect through on chosen paths alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

from ..errors import DeclarationError
from .changes import Direct
from .view import Sites, site_names
from .view_sites import SiteViews


class PathViews(SiteViews):
    """Freezing, direct effects and path patching."""

    def frozen(self, sites: Sites) -> Self:
        """What stands at these sites as in the model's plain run on the same ids."""
        view = self.patched(sites, self.plain())
        last = view.changes[-1]
        view.changes = (*view.changes[:-1], replace(last, text=f"frozen {site_names(last.sites)}"))
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
        text, given = f"without direct effect {site_names(found)}", None
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
        text = f"path patched {site_names(sent)} to {site_names(received)}"
        view = self.patched(received, carried)
        view.changes = (*view.changes[:-1], replace(view.changes[-1], text=text))
        return view
