"""What the trainer costs beside a bare loop, and several seeds as one program beside one after another.

    python -P benchmarks/training.py [--quick]

Rows are written to benchmarks/training.json. Ratios are of processor seconds; the median, the least and the largest of the repeats
are given. The sides of a ratio take turns, so that a disturbance meets both.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from claimbench.training import Recipe, network, task, train, train_seeds
from claimbench.training.loop import Loop
from claimbench.training.networks import initial_network
from claimbench.training.optimisers import made_optimiser
from claimbench.training.stacked import choose
from claimbench.training.trainer import _fastest

FILE = Path(__file__).with_name("training.json")
SEEDS = range(8)
Row = dict[str, Any]


@network("bench-mlp")
def mlp(width: int = 32, depth: int = 2) -> Any:
    """`depth` hidden layers of `width` units."""
    sizes = [8, *[width] * depth, 1]
    layers = [layer for i in range(depth + 1) for layer in (torch.nn.Linear(sizes[i], sizes[i + 1]), torch.nn.ReLU())]
    return torch.nn.Sequential(*layers[:-1])


@task("bench-product")
class Product:
    """The product of two of eight numbers."""

    def batch(rng: np.random.Generator, n: int, seed: int = 0) -> dict[str, Any]:  # type: ignore[misc]
        x = rng.normal(size=(n, 8))
        return {"x": x, "y": x[:, 0] * x[:, 1]}

    def loss(model: Any, batch: Any) -> Any:  # type: ignore[misc]
        return (model(batch["x"])[:, 0] - batch["y"]).square().mean()


def recipe(width: int, steps: int, batch: int = 32) -> Recipe:
    """Recorded at its end alone."""
    return Recipe(
        name=f"bench-{width}", version=1, model={"class": "bench-mlp", "width": width}, data="bench-product", batch=batch,
        steps=steps, evaluate_every=steps, evaluate_rows=32, std=0.3,
    )  # fmt: skip


def bare(given: Recipe) -> Callable[[int], None]:
    """The same network, batches and optimiser in a loop of one's own: runs so many steps."""
    model = initial_network(given, 0).model
    optimiser = made_optimiser(given, list(model.parameters()))
    rng = np.random.default_rng(0)

    def steps(count: int) -> None:
        for _ in range(count):
            drawn = Product.batch(rng, given.batch)
            batch = {name: torch.from_numpy(value.astype(np.float32)) for name, value in drawn.items()}
            loss = Product.loss(model, batch)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            float(loss.detach())  # a loop that would notice divergence

    return steps


def looped(given: Recipe, seeds: Sequence[int]) -> Callable[[int], None]:
    """The trainer, seeds one after another: runs so many steps of each."""
    loops = [Loop(given, seed, None, train) for seed in seeds]
    for loop in loops:
        loop.enter(0)

    def steps(count: int) -> None:
        for loop in loops:
            for _ in range(count):
                loop.step()

    return steps


def chosen(given: Recipe, seeds: Sequence[int]) -> tuple[Callable[[int], None], str]:
    """The trainer as it chooses by its trial: runs so many steps of each seed; and which way that is."""
    stack = choose([Loop(given, seed, None, train) for seed in seeds], _fastest)
    if stack is None:
        return looped(given, seeds), "one after another"
    stack.enter(0)

    def steps(count: int) -> None:
        for _ in range(count):
            stack.step()

    return steps, "as one program"


def seconds(work: Callable[[], Any]) -> float:
    """Processor seconds of a call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def turns(one: Callable[[int], None], other: Callable[[int], None], steps: int, repeats: int) -> list[float]:
    """Seconds of so many steps of one over those of the other, in turns, after a few steps of each."""
    one(5), other(5)
    return [seconds(lambda: one(steps)) / seconds(lambda: other(steps)) for _ in range(repeats)]


def row(name: str, values: Sequence[float], against: str, unit: str) -> Row:
    """A row from the values of the repeats."""
    found = {"ratio": statistics.median(values), "low": min(values), "high": max(values)}
    return {
        "name": name,
        **{k: float(f"{v:.4g}") for k, v in found.items()},
        "against": against,
        "unit": unit,
        "machine": machine(),
    }


def machine() -> str:
    """Processor and load, since a busy machine blurs."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())
    return f"{cpu}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"


def resident(work: Callable[[], Any]) -> float:
    """Megabytes by which a process of its own grows at most during a call."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        work()
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        os.write(writing, str(grown / 1024).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        found = float(answer.read())
    os.waitpid(child, 0)
    return found


def rows(quick: bool) -> Iterator[Row]:
    """All rows, each as soon as it is measured; a few processor minutes, or a quarter of one when quick."""
    steps, repeats = (60, 3) if quick else (400, 7)
    small, large = recipe(32, 10**6), recipe(512, 10**6, batch=128)
    for r, count in ((small, steps), (large, steps // 4)):
        ratios = turns(looped(r, [0]), bare(r), count, repeats)
        yield row(f"trainer, one seed, width {r.model['width']}", ratios, "bare loop", "ratio")
    for r, count in ((small, steps // 2), (large, steps // 8)):
        way, name = chosen(r, SEEDS)
        ratios = turns(looped(r, SEEDS), way, count, repeats)
        yield row(f"8 seeds {name} (chosen), width {r.model['width']}", ratios, "one after another", "times faster")
        trial = seconds(lambda r=r: chosen(r, SEEDS)) * count / seconds(lambda r=r, count=count: looped(r, [0])(count))
        yield row(f"the trial that chooses, 8 seeds, width {r.model['width']}", [trial], "a step of one seed", "steps")
    for seeds in (1, 2, 4, 8):
        grown = [resident(lambda n=seeds: train_seeds(recipe(1024, 4), range(n), stacked=n > 1 or None))]
        yield row(f"memory of {seeds} seeds, width 1024", grown, "before training", "MB")
    for width in (16, 64, 256, 1024):
        count, run = max(steps * 16 // width, 10), looped(recipe(width, 10**6), [0])
        run(5)
        rate = [count / seconds(lambda run=run, count=count: run(count)) for _ in range(repeats)]
        yield row(f"steps a second, width {width}", rate, "", "steps/s")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write, show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer steps and repeats")
    quick = parser.parse_args(arguments).quick
    torch.set_num_threads(1)
    found = []
    for line in rows(quick):
        found.append(line)
        print(f"{line['name']:60} {line['ratio']:>9} [{line['low']}, {line['high']}] {line['unit']} {line['against']}", flush=True)
        FILE.write_text(json.dumps({"mode": "quick" if quick else "full", "rows": found}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
