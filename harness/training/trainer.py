"""The trainer: one function, the same numbers for the same recipe and seed on one machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import DeclarationError, InvalidMeasurement
from .networks import random_stream
from .preparing import Trained
from .recipe import Recipe
from .streams import Batch
from .tasks import as_tensors, evaluated, task_named
from .tokens import token_metrics

if TYPE_CHECKING:
    import torch

    from .resume import Saved
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

_CHECK = 5
#: The loss of so many first steps is recorded, to notice when code no longer trains the same.
FIRST = 20

Progress = Callable[[int, Mapping[str, float]], None]


@dataclass
class Run:
    """What training a recipe at one seed yields: the model (eval mode, no gradients), the curve, the last metrics."""

    recipe: Recipe
    seed: int
    model: Any
    curve: list[dict[str, float]] = field(default_factory=list)
    """One entry a record: step, stage, the metrics of the task, what the probes measured."""
    steps: int = 0
    stopped: list[bool] = field(default_factory=list)
    """For each stage: whether its criterion was reached before its last step."""
    diverged: int | None = None
    """The step at which the loss was not finite, which ended the run."""
    losses: list[float] = field(default_factory=list)
    """Training losses of the first `FIRST` steps."""
    checkpoints: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Step -> weights by name, at the recipe's `checkpoints`."""
    seconds: float = 0.0
    """Processor seconds (one thread), which a busy machine does not stretch."""

    @property
    def final(self) -> dict[str, float]:
        """The last entry of the curve."""
        return self.curve[-1]


def train(
    recipe: Recipe, seed: int, progress: Progress | None = None, trained: Trained | None = None, saved: Saved | None = None
) -> Run:
    """Train `recipe` at `seed` on one thread; deterministic on one machine (bits differ between CPUs, behaviour does not).

    Args:
        progress: called as progress(step, metrics) at every record.
        trained: gives the network of another recipe that this one begins from (`of`); by default it is trained here.
        saved: where the run's state is kept from time to time; a run that was interrupted goes on from it.

    Raises:
        InvalidMeasurement: the loss is not finite, and the recipe does not say that it may diverge.
        DeclarationError: a stop names a metric that is not recorded, or the recipe names something that is not registered.
    """
    from .loop import Loop

    began = time.process_time()
    with one_thread(), torch.random.fork_rng(devices=[]), torch.enable_grad():
        loop = Loop(recipe, seed, progress, trained or (lambda other, at: train(other, at).model))
        before = saved.restore(loop) if saved else 0.0
        after = None if saved is None else lambda at: saved.after_step(at, before + time.process_time() - began)
        run = loop.finish(after)
    run.seconds = before + time.process_time() - began
    return run


@dataclass(frozen=True)
class Together:
    """Runs of several seeds trained as one program, and by seed what ended the others."""

    runs: list[Run]
    problems: dict[int, InvalidMeasurement]


def train_together(
    recipe: Recipe,
    seeds: Sequence[int],
    trained: Trained | None = None,
    stacked: bool | None = None,
    saved: Mapping[int, Saved] | None = None,
) -> Together | None:
    """Train several seeds as one program; None where a trial of a few passes shows that to be slower, or it cannot be done.

    Args:
        stacked: True leaves the trial out.
        saved: by seed, where the states are kept from time to time. Seeds whose states are of one step go on together from there;
            with states of several steps it is None, and each can go on alone.

    Raises:
        NotStackable: only with `stacked`.
    """
    from .loop import Loop
    from .stacked import NotStackable, Stack, choose

    source = trained or (lambda other, at: train(other, at).model)
    began = time.process_time()
    with one_thread(), torch.random.fork_rng(devices=[]), torch.enable_grad():
        loops = [Loop(recipe, seed, None, source) for seed in seeds]
        before = sum(saved[loop.seed].restore(loop) for loop in loops) if saved else 0.0
        if len({(loop.index, loop.run.steps) for loop in loops}) > 1:
            return None

        def save(stack: Stack) -> None:
            if saved and stack.alive and not stack.alive[0].ended and saved[stack.alive[0].seed].due:
                stack.hand_back()
                for loop in stack.alive:
                    saved[loop.seed].write(loop, (before + time.process_time() - began) / len(loops))

        try:
            stack = Stack(loops) if stacked or loops[0].run.steps else choose(loops, _fastest)
            if stack is None:
                return None
            problems = stack.finish(save)
        except NotStackable:
            if stacked:
                raise
            return None
        runs = [loop.closed() for loop in loops if loop.seed not in problems]
    for run in runs:
        run.seconds = (before + time.process_time() - began) / len(loops)
    return Together(runs, problems)


def train_seeds(recipe: Recipe, seeds: Sequence[int], trained: Trained | None = None, stacked: bool | None = None) -> list[Run]:
    """Train several seeds: as one program where a trial of a few passes shows that to be faster, else one after another.

    Args:
        stacked: True or False decides instead of the trial. A seed that cannot go into one program is trained alone.

    Raises: as `train`. The processor seconds are shared out evenly.
    """
    if len(seeds) > 1 and stacked is not False:
        together = train_together(recipe, seeds, trained, stacked)
        if together is not None:
            for problem in together.problems.values():
                raise problem
            return together.runs
    return [train(recipe, seed, trained=trained) for seed in seeds]


def _fastest(work: Callable[[], Any], warm: int = 2, times: int = 4) -> float:
    """Processor seconds of the fastest of a few calls."""
    for _ in range(warm):
        work()
    taken = []
    for _ in range(times):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return min(taken)


def evaluate(model: Any, batch: Batch, rows: int = 64) -> dict[str, float]:
    """Loss in nats over the targets of token rows, and loss and accuracy (first choice among all tokens) of every mark.

    A mark without a place in this batch is left out.
    """
    training = model.training
    model.eval()
    with torch.no_grad():
        metrics = token_metrics(model, batch, rows)
    model.train(training)
    return metrics


def check(model: Any, recipe: Recipe, seed: int, rows: int = 512) -> dict[str, float]:
    """Behaviour of a network of `recipe` on fresh rows of its own task: to compare a rebuilt net with the recorded one."""
    from .clamps import Clamps

    last = recipe.plan[-1]
    found = task_named(last.data or recipe.data, whole=bool(recipe.clamps))
    options = {**recipe.options, **last.options}
    with one_thread():
        batch = as_tensors(found.probe(random_stream(seed, _CHECK), rows, seed=seed, **options))
        clamps = Clamps(recipe, model, seed)
        try:
            with clamps.around(batch):
                return evaluated(found, model, batch)
        finally:
            clamps.let_go()


def disagreements(
    rebuilt: Mapping[str, float], recorded: Mapping[str, float], accuracy: float = 0.05, nats: float = 0.15
) -> list[str]:
    """Metrics of two `check`s that differ by more than the tolerance (shares for accuracies, nats for losses), in words."""
    if set(rebuilt) != set(recorded):
        raise DeclarationError(f"checks to compare hold different metrics: {sorted(set(rebuilt) ^ set(recorded))}")
    found = []
    for name, value in recorded.items():
        tolerance = accuracy if name.endswith("accuracy") else max(nats, 0.1 * abs(value))
        if not abs(rebuilt[name] - value) <= tolerance:
            found.append(f"{name}: rebuilt {rebuilt[name]:.4g}, recorded {value:.4g}, tolerance {tolerance:.2g}")
    return found


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread: sums are then taken in one order, and two families can train side by side on two cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
