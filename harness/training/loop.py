"""The loop of one run: stages, steps, records, stops, divergence."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import DeclarationError, InvalidMeasurement
from .clamps import Clamps
from .networks import Network, random_stream, release, settle
from .optimisers import made_optimiser
from .preparing import Trained, prepared_network
from .probes import probed, wants_initial
from .recipe import Recipe, Stage
from .registry import call, check_call
from .tasks import Task, as_tensors, evaluated, task_named
from .tokens import short_token_loss
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
    draw: Callable[[], Any]
    held_out: Any

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
        held_out = as_tensors(drawn)
        return cls(found, stage, lambda: as_tensors(found.batch(rng, rows, seed=seed, **options)), held_out)


class Loop:
    """One run from its first step to its end.

    Args:
        trained: gives the trained network of a recipe that this one begins from.
    """

    def __init__(self, recipe: Recipe, seed: int, progress: Progress | None, trained: Trained) -> None:
        self.recipe, self.seed, self.progress = recipe, seed, progress
        self.network: Network = prepared_network(recipe, seed, trained)
        self.model = self.network.model
        self.run = Run(recipe, seed, self.model)
        self.records = recipe.evaluation_steps
        self.initial = _weights(self.model) if wants_initial(recipe) else {}
        parameters = self.network.trained()
        if not parameters:
            raise DeclarationError(f"recipe {recipe.name}: all parameters are held, so there is nothing to train")
        self.optimiser = made_optimiser(recipe, parameters)
        self.clamps = Clamps(recipe, self.model, seed)
        torch.manual_seed(int(random_stream(seed, _DROPOUT).integers(2**63)))  # for networks with dropout

    def finish(self) -> Run:
        """Train to the end of the last stage, or to where the run diverges."""
        for index, stage in enumerate(self.recipe.plan):
            if stage.release:
                release(self.network, self.recipe, self.seed)
            if stage.settle:
                settle(self.network, self.recipe, self.seed)
            data = StageData.of(self.recipe, index, self.seed)
            if index == 0:
                self._keep_checkpoint()
                if self.recipe.evaluate_start:
                    self._record(index, data)
            try:
                self._stage(index, data)
            finally:
                self.clamps.let_go()
            if self.run.diverged is not None:
                break
        self.model.eval().requires_grad_(False)
        return self.run

    def _stage(self, index: int, data: StageData) -> None:
        run, stage = self.run, data.stage
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        kept = _kept_values(self.network)
        loss_of = self._loss_of(data.task)
        in_a_row = 0
        self.model.train()
        for step in range(stage.steps):
            batch = data.draw()
            with self.clamps.around(batch):
                loss = loss_of(self.model, batch)
                if self._diverges(float(loss.detach())):
                    run.stopped.append(False)
                    return
                self.optimiser.zero_grad(set_to_none=True)
                torch.autograd.backward(loss)
            if self.recipe.clip is not None:
                torch.nn.utils.clip_grad_norm_(parameters, self.recipe.clip)
            rate = (stage.lr or self.recipe.lr) * rate_share(self.recipe, step, stage.steps)
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            self.optimiser.step()
            with torch.no_grad():
                for parameter, mask, values in kept:
                    parameter[mask] = values
            run.steps += 1
            self._keep_checkpoint()
            if run.steps not in self.records and step + 1 < stage.steps:
                continue
            metrics = self._record(index, data)
            if stage.stop is not None:
                in_a_row = in_a_row + 1 if stage.stop.reached(_stop_value(self.recipe, stage, metrics)) else 0
                if in_a_row >= stage.stop.times:
                    run.stopped.append(True)
                    return
        run.stopped.append(False)

    def _loss_of(self, found: Task) -> Callable[[Any, Any], Any]:
        if found.tokens and not self.clamps.entries and hasattr(self.model, "lm_head") and hasattr(self.model, "base_model"):
            return short_token_loss
        return found.loss

    def _diverges(self, value: float) -> bool:
        if len(self.run.losses) < FIRST:
            self.run.losses.append(value)
        if math.isfinite(value):
            return False
        if not self.recipe.may_diverge:
            raise InvalidMeasurement(
                f"training {self.recipe.name} at seed {self.seed}: the loss is {value} at step {self.run.steps}; lower the rate, "
                "or say may_diverge=True where that is a result"
            )
        self.run.diverged = self.run.steps
        return True

    def _record(self, index: int, data: StageData) -> dict[str, float]:
        with self.clamps.around(data.held_out):
            metrics = evaluated(data.task, self.model, data.held_out)
        self.clamps.let_go()
        metrics |= probed(self.recipe, self.seed, self.model, data.held_out, self.initial)
        self.run.curve.append({"step": self.run.steps, "stage": index, **metrics})
        if self.progress is not None:
            self.progress(self.run.steps, self.run.curve[-1])
        return metrics

    def _keep_checkpoint(self) -> None:
        if self.run.steps in self.recipe.checkpoints:
            self.run.checkpoints[self.run.steps] = _weights(self.model)


def rate_share(recipe: Recipe, step: int, steps: int) -> float:
    """Share of the top rate: linear warm-up, then constant, or a cosine to a tenth over the stage's steps."""
    ramp = min(1.0, (step + 1) / recipe.warmup) if recipe.warmup else 1.0
    if recipe.schedule == "constant":
        return ramp
    return ramp * (0.55 + 0.45 * math.cos(math.pi * step / steps))


def _weights(model: Any) -> dict[str, Any]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


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
