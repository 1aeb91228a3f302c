"""The trainer: one function, the same numbers for the same recipe and seed on one machine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import DeclarationError, InvalidMeasurement
from .networks import Network, initial_network, random_stream, release, settle
from .recipe import Recipe, Stage
from .streams import Batch, stream

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

_DATA, _EVALUATION, _CHECK = 3, 4, 5

Progress = Callable[[int, Mapping[str, float]], None]


@dataclass
class Run:
    """What training a recipe at one seed yields: the model (eval mode, no gradients), the curve, the last metrics."""

    recipe: Recipe
    seed: int
    model: Any
    curve: list[dict[str, float]] = field(default_factory=list)
    """One entry an evaluation: step, stage, and the metrics of `evaluate`."""
    steps: int = 0
    stopped: list[bool] = field(default_factory=list)
    """For each stage: whether its criterion was reached before its last step."""
    seconds: float = 0.0
    """Processor seconds (one thread), which a busy machine does not stretch."""

    @property
    def final(self) -> dict[str, float]:
        """The last entry of the curve."""
        return self.curve[-1]


def train(recipe: Recipe, seed: int, progress: Progress | None = None) -> Run:
    """Train `recipe` at `seed` on one thread; deterministic on one machine (bits differ between CPUs, behaviour does not).

    Args:
        progress: called as progress(step, metrics) at every evaluation.

    Raises:
        InvalidMeasurement: the loss is not finite.
        DeclarationError: a stop names a metric that the data stream does not yield.
    """
    began = time.process_time()
    with _one_thread():
        network = initial_network(recipe, seed)
        run = Run(recipe, seed, network.model)
        optimiser = torch.optim.AdamW(
            network.trained(), lr=recipe.lr, betas=recipe.betas, weight_decay=recipe.weight_decay, foreach=True
        )
        for index, stage in enumerate(recipe.plan):
            if stage.release:
                release(network, recipe, seed)
            if stage.settle:
                settle(network, recipe, seed)
            _train_stage(run, index, stage, optimiser, _kept_values(network), progress)
    run.model.eval().requires_grad_(False)
    run.seconds = time.process_time() - began
    return run


def evaluate(model: Any, batch: Batch, rows: int = 64) -> dict[str, float]:
    """Loss in nats over the targets, and loss and accuracy (first choice among all tokens) of every mark.

    A mark without a place in this batch is left out.
    """
    sums: dict[str, list[float]] = {}
    training = model.training
    model.eval()
    with torch.no_grad():
        for start in range(0, len(batch.ids), rows):
            part = slice(start, start + rows)
            ids = torch.from_numpy(batch.ids[part])
            logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
            loss = torch.nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none").double()
            right = logits.argmax(-1) == ids[:, 1:]
            for name, mask in {"": batch.targets, **batch.marks}.items():
                places = torch.from_numpy(mask[part][:, 1:])
                total = sums.setdefault(name, [0.0, 0.0, 0.0])
                total[0] += float(places.sum())
                total[1] += float(loss[places].sum())
                total[2] += float(right[places].sum())
    model.train(training)
    metrics = {"loss": sums[""][1] / max(sums[""][0], 1.0)}
    for name, (count, loss_sum, right_sum) in sums.items():
        if name and count:
            metrics |= {f"{name} loss": loss_sum / count, f"{name} accuracy": right_sum / count}
    return metrics


def check(model: Any, recipe: Recipe, seed: int, rows: int = 512) -> dict[str, float]:
    """Behaviour of a network of `recipe` on fresh rows of its own data stream: to compare a rebuilt net with the recorded one."""
    options = {**recipe.options, **recipe.plan[-1].options}
    with _one_thread():
        return evaluate(model, stream(recipe.data).probe(random_stream(seed, _CHECK), rows, seed=seed, **options))


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


def _train_stage(
    run: Run, index: int, stage: Stage, optimiser: Any, kept: list[tuple[Any, Any, Any]], progress: Progress | None
) -> None:
    recipe, model = run.recipe, run.model
    source = stream(recipe.data)
    options = {**recipe.options, **stage.options}
    rng = random_stream(run.seed, _DATA, index)
    held_out = source.probe(random_stream(run.seed, _EVALUATION, index), recipe.evaluate_rows, seed=run.seed, **options)
    parameters = [p for p in model.parameters() if p.requires_grad]
    in_a_row, top = 0, stage.lr or recipe.lr
    model.train()
    for step in range(stage.steps):
        batch = source.batch(rng, stage.batch or recipe.batch, seed=run.seed, **options)
        loss = _loss(model, batch)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise InvalidMeasurement(
                f"training {recipe.name} at seed {run.seed}: the loss is {value} at step {run.steps}; lower the rate"
            )
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        if recipe.clip is not None:
            torch.nn.utils.clip_grad_norm_(parameters, recipe.clip)
        for group in optimiser.param_groups:
            group["lr"] = top * _rate(recipe, step, stage.steps)
        optimiser.step()
        with torch.no_grad():
            for parameter, mask, values in kept:
                parameter[mask] = values
        run.steps += 1
        if run.steps % recipe.evaluate_every and step + 1 < stage.steps:
            continue
        metrics = evaluate(model, held_out)
        run.curve.append({"step": run.steps, "stage": index, **metrics})
        if progress is not None:
            progress(run.steps, run.curve[-1])
        if stage.stop is not None:
            if stage.stop.metric not in metrics:
                raise DeclarationError(
                    f'recipe {recipe.name}: stops on "{stage.stop.metric}", but {recipe.data} yields {", ".join(metrics)}'
                )
            in_a_row = in_a_row + 1 if stage.stop.reached(metrics[stage.stop.metric]) else 0
            if in_a_row >= stage.stop.times:
                run.stopped.append(True)
                return
    run.stopped.append(False)


def _loss(model: Any, batch: Batch) -> torch.Tensor:
    ids, places = torch.from_numpy(batch.ids), torch.from_numpy(batch.targets[:, 1:])
    hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    # the unembedding is computed only where a target stands: with one target a row that is most of the work saved
    return torch.nn.functional.cross_entropy(model.lm_head(hidden[places]), ids[:, 1:][places])


def _kept_values(network: Network) -> list[tuple[Any, Any, Any]]:
    """(parameter, mask, values) of the parameters of which a part is held fixed."""
    named = dict(network.model.named_parameters())
    partly = {name: mask for name, mask in network.fixed.items() if named[name].requires_grad}
    return [(named[name], mask, named[name].detach()[mask].clone()) for name, mask in partly.items()]


def _rate(recipe: Recipe, step: int, steps: int) -> float:
    """Share of the top rate: linear warm-up, then constant, or a cosine to a tenth over the stage's steps."""
    ramp = min(1.0, (step + 1) / recipe.warmup) if recipe.warmup else 1.0
    if recipe.schedule == "constant":
        return ramp
    return ramp * (0.55 + 0.45 * math.cos(math.pi * step / steps))


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread: sums are then taken in one order, and two families can train side by side on two cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
