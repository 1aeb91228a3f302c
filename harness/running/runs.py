"""Runs: what training a recipe at one seed yields, kept in the store and shared by every claim that names the recipe."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from ..errors import InvalidMeasurement, LoadError, NotApplicable
from .code_digest import helpers_digest
from .store import Store, key_of
from .streams import stream

if TYPE_CHECKING:
    from ..training import Recipe
    from ..training.trainer import Progress


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
        """The trained network, eval mode, no gradients; NotApplicable where training diverged."""
        from ..training import load

        if self.diverged is not None:
            raise NotApplicable(
                f"{self.recipe.name} diverged at seed {self.seed}: the loss of step {self.diverged} was not finite, so there is "
                "no trained network"
            )
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

    def batch(self, rng: Any, rows: int) -> Any:
        """So many rows as the recipe trains on at this seed, drawn from `rng`; whole tables come whole."""
        from ..training.tasks import task_named

        return task_named(self.recipe.data).batch(rng, rows, seed=self.seed, **self.recipe.options)

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
        progress: called as progress(step, metrics) at every record of a single run that is trained.
    """

    def __init__(
        self, store: Store, root: int = 0, recorded: Path | None = None, retrain: str = "one", progress: Progress | None = None
    ) -> None:
        self.progress = progress
        self.store, self.root, self.retrain = store, root, retrain
        self.recorded = shipped_runs() if recorded is None else recorded

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
            with self._lock(recipe, seed):
                if not self._there(recipe, seed):
                    self._train(recipe, seed, path)
        return ArmRun(recipe, seed, path, self.model)

    def missing(self, recipe: Recipe, seeds: Sequence[int]) -> list[int]:
        """The seeds that would have to be trained."""
        from ..training import resolved

        recipe = resolved(recipe)
        return [s for s in seeds if not self._is_recorded(recipe, s) and not _whole(self._path(recipe, s))]

    def get_all(self, recipe: Recipe, seeds: Sequence[int]) -> list[ArmRun]:
        """The runs of several seeds; those that are missing are trained as one program where that is faster.

        Raises:
            InvalidMeasurement: of the first seed that cannot be trained, when the others have been.
        """
        from ..training import resolved

        recipe = resolved(recipe)
        problems: dict[int, InvalidMeasurement] = {}
        if len(missing := self.missing(recipe, seeds)) > 1:
            with ExitStack() as locks, self._room():
                for seed in sorted(missing):  # in order, so that two processes cannot wait for each other
                    locks.enter_context(self._lock(recipe, seed))
                problems = self._train_together(recipe, [seed for seed in missing if not self._there(recipe, seed)])
        found = []
        for seed in seeds:
            try:
                if seed not in problems:
                    found.append(self.get(recipe, seed))
            except InvalidMeasurement as problem:  # the others go on
                problems[seed] = problem
        if problems:
            raise problems[min(problems)]
        return found

    def model(self, recipe: Recipe, seed: int) -> Any:
        """The trained network of a recipe at a seed, a copy of one's own."""
        return self.get(recipe, seed, weights=True).model

    def _path(self, recipe: Recipe, seed: int) -> Path:
        return self.store.folder / "runs" / _run_name(_code(recipe), recipe) / f"{seed}.safetensors"

    @staticmethod
    def identity(recipe: Recipe) -> str:
        """What a run in the store is of: the recipe's values, and the code of the functions that it names and of their helpers."""
        from ..training import resolved

        found = resolved(recipe)
        return f"{_code(found)[:8]}-{found.digest()}"

    def _lock(self, recipe: Recipe, seed: int) -> AbstractContextManager[None]:
        return self.store.lock(f"{recipe.digest()[:24]}-{seed}")

    def _there(self, recipe: Recipe, seed: int) -> bool:
        """Whether the store holds the run; one from when helpers did not count is taken over if its first steps come out again."""
        from ..training import functions_digest, recorded_curve

        path = self._path(recipe, seed)
        older = path.parent.with_name(_run_name(functions_digest(recipe), recipe)) / path.name
        if not _whole(path) and _whole(older) and self._compared(recipe, seed, recorded_curve(older))["step"] is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            for file in [*sorted(older.parent.glob(f"{seed}.*safetensors")), older.with_suffix(".json")]:  # the curve last
                shutil.copyfile(file, path.with_name(f"{file.name}.part"))
                path.with_name(f"{file.name}.part").replace(path.with_name(file.name))
        return _whole(path)

    def _train_together(self, recipe: Recipe, seeds: Sequence[int]) -> dict[int, InvalidMeasurement]:
        """Train seeds as one program where that is faster, else do nothing; what went wrong with some of them."""
        from ..training import Saved, record, train_together

        if len(seeds) < 2:
            return {}
        saved = {seed: Saved(self._path(recipe, seed).with_name(f"{seed}.state")) for seed in seeds}
        if not any(state.path.exists() for state in saved.values()):  # else it was seen to before they were interrupted
            self._check_repeats(recipe, seeds[0])
        together = train_together(recipe, seeds, trained=self.model, saved=saved)
        if together is None:
            return {}
        for run in together.runs:
            record(run, self._path(recipe, run.seed).parent)
            saved[run.seed].drop()
        return together.problems

    def _train(self, recipe: Recipe, seed: int, path: Path) -> None:
        from ..training import Saved, record, train

        with self._room():
            saved = Saved(path.with_name(f"{seed}.state"))
            if not saved.path.exists():  # else it was seen to before the run was interrupted
                self._check_repeats(recipe, seed)
            run = train(recipe, seed, self.progress, trained=self.model, saved=saved)
            record(run, path.parent)
            saved.drop()

    def _check_repeats(self, recipe: Recipe, seed: int) -> None:
        """Raise InvalidMeasurement where the first steps of a run do not come out twice; once for each recipe is enough."""
        from ..training import first_losses, parted

        if list(self._path(recipe, seed).parent.glob("*.json")):
            return
        losses, again = (first_losses(recipe, seed, self.model) for _ in range(2))
        step = parted(_finite(losses), again, tolerance=1e-6)
        if step is not None:
            raise InvalidMeasurement(
                f"recipe {recipe.name} is not deterministic: at seed {seed} the loss of step {step} was "
                f"{_at(losses, step)} and is {_at(again, step)} when run again; draw from the rng that is given alone"
            )

    def _recorded(self, recipe: Recipe, seed: int, weights: bool = False) -> ArmRun | None:
        """The recorded run; None where there is none by the present values, and where all are to be trained again."""
        from ..training import recorded_curve

        path = recorded_folder(self.recorded, recipe) / f"{seed}.safetensors"
        if not self._is_recorded(recipe, seed) or (weights and not path.is_file()):
            return None
        record = recorded_curve(path)
        if (record["digest"], record["seed"]) != (recipe.digest(), seed):
            raise LoadError(f"{path.with_suffix('.json')} is of other values than recipe {recipe.name}: record it again")
        if self.retrain == "one" and seed == self._drawn(path.parent, recipe):
            self._replay(recipe, seed, record)
        return ArmRun(recipe, seed, path, self.model)

    def _is_recorded(self, recipe: Recipe, seed: int) -> bool:
        """Whether there is a recorded run, and not all are to be trained again."""
        return self.retrain != "all" and (recorded_folder(self.recorded, recipe) / f"{seed}.json").is_file()

    def _drawn(self, folder: Path, recipe: Recipe) -> int:
        seeds = sorted(int(found.stem) for found in folder.glob("*.json"))
        return seeds[int(stream(self.root, f"replay/{recipe.digest()}", 0).integers(len(seeds)))]

    def _replay(self, recipe: Recipe, seed: int, record: Mapping[str, Any]) -> None:
        """Raise InvalidMeasurement where the present code does not train the first steps as recorded."""
        body = self._compared(recipe, seed, record)
        if (step := body["step"]) is not None:
            was, now = _at(record["losses"], step), _at(body["losses"], step)
            raise InvalidMeasurement(
                f"the recorded run of {recipe.name} at seed {seed} does not come out again: at step {step} its loss was {was} "
                f"and is {now}; raise the recipe's version and record it again"
            )

    def _compared(self, recipe: Recipe, seed: int, record: Mapping[str, Any]) -> dict[str, Any]:
        """The losses of the first steps by the present code, and the step at which the recorded ones part from them, if any."""
        from ..training import first_losses, parted

        key = key_of({"replay": recipe.digest(), "seed": seed, "losses": record["losses"], "code": _code(recipe)})
        body = self.store.get(key)
        if body is None:
            losses = first_losses(recipe, seed, self.model)
            body = {"step": parted(record["losses"], losses), "losses": _finite(losses)}
            self.store.put(key, body)
        return body

    @contextmanager
    def _room(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self.store.unwritable(error) from None


def shipped_runs() -> Path:
    """The folder of the recorded runs that ship."""
    from ..subjects.shipped import shipped_root

    return shipped_root() / "fixtures" / "runs"


def recorded_folder(base: Path, recipe: Recipe) -> Path:
    """Where the recorded runs of a recipe lie below a folder."""
    return base / f"{recipe.name}-{recipe.digest()[:8]}"


def recorded_seconds(recipes: Iterable[Recipe]) -> float:
    """Seconds that a seed of each recipe, and of those it begins from, took when it was recorded; infinite where none was."""
    from ..training import resolved

    needed: dict[str, Recipe] = {}
    waiting = [resolved(recipe) for recipe in recipes]
    while waiting:
        recipe = waiting.pop()
        needed[recipe.digest()] = recipe
        waiting += [resolved(recipe.of)] if recipe.of is not None else []
    return sum(_usual_seconds(recorded_folder(shipped_runs(), recipe)) for recipe in needed.values())


@cache
def _usual_seconds(folder: Path) -> float:
    found = [seconds_of(path.with_suffix(".safetensors")) for path in folder.glob("*.json")]
    return median(found) if found else math.inf


@cache
def seconds_of(path: Path) -> float:
    """What a seed took to train when it was recorded, by the path of its weights."""
    from ..training import recorded_curve

    return float(recorded_curve(path)["seconds"])


def _run_name(code: str, recipe: Recipe) -> str:
    return f"{code[:8]}-{recipe.digest()[:32]}"


def _code(recipe: Recipe) -> str:
    """Digest of the functions that a recipe names and of what these reach by name."""
    from ..training import functions_digest, named_functions

    functions, beside = named_functions(recipe)
    own, helpers = functions_digest(recipe), _helpers(tuple(functions), tuple(beside))
    return own if helpers is None else key_of({"functions": own, "helpers": helpers})


@cache
def _helpers(functions: tuple[Callable[..., Any], ...], beside: tuple[Callable[..., Any], ...]) -> str | None:
    return helpers_digest(functions, beside)


def _finite(losses: Sequence[float]) -> list[float | None]:
    return [loss if math.isfinite(loss) else None for loss in losses]


def _at(losses: Sequence[float | None], step: int) -> str:
    found = losses[step] if step < len(losses) else None
    return "none" if found is None else f"{found:.7g}"


def _whole(path: Path) -> bool:
    return path.is_file() and path.with_suffix(".json").is_file()  # the curve is written last
