"""Interventions that contradict each other. What is merely ordered (two replacements at one site) is not among them."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import DeclarationError
from .changes import Change, Patch, Set
from .heads import Removal
from .sites import Site, Size

#: What a head's output is computed from: without an effect where the output itself is replaced.
INSIDE = ("q", "k", "v", "pattern")


def refuse_contradictions(removals: Sequence[Removal], changes: Sequence[Change], size: Size) -> None:
    """DeclarationError for a change inside heads all of whose outputs another intervention replaces at every position."""
    replaced: dict[tuple[int, int], str] = {}
    for made in removals:
        replaced.update({head: str(made) for head in made.heads})
    for change in changes:
        whole = (isinstance(change, Patch) and change.row_mask is None) or (isinstance(change, Set) and not change.add)
        for site in change.sites if whole else ():
            if site.kind == "z" and site.where is None:
                replaced.update({(site.layer, head): str(change) for head in _heads(site, size)})
    for change in changes:
        heads = [(site.layer, head) for site in change.sites if site.kind in INSIDE for head in _heads(site, size)]
        if heads and all(site.kind in INSIDE for site in change.sites) and all(head in replaced for head in heads):
            raise DeclarationError(
                f"{change} contradicts {replaced[heads[0]]!r}, which replaces the outputs of these heads, so that nothing reads "
                "what is changed inside them: use one of the two"
            )


def _heads(site: Site, size: Size) -> Sequence[int]:
    members = site.members(size)
    return range(size.heads) if members is None else members
