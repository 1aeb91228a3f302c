"""The registered functions that a recipe names, and whether their code changed."""

from __future__ import annotations

import hashlib

from .clamps import CLAMPS
from .networks import NETWORKS
from .optimisers import OPTIMISERS
from .preparing import PREPARATIONS
from .probes import PROBES
from .recipe import Recipe
from .registry import name_and_options
from .tasks import task_source


def functions_digest(recipe: Recipe) -> str:
    """sha256 of the code (no comments) of every function that a recipe names, and of those of the recipe that it begins from.

    What these functions call is not covered: raise the recipe's version where that changes.
    """
    sources = [NETWORKS.source(recipe.model["class"]), OPTIMISERS.source(recipe.optimiser)]
    sources += [task_source(name) for name in sorted({recipe.data, *(s.data for s in recipe.plan if s.data)})]
    for registry, entries in ((CLAMPS, recipe.clamps), (PROBES, recipe.probes), (PREPARATIONS, recipe.prepare)):
        sources += [registry.source(name_and_options(entry)[0]) for entry in entries]
    if recipe.of is not None:
        sources.append(functions_digest(recipe.of))
    return hashlib.sha256("\n".join(sources).encode()).hexdigest()
