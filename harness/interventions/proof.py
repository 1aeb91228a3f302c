"""What proves that changes at sites can be made and were made: identity, wiring, and whether no movement is the truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import NotApplicable
from .attention import Plan
from .identity import EAGER, IDENTITY, _allowed, difference
from .instrument import IN_STREAM, Instrument, evaluating, plain_forward
from .sites import Site, Size

if TYPE_CHECKING:
    import torch

    from .changing import Changing
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

_AT_ONCE = 32


def check_kind(instrument: Instrument, kind: str) -> float:
    """Relative difference of logits when every site of a kind is written back as it was; asked once for each kind.

    Raises:
        NotApplicable: the family has no such sites, some are not reached, or writing them back changes the logits.
    """
    if kind in instrument.kinds:
        return instrument.kinds[kind]
    if kind not in (*IN_STREAM, "z") and instrument.projections:
        raise NotApplicable(
            f"{instrument.family} computes its attention outside transformers' attention interface: its {kind} cannot "
            "be reached, only head outputs (z) and the residual stream"
        )
    if kind == "neurons" and not instrument.places.neurons:
        raise NotApplicable(f"{instrument.family} has no linear map that its MLP ends with: neurons cannot be reached")
    reached: set[int] = set()

    def write_back(_: str, layer: int, values: torch.Tensor) -> torch.Tensor:
        reached.add(layer)
        return values.clone()

    ids = instrument._probe
    with evaluating(instrument.model):
        plain = plain_forward(instrument.model, ids).logits
        wanted = frozenset((kind, layer) for layer in range(instrument.layers))
        found = difference(plain, instrument.forward(ids, Plan(alter=write_back, wanted=wanted)))
    if len(reached) != instrument.layers:
        raise NotApplicable(f"{kind} of {instrument.family} was reached in {len(reached)} of {instrument.layers} layers")
    allowed = _allowed(EAGER, plain) if kind in ("pattern", "scores") else IDENTITY
    if not found <= allowed:
        raise NotApplicable(
            f"cannot be intervened on exactly: writing {kind} back as it was changes the logits of {instrument.family} "
            f"by {found:.2g} of their size, and {allowed:g} is allowed"
        )
    instrument.kinds[kind] = found
    return found


def wired(instrument: Instrument, sites: Sequence[tuple[str, Site]], size: Size, token: int) -> tuple[bool, int]:
    """Whether a NaN written at each of the sites reaches the logits, and the sequences that it took; asked once each."""
    keys = [(kind, site.layer, site.members(size)) for kind, site in sites]
    known = instrument.sites_wired
    unknown = [key for key in dict.fromkeys(keys) if key not in known]
    for begin in range(0, len(unknown), _AT_ONCE):
        some = unknown[begin : begin + _AT_ONCE]
        ids = torch.full((len(some), 3), token, device=instrument.model.device)
        plan = Plan(alter=_poison(some), wanted=frozenset((kind, layer) for kind, layer, _ in some))
        plan.needs_eager = not instrument.projections  # SDPA on some devices gives zeros where scores are NaN
        with evaluating(instrument.model):
            bad = instrument.forward(ids, plan).isnan().flatten(1).any(1)
        known.update(zip(some, bad.tolist(), strict=True))
    return all(known[key] for key in keys), len(unknown)


def _poison(sites: Sequence[tuple[str, int, tuple[int, ...] | None]]) -> Any:
    def alter(kind: str, layer: int, values: torch.Tensor) -> torch.Tensor:
        values = values.clone()
        for row, (of, at, members) in enumerate(sites):
            if (of, at) == (kind, layer):
                if members is None:
                    values[row] = torch.nan
                else:
                    values[row, :, list(members)] = torch.nan
        return values

    return alter


def null(run: Changing) -> bool:
    """Whether it is the truth that no logit moved: the sites are read, but not what was changed there.

    Noise that cannot be overlooked is written at the same sites, by the same hooks. If it moves the logits they are
    read, and what moved nothing is below their resolution or in a direction that nothing reads. If it does not, it must
    not even leave the layer (a head whose output nothing reads).
    """
    instrument, batch = run.instrument, run.batch[: run.first]
    places = {(kind, layer) for kind, layer in run.order}
    last = instrument.layers - 1
    ends = frozenset(("post", layer) for kind, layer in places if (kind, layer) != ("post", last))
    generator = torch.Generator().manual_seed(0)
    logits, layers = [], []
    for noisy in (False, True):
        seen: dict[int, torch.Tensor] = {}

        def alter(
            kind: str,
            layer: int,
            values: torch.Tensor,
            noisy: bool = noisy,
            seen: dict[int, torch.Tensor] = seen,
        ) -> torch.Tensor:
            if noisy and (kind, layer) in places:
                values = _noise(values, generator, [site for _, _, site in run.order[kind, layer]], run.size)
            if kind == "post":
                seen[layer] = values
            return values

        wanted = frozenset(places) | (ends if instrument_has_stream(instrument) else frozenset())
        logits.append(batch.clean(instrument.forward(batch, Plan(alter=alter, wanted=wanted))))
        layers.append(seen)
        run.lm.recorder.forward_passes += len(batch)
    if not torch.equal(*logits):
        return True
    return bool(ends) and all(torch.equal(layers[0][layer], layers[1][layer]) for layer in layers[0])


def instrument_has_stream(instrument: Instrument) -> bool:
    """Whether the residual stream of the family can be reached."""
    try:
        return bool(instrument.places.layers)
    except NotApplicable:
        return False


def _noise(values: torch.Tensor, generator: torch.Generator, sites: Sequence[Site], size: Size) -> torch.Tensor:
    scale = 10 * float(values[values.isfinite()].abs().clamp_max(1e3).max()) + 10
    noise = (torch.randn(values.shape, generator=generator) * scale).to(values)
    changed = values.clone()
    for site in sites:
        members = site.members(size)
        if members is None:
            changed = values + noise
        else:
            changed[:, :, list(members)] = values[:, :, list(members)] + noise[:, :, list(members)]
    return changed
