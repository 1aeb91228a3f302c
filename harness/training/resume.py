"""Resuming: what a loop needs to go on as if it had not been interrupted, written aside and renamed every so often."""

from __future__ import annotations

import io
import json
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .loop import Loop
from .recipe import Recipe
from .trainer import FIRST

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

#: Seconds between two saved states.
EVERY = 30.0


class Saved:
    """The saved state of one run in a file. A state of other values, code or torch, or a damaged one, counts as none.

    Args:
        every: least seconds between two states; 0 saves after each step.
    """

    def __init__(self, path: Path, every: float = EVERY) -> None:
        self.path, self.every = path, every
        self.last = time.monotonic()

    def restore(self, loop: Loop) -> float:
        """Put a loop where the saved run was, if there is one; processor seconds that it had taken."""
        state = self._read(loop.recipe, loop.seed)
        if state is None:
            return 0.0
        run, told = loop.run, json.loads(state["told"])
        for index in range(told["index"] + 1):
            loop.arrange(index)
        loop.index, loop.done, loop.in_a_row = told["index"], told["done"], told["in_a_row"]
        loop.model.load_state_dict(state["model"])
        loop.optimiser.load_state_dict(state["optimiser"])
        loop.ready()
        loop.data.rng.bit_generator.state = told["rng"]
        torch.set_rng_state(state["torch_rng"])
        run.steps, run.stopped, run.losses, run.curve = told["steps"], told["stopped"], told["losses"], told["curve"]
        run.checkpoints = {int(step): weights for step, weights in state["checkpoints"].items()}
        return float(told["seconds"])

    @property
    def due(self) -> bool:
        """Whether it is time to save again."""
        return time.monotonic() - self.last >= self.every

    def after_step(self, loop: Loop, seconds: float) -> None:
        """Save the state where it is time to; called between two steps of a stage."""
        if self.due and not loop.ended:
            self.write(loop, seconds)

    def write(self, loop: Loop, seconds: float) -> None:
        """Save the state, which is between two steps of a stage."""
        self.last = time.monotonic()
        run = loop.run
        told = {
            "index": loop.index, "done": loop.done, "in_a_row": loop.in_a_row, "steps": run.steps, "stopped": run.stopped,
            "losses": run.losses, "curve": run.curve, "rng": loop.data.rng.bit_generator.state, "seconds": seconds,
        }  # fmt: skip
        state = {
            "identity": _identity(loop.recipe, loop.seed),
            "told": json.dumps(told),
            "model": loop.model.state_dict(),
            "optimiser": loop.optimiser.state_dict(),
            "torch_rng": torch.get_rng_state(),
            "checkpoints": {str(step): weights for step, weights in run.checkpoints.items()},
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        torch.save(state, content)  # not into the file: torch does not say so when the disk is full
        aside = self.path.with_name(self.path.name + ".part")
        aside.write_bytes(content.getbuffer())
        aside.replace(self.path)

    def drop(self) -> None:
        """The run is whole: its state is not needed any more."""
        self.path.unlink(missing_ok=True)

    def _read(self, recipe: Recipe, seed: int) -> Any:
        try:
            state = torch.load(self.path, weights_only=True)
            return state if state["identity"] == _identity(recipe, seed) and json.loads(state["told"]) else None
        except FileNotFoundError:
            return None
        except Exception:  # a torn or foreign file is no state: the run begins anew
            return None


def _identity(recipe: Recipe, seed: int) -> str:
    return f"{recipe.digest()} {seed} {version('torch')} {FIRST}"
