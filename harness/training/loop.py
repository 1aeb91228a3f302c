"""The loop of one run: stages, steps, records, stops, divergence."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DeclarationError, InvalidMeasurement
from .clamps import Clamps
from .networks import Network, kept_weights, random_stream, release, settle
from .optimisers import made_optimiser
from .preparing import Trained, prepared_network
from .probes import probed, wants_initial
from .recipe import Recipe, Stage
from .registry import call, check_call
from .tasks import Task, as_tensors, evaluated, task_named
from .tokens import is_transformers, short_token_loss
from .trainer import FIRST, Progress, Run

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

_DATA, _EVALUATION, _DROPOUT = 3, 4, 6


@dataclass
class StageData:
    """A stage's task with its options, its random stream of training batches, and the batch that is evaluated."""

    task: Task
    stage: Stage
    rng: np.random.Generator
    drawn: Callable[[], Any]
    held_out: Any

    def draw(self) -> Any:
        """The next training batch, its arrays as tensors."""
        return as_tensors(self.drawn())

    @classmethod
    def of(cls, recipe: Recipe, index: int, seed: int) -> StageData:
        """The data of stage `index`; arms of one seed with the same task draw the same batches."""
        stage = recipe.plan[index]
        found = task_named(stage.data or recipe.data, whole=bool(recipe.clamps))
        options = {**recipe.options, **stage.options}
        rng, rows = random_stream(seed, _DATA, index), stage.batch or recipe.batch
        what = f"task {found.name}"
        check_call(what, found.batch, rng, rows, seed=seed, **options)
        drawn = call(what, found.probe, random_stream(seed, _EVALUATION, index), recipe.evaluate_rows, seed=seed, **options)
        return cls(found, stage, rng, lambda: found.batch(rng, rows, seed=seed, **options), as_tensors(drawn))


class Loop:
    """One run from its first step to its end, a step at a time: `enter` a stage, `step` until it has `ended`.

    Args:
        trained: gives the trained network of a recipe that this one begins from.
    """

    def __init__(self, recipe: Recipe, seed: int, progress: Progress | None, trained: Trained) -> None:
        self.recipe, self.seed, self.progress = recipe, seed, progress
        self.network: Network = prepared_network(recipe, seed, trained)
        self.model = self.network.model
        self.run = Run(recipe, seed, self.model)
        self.records = recipe.evaluation_steps
        self.initial = kept_copy(self.model) if wants_initial(recipe) else {}
        self.parameters = self.network.trained()
        if not self.parameters:
            raise DeclarationError(f"recipe {recipe.name}: all parameters are held, so there is nothing to train")
        self.optimiser = made_optimiser(recipe, self.parameters)
        self.clamps = Clamps(recipe, self.model, seed)
        self.index = self.done = self.in_a_row = 0  # stage; steps done in it; records in a row that met its criterion
        self.ended = False
        self.data: StageData
        torch.manual_seed(int(random_stream(seed, _DROPOUT).integers(2**63)))  # for networks with dropout

    @property
    def over(self) -> bool:
        """Whether the run has ended."""
        return self.run.diverged is not None or (self.ended and self.index + 1 == len(self.recipe.plan))

    def finish(self, after: Callable[[Loop], None] | None = None) -> Run:
        """Train from where the run is to its end; `after` is called behind each step."""
        try:
            while not self.over:
                if self.ended or not self.run.steps:
                    self.enter(self.index + 1 if self.ended else 0)
                while not self.ended:
                    self.step()
                    if after is not None:
                        after(self)
        finally:
            self.clamps.let_go()
        return self.closed()

    def closed(self) -> Run:
        """The run, its model put in eval mode without gradients."""
        self.model.eval().requires_grad_(False)
        return self.run

    def enter(self, index: int) -> None:
        """Begin a stage."""
        self.clamps.let_go()
        self.arrange(index)
        self.index, self.done, self.in_a_row, self.ended = index, 0, 0, False
        self.ready()
        if index == 0:
            self._keep_checkpoint()
            if self.recipe.evaluate_start:
                self._record()

    def arrange(self, index: int) -> None:
        """Hold and release what the stage says."""
        stage = self.recipe.plan[index]
        if stage.release:
            release(self.network, self.recipe, self.seed)
        if stage.settle:
            settle(self.network, self.recipe, self.seed)

    def ready(self) -> None:
        """Draw what the stage evaluates, and note the values that are held in it."""
        self.data = StageData.of(self.recipe, self.index, self.seed)
        self.kept = _kept_values(self.network)
        self.loss_of = self._loss_of(self.data.task)
        self.model.train()

    def step(self) -> None:
        """One step, with what follows from it."""
        batch = self.data.draw()
        with self.clamps.around(batch):
            loss = self.loss_of(self.model, batch)
            if not self.sound(float(loss.detach())):
                return
            self.optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
        if self.recipe.clip is not None:
            torch.nn.utils.clip_grad_norm_([p for p in self.parameters if p.requires_grad], self.recipe.clip)
        set_rate(self.optimiser, self.recipe, self.data.stage, self.done)
        self.optimiser.step()
        with torch.no_grad():
            for parameter, mask, values in self.kept:
                parameter[mask] = values
        self.passed()

    def sound(self, loss: float) -> bool:
        """Note the loss of a step before it is made; False where the run ends because it is not finite."""
        if len(self.run.losses) < FIRST:
            self.run.losses.append(loss)
        if math.isfinite(loss):
            return True
        if not self.recipe.may_diverge:
            raise InvalidMeasurement(
                f"training {self.recipe.name} at seed {self.seed}: the loss is {loss} at step {self.run.steps}; lower the rate, "
                "or say may_diverge=True where that is a result"
            )
        self.run.diverged, self.ended = self.run.steps, True
        self.run.stopped.append(False)
        return False

    def passed(self) -> None:
        """What follows a step: checkpoint, record, the end of the stage."""
        stage = self.data.stage
        self.run.steps += 1
        self.done += 1
        self._keep_checkpoint()
        last = self.done == stage.steps
        if self.due:
            metrics = self._record()
            if stage.stop is not None:
                reached = stage.stop.reached(_stop_value(self.recipe, stage, metrics))
                self.in_a_row = self.in_a_row + 1 if reached else 0
                if self.in_a_row >= stage.stop.times:
                    self.run.stopped.append(True)
                    self.ended = True
                    return
        if last:
            self.run.stopped.append(False)
            self.ended = True

    @property
    def looks_next(self) -> bool:
        """Whether the weights are looked at after the next step."""
        step = self.run.steps + 1
        return step in self.records or step in self.recipe.checkpoints or self.done + 1 == self.data.stage.steps

    def loss_and_backward(self, batch: Any) -> float:
        """The loss of a batch, its gradients left in the parameters."""
        loss = self._loss_of(self.data.task)(self.model, batch)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.optimiser.zero_grad(set_to_none=True)
        return float(loss.detach())

    @property
    def due(self) -> bool:
        """Whether the present step is recorded."""
        return self.run.steps in self.records or self.done == self.data.stage.steps

    def _loss_of(self, found: Task) -> Callable[[Any, Any], Any]:
        if found.tokens and not self.clamps.entries and is_transformers(self.model):
            return short_token_loss
        return found.loss

    def _record(self) -> dict[str, float]:
        with self.clamps.around(self.data.held_out):
            metrics = evaluated(self.data.task, self.model, self.data.held_out)
        self.clamps.let_go()
        metrics |= probed(self.recipe, self.seed, self.model, self.data.held_out, self.initial)
        self.run.curve.append({"step": self.run.steps, "stage": self.index, **metrics})
        if self.progress is not None:
            self.progress(self.run.steps, self.run.curve[-1])
        return metrics

    def _keep_checkpoint(self) -> None:
        if self.run.steps in self.recipe.checkpoints:
            self.run.checkpoints[self.run.steps] = kept_copy(self.model)


def set_rate(optimiser: Any, recipe: Recipe, stage: Stage, done: int) -> None:
    """Give the optimiser the rate of the step after `done` steps of a stage; a group may have a `share` of it."""
    rate = (stage.lr or recipe.lr) * rate_share(recipe, done, stage.steps)
    for group in optimiser.param_groups:
        group["lr"] = rate * group.get("share", 1.0)


def rate_share(recipe: Recipe, step: int, steps: int) -> float:
    """Share of the top rate: linear warm-up, then constant, or a cosine to a tenth over the stage's steps."""
    ramp = min(1.0, (step + 1) / recipe.warmup) if recipe.warmup else 1.0
    if recipe.schedule == "constant":
        return ramp
    return ramp * (0.55 + 0.45 * math.cos(math.pi * step / steps))


def kept_copy(model: Any) -> dict[str, Any]:
    """A copy of what is recorded of a network."""
    return {name: value.detach().clone() for name, value in kept_weights(model).items()}


def _stop_value(recipe: Recipe, stage: Stage, metrics: dict[str, float]) -> float:
    assert stage.stop is not None
    if stage.stop.metric not in metrics:
        raise DeclarationError(
            f'recipe {recipe.name}: stops on "{stage.stop.metric}", but {stage.data or recipe.data} yields {", ".join(metrics)}'
        )
    return metrics[stage.stop.metric]


def _kept_values(network: Network) -> list[tuple[Any, Any, Any]]:
    """(parameter, mask, values) of the parameters of which a part is held fixed."""
    named = dict(network.model.named_parameters())
    partly = {name: mask for name, mask in network.fixed.items() if named[name].requires_grad}
    return [(named[name], mask, named[name].detach()[mask].clone()) for name, mask in partly.items()]
