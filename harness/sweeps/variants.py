"""What a sweep varies: sites, sets of sites, or whole views; and the sites that a person would list, made for him."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import DeclarationError
from ..interventions.changes import Change, Patch, Scale
from ..interventions.edges import Cut, Hold
from ..interventions.holding import changes_of
from ..interventions.padding import Batch
from ..interventions.sites import Site
from ..interventions.views import Views

if TYPE_CHECKING:
    import torch
    from numpy.random import Generator

    from ..subjects.lm import LM
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

#: Kinds that a pass which begins at the output projection of a layer still computes.
AFTER_HEADS = ("z", "attn", "mlp", "neurons", "post")


@dataclass(frozen=True, eq=False)
class Variant:
    """One intervention of a sweep.

    start: the first layer that is other than in the plain run; what enters it may be. inside: nothing before the output
    projection of that layer is other. by_place: changes by kind and layer, in their order.
    """

    name: str
    view: LM
    changes: tuple[Change, ...]
    start: int
    inside: bool
    by_place: dict[tuple[str, int], list[tuple[Change, Site]]]


def variants_of(lm: LM, given: Iterable[Any], mode: str, rng: Generator | None) -> list[Variant]:
    """The variants of a sweep of `lm`; DeclarationError for none, or for what a model does not have.

    Args:
        given: each a site (`L3.H5.z`), a head (3, 5), several of these, or a view of `lm`.
        mode, rng: what replaces the values at sites; as in `lm.ablated`. All variants resample in the same way.
    """
    seed = None if rng is None else int(rng.integers(2**63))
    source = lm._source(mode, seed)
    found = []
    for one in given:
        if isinstance(one, Views):
            view: Any = one
            if view._shared is not lm._shared:
                raise DeclarationError("a sweep runs views of one subject, and a view of another one was given")
            found.append(_variant(view))
            continue
        sites = lm._sites([_site(part) for part in _parts(one)])
        lm._refuse(sites, "pattern", "ablated: sweep views made by knocked_out or clamped")
        text = f"ablated {' '.join(map(str, sites))} ({mode})"
        found.append(_variant(lm._changed(Patch(sites, text, source))))
    if not found:
        raise DeclarationError("a sweep over nothing was asked for: give sites, heads or views")
    return found


def heads(lm: LM, layers: Iterable[int] | None = None) -> list[str]:
    """Sites of every query head, of all layers or of these."""
    return [f"L{at}.H{head}.z" for at in _layers(lm, layers) for head in range(lm.heads)]


def neurons(lm: LM, layers: Iterable[int] | None = None) -> list[str]:
    """Sites of every neuron, of all layers or of these."""
    return [f"L{at}.N{number}.neurons" for at in _layers(lm, layers) for number in range(lm.size.neurons)]


def blocks(lm: LM, kinds: Sequence[str] = ("attn", "mlp")) -> list[str]:
    """Sites of every layer's attention and MLP output, or of other kinds in the stream."""
    return [f"L{at}.{kind}" for at in range(lm.layers) for kind in kinds]


def positions(lm: LM, length: int, kind: str = "pre", layers: Iterable[int] | None = None) -> list[str]:
    """Sites of one kind at every layer and position of sequences of this length."""
    return [f"L{at}.{kind}@{place}" for at in _layers(lm, layers) for place in range(length)]


def edges(lm: LM, pairs: Iterable[tuple[int, int]], layers: Iterable[int] | None = None) -> list[LM]:
    """Views that each cut one (query, key) edge of one head."""
    wanted = list(pairs)
    return [
        lm.knocked_out(f"L{at}.H{head}.pattern", queries=query, keys=key)
        for at in _layers(lm, layers)
        for head in range(lm.heads)
        for query, key in wanted
    ]


def resumable(lm: LM, variant: Variant, batch: Batch) -> bool:
    """Whether what the variant writes is known from plain runs of this model, so that it can be swept."""
    if lm.removals or lm.changes:
        return False
    for change in variant.changes:
        source = change.source
        if change.reads or (type(change) not in (Patch, Cut, Hold) and source is not None):
            return False
        if change.rows not in (None, len(batch)):
            return False
        if source is not None:
            same = source.lm._shared is lm._shared and not source.lm.removals and not source.lm.changes
            if source.ids is not None:
                other = Batch.of(source.ids)
                padded = batch.length is not None or other.length is not None
                same = same and not padded and other.shape[1] == batch.shape[1] and len(other) in (1, len(batch))
            if not same or source.sites:
                return False
    return True


def first_position(variant: Variant, length: int) -> int:
    """The first position that a variant changes in sequences of this length; 0 where that is not known."""
    return min(_first(change, site, length) for made in variant.by_place.values() for change, site in made)


def _first(change: Change, site: Site, length: int) -> int:
    where = site.where
    if type(change) is Cut:  # what a query no longer sees changes nothing before it
        where = change.edges.queries if change.edges.mask is None else None
    elif type(change) not in (Patch, Scale):
        return 0
    if where is None or (where.positions is None and where.span is None):
        return 0
    meant = where.mask(torch.zeros((1, length), dtype=torch.long), None)[0]
    return int(meant.int().argmax()) if bool(meant.any()) else 0


def _variant(view: Any) -> Variant:
    changes = changes_of(view)
    by_place: dict[tuple[str, int], list[tuple[Change, Site]]] = {}
    for change in changes:
        for site in change.sites:
            by_place.setdefault((change.at_kind or site.kind, site.layer), []).append((change, site))
    if not by_place:
        raise DeclarationError("a view without any intervention was to be swept")
    start = min(layer + (kind == "post") for kind, layer in by_place)
    inside = all(kind in AFTER_HEADS or layer != start for kind, layer in by_place)
    inside = inside and ("post", start - 1) not in by_place
    return Variant("; ".join(map(str, changes)), view, changes, start, inside, by_place)


def _layers(lm: LM, layers: Iterable[int] | None) -> list[int]:
    return list(range(lm.layers) if layers is None else layers)


def _parts(one: Any) -> list[Any]:
    if isinstance(one, str | Site) or _is_head(one):
        return [one]
    try:
        return list(one)
    except TypeError:
        raise DeclarationError(f"{one!r} is nothing to sweep over: give a site, a (layer, head), several, or a view") from None


def _is_head(one: Any) -> bool:
    return isinstance(one, tuple) and len(one) == 2 and all(_is_whole(number) for number in one)


def _is_whole(number: Any) -> bool:
    return hasattr(number, "__index__") and not isinstance(number, bool)


def _site(part: Any) -> str | Site:
    if _is_head(part):
        return f"L{operator.index(part[0])}.H{operator.index(part[1])}.z"
    return part  # type: ignore[no-any-return]
