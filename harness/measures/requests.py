"""What a view may do while its batches are made by somebody else: lasting interventions, and means fixed beforehand."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..interventions.changes import Change
from ..interventions.holding import changes_of

if TYPE_CHECKING:
    import torch

    from ..interventions.sites import Site
    from ..subjects.lm import LM
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

#: Sequences in one pass over those whose mean is taken.
_ROWS = 8


def check_lasting(lm: LM) -> None:
    """UsageError naming an intervention whose values belong to the rows, the length or the batch of one run."""
    for change, inside in _every(lm):
        why = _bound_to_a_run(change, inside)
        if why:
            raise UsageError(f"{change}: {why}, and here sequences of any length come in batches of any rows: {_INSTEAD}")


_INSTEAD = "use modes 'zero' or 'mean', values of the site's own shape, edges by positions or tokens, or a view as the source"


def names_positions(lm: LM) -> bool:
    """Whether an intervention says where in a sequence it acts, so that padding must not be taken for tokens."""
    for change, _ in _every(lm):
        edges = getattr(change, "edges", None)
        places = [site.where for site in (*change.sites, *change.reads)]
        places += [] if edges is None else [edges.queries, edges.keys]
        if any(place is not None for place in places):
            return True
    return False


def with_means(lm: LM, sequences: Callable[[], Sequence[Sequence[int]]]) -> LM:
    """The view with each mean fixed at that over all tokens of these sequences, on the plain model.

    Where a site names positions or tokens the mean is over those. Views without means come back as they are.
    """
    changes = changes_of(lm)
    if not any(_takes_mean(change) for change in changes):
        return lm
    rows = sequences()
    view = lm.plain()
    for change in changes:
        if not _takes_mean(change):
            view = _also(view, change)
            continue
        means = _means(lm.plain(), change.sites, rows)
        for site in change.sites:
            fixed = lm.plain().replaced(site, means[site]).changes[-1]
            view = _also(view, replace(fixed, text=f"{change} at {site}" if len(change.sites) > 1 else str(change)))
    return view


def _every(lm: LM, inside: bool = False) -> Iterator[tuple[Change, bool]]:
    """Every change of a view, and those of the views that it takes values from."""
    for change in changes_of(lm):
        yield change, inside
        if change.source is not None and change.source.mode == "run":
            yield from _every(change.source.lm, True)


def _bound_to_a_run(change: Change, inside: bool) -> str:
    source, edges, values = change.source, getattr(change, "edges", None), getattr(change, "values", None)
    if change.rows is not None:
        return f"its values are for {change.rows} rows"
    if source is not None and source.mode in ("resample", "position mean"):
        return "its values come from other rows of the same run"
    if source is not None and source.mode == "mean" and inside:
        return "its source takes a mean over the rows of one run"
    if source is not None and source.ids is not None:
        return "its source is a run on sequences of its own"
    if edges is not None and edges.mask is not None:
        return "its edges are for sequences of one length"
    rank = getattr(change, "rank", 0)
    if values is not None and values.dim() > rank and values.shape[-rank - 1] != 1:
        return "its values are for sequences of one length"
    return ""


def _takes_mean(change: Change) -> bool:
    return change.source is not None and change.source.mode == "mean"


def _also(view: LM, change: Change) -> LM:
    found = copy.copy(view)
    found.changes = (*view.changes, change)
    return found


def _means(lm: LM, sites: Sequence[Site], rows: Sequence[Sequence[int]]) -> dict[Site, torch.Tensor]:
    """By site the mean over all of its places, summed in float64."""
    sums: dict[Site, Any] = {}
    counts: dict[Site, int] = {}

    def add(site: Site, values: torch.Tensor, _: slice) -> None:
        places = values.reshape(-1, *values.shape[-len(site.unit(lm.size)) :])
        wide = places if places.device.type == "mps" else places.double()
        sums[site] = sums.get(site, 0) + wide.sum(0)
        counts[site] = counts.get(site, 0) + len(places)

    by_length: dict[int, list[Sequence[int]]] = {}
    for row in rows:
        by_length.setdefault(len(row), []).append(row)
    for group in by_length.values():
        for begin in range(0, len(group), _ROWS):
            lm.capture(torch.tensor(group[begin : begin + _ROWS]), list(sites), add)
    if empty := [site for site in sites if not counts.get(site)]:
        raise UsageError(f"{empty[0]}: no sequence has a token there, so there is no mean")
    return {site: (sums[site] / counts[site]).to(lm.dtype) for site in sites}
