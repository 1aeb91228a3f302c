"""Runs: what training a recipe at one seed yields, kept in the store and shared by every claim that names the recipe."""

from __future__ import annotations

import errno
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InvalidMeasurement, LoadError
from .store import Store, key_of
from .streams import stream

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

        if not self.path.is_file():  # recorded without weights
            return self.trained(self.recipe, self.seed)
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
    """Trains recipes into the store, each (recipe, seed) once, whichever claim or arm asks first; recorded runs are taken.

    Args:
        root: draws for each recipe the recorded seed whose first steps are replayed.
        recorded: folder of the recorded runs, `<recipe name>-<digest>/<seed>.json`; by default what is shipped.
        retrain: "one" replays a drawn seed of each recorded recipe, "none" takes all as they are, "all" takes none.
    """

    def __init__(self, store: Store, root: int = 0, recorded: Path | None = None, retrain: str = "one") -> None:
        from ..subjects.shipped import shipped_root

        self.store, self.root, self.retrain = store, root, retrain
        self.recorded = shipped_root() / "fixtures" / "runs" if recorded is None else recorded

    def get(self, recipe: Recipe, seed: int, weights: bool = False) -> ArmRun:
        """The run of a recipe at a seed: recorded, or from the store, else trained now under its lock.

        weights: a recorded run without weights will not do.
        """
        from ..training import resolved

        recipe = resolved(recipe)
        found = self._recorded(recipe, seed, weights)
        if found is not None:
            return found
        path = self._path(recipe, seed)
        if not _whole(path):
            with self.store.lock(f"{recipe.digest()[:24]}-{seed}"):
                if not _whole(path):
                    self._train(recipe, seed, path)
        return ArmRun(recipe, seed, path, self.model)

    def get_all(self, recipe: Recipe, seeds: Sequence[int]) -> list[ArmRun]:
        """The runs of several seeds; those that are missing are trained as one program where that is faster."""
        from ..training import record, resolved, train_seeds

        recipe = resolved(recipe)
        missing = [s for s in seeds if self._recorded(recipe, s) is None and not _whole(self._path(recipe, s))]
        if len(missing) > 1:
            with ExitStack() as locks, self._room():
                for seed in sorted(missing):  # in order, so that two processes cannot wait for each other
                    locks.enter_context(self.store.lock(f"{recipe.digest()[:24]}-{seed}"))
                missing = [seed for seed in missing if not _whole(self._path(recipe, seed))]
                for run in train_seeds(recipe, missing, trained=self.model):
                    record(run, self._path(recipe, run.seed).parent)
        return [self.get(recipe, seed) for seed in seeds]

    def model(self, recipe: Recipe, seed: int) -> Any:
        """The trained network of a recipe at a seed, a copy of one's own."""
        return self.get(recipe, seed, weights=True).model

    def _path(self, recipe: Recipe, seed: int) -> Path:
        return self.store.folder / "runs" / self.identity(recipe)[:41] / f"{seed}.safetensors"

    @staticmethod
    def identity(recipe: Recipe) -> str:
        """What a run in the store is of: the recipe's values, and the code of the functions that it names."""
        from ..training import functions_digest, resolved

        found = resolved(recipe)
        return f"{functions_digest(found)[:8]}-{found.digest()}"

    def _train(self, recipe: Recipe, seed: int, path: Path) -> None:
        from ..training import Saved, first_losses, parted, record, train

        with self._room():
            first = not list(path.parent.glob("*.json"))
            saved = Saved(path.with_name(f"{seed}.state"))
            run = train(recipe, seed, trained=self.model, saved=saved)
            if first:  # once for each recipe is enough
                again = first_losses(recipe, seed, self.model)
                step = parted(_finite(run.losses), again, tolerance=1e-6)
                if step is not None:
                    raise InvalidMeasurement(
                        f"recipe {recipe.name} is not deterministic: at seed {seed} the loss of step {step} was "
                        f"{_at(run.losses, step)} and is {_at(again, step)} when run again; draw from the rng that is given alone"
                    )
            record(run, path.parent)
            saved.drop()

    def _recorded(self, recipe: Recipe, seed: int, weights: bool = False) -> ArmRun | None:
        """The recorded run; None where there is none by the present values, and where all are to be trained again."""
        from ..training import recorded_curve

        path = recorded_folder(self.recorded, recipe) / f"{seed}.safetensors"
        if self.retrain == "all" or not path.with_suffix(".json").is_file() or (weights and not path.is_file()):
            return None
        record = recorded_curve(path)
        if (record["digest"], record["seed"]) != (recipe.digest(), seed):
            raise LoadError(f"{path.with_suffix('.json')} is of other values than recipe {recipe.name}: record it again")
        if self.retrain == "one" and seed == self._drawn(path.parent, recipe):
            self._replay(recipe, seed, record)
        return ArmRun(recipe, seed, path, self.model)

    def _drawn(self, folder: Path, recipe: Recipe) -> int:
        seeds = sorted(int(found.stem) for found in folder.glob("*.json"))
        return seeds[int(stream(self.root, f"replay/{recipe.digest()}", 0).integers(len(seeds)))]

    def _replay(self, recipe: Recipe, seed: int, record: Mapping[str, Any]) -> None:
        """Raise InvalidMeasurement where the present code does not train the first steps as recorded."""
        from ..training import first_losses, functions_digest, parted

        key = key_of({"replay": recipe.digest(), "seed": seed, "losses": record["losses"], "code": functions_digest(recipe)})
        body = self.store.get(key)
        if body is None:
            losses = first_losses(recipe, seed, self.model)
            body = {"step": parted(record["losses"], losses), "losses": _finite(losses)}
            self.store.put(key, body)
        if (step := body["step"]) is not None:
            was, now = _at(record["losses"], step), _at(body["losses"], step)
            raise InvalidMeasurement(
                f"the recorded run of {recipe.name} at seed {seed} does not come out again: at step {step} its loss was {was} "
                f"and is {now}; raise the recipe's version and record it again"
            )

    @contextmanager
    def _room(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self.store.unwritable(error) from None
        except RuntimeError as error:  # torch and safetensors say a full disk so
            if "PytorchStreamWriter" not in str(error) and "No space left" not in str(error):
                raise
            raise self.store.unwritable(OSError(errno.ENOSPC, "No space left on device")) from None


def recorded_folder(base: Path, recipe: Recipe) -> Path:
    """Where the recorded runs of a recipe lie below a folder."""
    return base / f"{recipe.name}-{recipe.digest()[:8]}"


def _finite(losses: Sequence[float]) -> list[float | None]:
    return [loss if math.isfinite(loss) else None for loss in losses]


def _at(losses: Sequence[float | None], step: int) -> str:
    found = losses[step] if step < len(losses) else None
    return "none" if found is None else f"{found:.7g}"


def _whole(path: Path) -> bool:
    return path.is_file() and path.with_suffix(".json").is_file()  # the curve is written last
