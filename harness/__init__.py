"""claimbench: published findings about neural networks as executable pytest claims.

The public names. What declares a claim is imported here and is light; what loads or runs a model comes at first use,
so that collecting claims stays fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# Imported eagerly also because `claim` and `step` are both decorators and modules: the names bound here are the decorators.
from .claim import Claim, Documented, causal_lm, claim, simulation
from .control import at_least, at_least_one, guard, negative, positive, variant, yours
from .effect import Value
from .errors import ClaimbenchError, DeclarationError, InvalidMeasurement, NotApplicable
from .region import Region, above, below, interval, rate_above, rate_below, within
from .step import Step, step
from .verdict import Verdict

if TYPE_CHECKING:
    from .running.live import Result, run
    from .subjects.family import Built, organism, trained_organism
    from .subjects.tokens import Tokens
    from .training.declared import recipe
    from .training.times import log_ratio, steps_to

_LATE = {
    "Built": "subjects.family",
    "Result": "running.live",
    "Tokens": "subjects.tokens",
    "log_ratio": "training.times",
    "organism": "subjects.family",
    "recipe": "training.declared",
    "run": "running.live",
    "steps_to": "training.times",
    "trained_organism": "subjects.family",
}

__all__ = [
    "Built",
    "Claim",
    "ClaimbenchError",
    "DeclarationError",
    "Documented",
    "InvalidMeasurement",
    "NotApplicable",
    "Region",
    "Result",
    "Step",
    "Tokens",
    "Value",
    "Verdict",
    "above",
    "at_least",
    "at_least_one",
    "below",
    "causal_lm",
    "claim",
    "guard",
    "interval",
    "log_ratio",
    "negative",
    "organism",
    "positive",
    "rate_above",
    "rate_below",
    "recipe",
    "run",
    "simulation",
    "step",
    "steps_to",
    "trained_organism",
    "variant",
    "within",
    "yours",
]


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"claimbench has no {name!r}: it has {', '.join(__all__)}")
    found = getattr(importlib.import_module(f".{_LATE[name]}", __name__), name)
    globals()[name] = found
    return found
