"""What a family bears: every kind of instrument, on a tiny network of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..errors import DeclarationError, NotApplicable, UsageError
from ..interventions import proof
from ..interventions.identity import difference
from ..interventions.sites import KINDS
from .lm import LM
from .tiny import CONFIGS, CONTEXT, VOCAB, tiny_lm

#: Kinds of sites, and what is done with several of them.
INSTRUMENTS = (*KINDS, "edges", "paths", "held", "generate")
_IDS = np.random.default_rng(0).integers(3, VOCAB, (3, min(10, CONTEXT)))


@dataclass(frozen=True)
class Bearing:
    """What a family bears. `applicable` is the reason against, or empty.

    attached, restored: relative differences of logits that the identity check measured. errors: by instrument, the
    largest relative difference of logits under a change that must change nothing. refused: by instrument, why.
    """

    family: str
    applicable: str
    attached: float | None
    restored: float | None
    errors: Mapping[str, float]
    refused: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """JSON."""
        return asdict(self)


def bearing(family: str) -> Bearing:
    """Run every kind of instrument on a tiny network of a family. UsageError for one that is not listed."""
    if family not in CONFIGS:
        raise UsageError(f"no tiny network of {family!r} is known: use {', '.join(CONFIGS)}")
    lm = tiny_lm(family)
    try:
        identity = lm.identity
    except NotApplicable as error:
        return Bearing(family, str(error), None, None, {}, {})
    errors: dict[str, float] = {}
    refused: dict[str, str] = {}
    for instrument in INSTRUMENTS:
        try:
            errors[instrument] = _error(lm, instrument)
        except (DeclarationError, NotApplicable) as error:
            refused[instrument] = str(error)
    return Bearing(family, "", identity.attached, identity.restored, errors, refused)


def bearings(families: Sequence[str] = ()) -> list[Bearing]:
    """What these families bear, or all that are listed."""
    return [bearing(family) for family in families or CONFIGS]


def _error(lm: LM, instrument: str) -> float:
    """Largest relative difference of logits where every site is written back as it was, and where a run is patched with itself."""
    every = range(lm.layers)
    if instrument in KINDS:
        view = lm.patched([f"L{layer}.{instrument}" for layer in every], _IDS)
        return max(proof.check_kind(lm.instrument, instrument), _against(lm, view))
    if instrument == "edges":
        proof.check_kind(lm.instrument, "pattern")
        return proof.check_kind(lm.instrument, "scores")
    if instrument == "paths":
        return _against(lm, lm.path_patched("L0.H1.z", "L1.H2.q", _IDS))
    view = lm.scaled([f"L{layer}.z" for layer in every], 1.0)
    if instrument == "generate":
        options: dict[str, Any] = dict(max_new_tokens=3, do_sample=False, pad_token_id=0, eos_token_id=None)
        same = bool((view.generate(_IDS, **options) == lm.generate(_IDS, **options)).all())
        if not same:
            raise NotApplicable("a change that changes nothing gives other tokens")
        return 0.0
    import torch

    ids = torch.from_numpy(_IDS)
    with view.held() as model, torch.no_grad():
        held = model(input_ids=ids).logits
    return difference(lm.logits(_IDS), held)


def _against(lm: LM, view: LM) -> float:
    return difference(lm.logits(_IDS), view.logits(_IDS))


