"""Replaying the beginning of a recorded run: does the present code still train the same?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .loop import Loop
from .preparing import Trained
from .recipe import Recipe
from .trainer import FIRST, one_thread, train

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

#: Losses of first steps may differ by this share of their size: rounding differs between processors.
TOLERANCE = 2e-3


def first_losses(recipe: Recipe, seed: int, trained: Trained | None = None) -> list[float]:
    """The training losses of the first `FIRST` steps of a run, trained now."""
    with one_thread(), torch.random.fork_rng(devices=[]), torch.enable_grad():
        loop = Loop(recipe, seed, None, trained or (lambda other, at: train(other, at).model))
        try:
            while len(loop.run.losses) < FIRST and not loop.over:
                if loop.ended or not loop.run.steps:
                    loop.enter(loop.index + 1 if loop.ended else 0)
                while len(loop.run.losses) < FIRST and not loop.ended:
                    loop.step()
        finally:
            loop.clamps.let_go()
    return loop.run.losses


def parted(recorded: Sequence[float | None], now: Sequence[float], tolerance: float = TOLERANCE) -> int | None:
    """The first step (from 0) at which two runs' losses differ by more than the tolerance; None where they agree.

    A loss that was not finite is None in a record, and agrees with any that is not.
    """
    for step, (was, found) in enumerate(zip(recorded, now, strict=False)):
        if was is None or not math.isfinite(found):
            if (was is None) != (not math.isfinite(found)):
                return step
        elif abs(was - found) > tolerance * max(abs(was), abs(found)) + 1e-12:
            return step
    return None if len(recorded) == len(now) else min(len(recorded), len(now))
