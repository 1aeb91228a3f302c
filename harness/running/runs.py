"""Runs: what training a recipe at one seed yields, kept in the store and shared by every claim that names the recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .store import Store

if TYPE_CHECKING:
    from ..training import Recipe


@dataclass(frozen=True)
class ArmRun:
    """An arm at one seed, as a claim function receives it: curves at once, the network when it is asked for."""

    recipe: Recipe
    seed: int
    path: Path

    @cached_property
    def record(self) -> Mapping[str, Any]:
        """What was recorded beside the weights: steps, seconds, check, curve, where and when."""
        from ..training import recorded_curve

        return recorded_curve(self.path)

    @property
    def curve(self) -> list[dict[str, float]]:
        """One entry an evaluation: step, stage and the metrics of the recipe's data stream."""
        found: list[dict[str, float]] = self.record["curve"]
        return found

    @cached_property
    def model(self) -> Any:
        """The trained transformers model, eval mode, no gradients."""
        from ..training import load

        return load(self.recipe, self.path)


class Runs:
    """Trains recipes into the store, each (recipe, seed) once, whichever claim or arm asks first."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def get(self, recipe: Recipe, seed: int) -> ArmRun:
        """The run of a recipe at a seed: from the store, else trained now under its lock."""
        from ..training import record, train

        folder = self.store.folder / "runs" / recipe.digest()[:32]
        path = folder / f"{seed}.safetensors"
        if not self._whole(path):
            with self.store.lock(f"{recipe.digest()[:24]}-{seed}"):
                if not self._whole(path):
                    record(train(recipe, seed), folder)
        return ArmRun(recipe, seed, path)

    @staticmethod
    def _whole(path: Path) -> bool:
        return path.is_file() and path.with_suffix(".json").is_file()  # the curve is written last
