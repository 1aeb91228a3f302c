"""Runs: what training a recipe at one seed yields, kept in the store and shared by every claim that names the recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
    trained: Callable[[Recipe, int], Any] = field(repr=False, compare=False)
    """Gives the trained network of a recipe that this one begins from."""

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

    @property
    def steps(self) -> int:
        """Steps that were trained."""
        return int(self.record["steps"])

    @property
    def stopped(self) -> bool:
        """Whether the last stage ended by its criterion, not by its last step."""
        return bool(self.record["stopped_early"][-1])

    @property
    def diverged(self) -> int | None:
        """The step at which the loss was not finite, None where it never was."""
        found: int | None = self.record.get("diverged")
        return found

    @cached_property
    def model(self) -> Any:
        """The trained network, eval mode, no gradients."""
        from ..training import load

        return load(self.recipe, self.path)

    @cached_property
    def lm(self) -> Any:
        """The trained transformers model as a subject of measures and interventions; all its ids are usable tokens."""
        from ..training import lm_of

        return lm_of(self.model)

    @cached_property
    def initial(self) -> Any:
        """The network before training."""
        from ..training import load_initial

        return load_initial(self.recipe, self.seed, self.trained)

    def checkpoint(self, step: int) -> Any:
        """The network at a step that the recipe keeps (`checkpoints`)."""
        from ..training import load_checkpoint

        return load_checkpoint(self.recipe, self.path, step)

    def values(self, metric: str) -> tuple[list[float], list[float]]:
        """(steps, values) of a metric over the run, as the measures of curves take them."""
        from ..training import metrics_of

        return metrics_of(self, metric)


class Runs:
    """Trains recipes into the store, each (recipe, seed) once, whichever claim or arm asks first."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def get(self, recipe: Recipe, seed: int) -> ArmRun:
        """The run of a recipe at a seed: from the store, else trained now under its lock."""
        from ..training import record, resolved, train

        recipe = resolved(recipe)
        folder = self.store.folder / "runs" / recipe.digest()[:32]
        path = folder / f"{seed}.safetensors"
        if not self._whole(path):
            with self.store.lock(f"{recipe.digest()[:24]}-{seed}"):
                if not self._whole(path):
                    record(train(recipe, seed, trained=self.model), folder)
        return ArmRun(recipe, seed, path, self.model)

    def model(self, recipe: Recipe, seed: int) -> Any:
        """The trained network of a recipe at a seed, a copy of one's own."""
        return self.get(recipe, seed).model

    @staticmethod
    def _whole(path: Path) -> bool:
        return path.is_file() and path.with_suffix(".json").is_file()  # the curve is written last
