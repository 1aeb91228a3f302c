"""The registered functions that a recipe names, and whether their code changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from .clamps import CLAMPS
from .networks import NETWORKS
from .optimisers import OPTIMISERS
from .preparing import PREPARATIONS
from .probes import PROBES
from .recipe import Recipe
from .registry import name_and_options
from .tasks import task_named, task_source


def functions_digest(recipe: Recipe) -> str:
    """sha256 of the code (no comments) of every function that a recipe names, and of those of the recipe that it begins from.

    What these functions call is not covered; `named_functions` are where to look for it.
    """
    sources = [NETWORKS.source(recipe.model["class"]), OPTIMISERS.source(recipe.optimiser)]
    sources += [task_source(name) for name in sorted({recipe.data, *(s.data for s in recipe.plan if s.data)})]
    for registry, entries in ((CLAMPS, recipe.clamps), (PROBES, recipe.probes), (PREPARATIONS, recipe.prepare)):
        sources += [registry.source(name_and_options(entry)[0]) for entry in entries]
    if recipe.of is not None:
        sources.append(functions_digest(recipe.of))
    return hashlib.sha256("\n".join(sources).encode()).hexdigest()


def named_functions(recipe: Recipe) -> tuple[list[Callable[..., Any]], list[Callable[..., Any]]]:
    """The functions that `functions_digest` covers, and those registered beside them: a network's `initial`, a stream's `probe`."""
    builder = NETWORKS[recipe.model["class"]]
    found: list[Callable[..., Any]] = [builder.build, OPTIMISERS[recipe.optimiser][0]]
    beside: list[Callable[..., Any] | None] = [builder.initial]
    for name in sorted({recipe.data, *(s.data for s in recipe.plan if s.data)}):
        task = task_named(name)
        found += [task.batch] if task.tokens else [task.batch, task.loss, task.metrics, task.probe]
        beside.append(task.probe)
    for registry, entries in ((CLAMPS, recipe.clamps), (PROBES, recipe.probes), (PREPARATIONS, recipe.prepare)):
        found += [registry[name_and_options(entry)[0]] for entry in entries]
    if recipe.of is not None:
        more, more_beside = named_functions(recipe.of)
        found, beside = [*found, *more], [*beside, *more_beside]
    return found, [function for function in beside if function is not None and function not in found]
