"""Sweeps: one number for each of many interventions on one subject, exact, at a fraction of one forward pass each.

`sweep` and `screened`; `heads`, `neurons`, `blocks`, `positions`, `edges` for variants; `loss`, `loss_at`,
`last_token_loss`, `logit_difference`, `of_logits` for measures.
"""

from __future__ import annotations

from .exact import Sweep, sweep
from .reading import Measure, last_token_loss, logit_difference, loss, loss_at, of_logits
from .screening import Screened, screened
from .variants import blocks, edges, heads, neurons, positions

__all__ = [
    "Measure",
    "Screened",
    "Sweep",
    "blocks",
    "edges",
    "heads",
    "last_token_loss",
    "logit_difference",
    "loss",
    "loss_at",
    "neurons",
    "of_logits",
    "positions",
    "screened",
    "sweep",
]
