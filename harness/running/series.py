"""A series of checkpoints: the model folders below one folder, each a subject named by its step, in order of step."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ClaimbenchError, UsageError
from .item import Subject

_END = r"(\d+)([km]?)(?![a-z0-9.])"
_MARKED = re.compile(rf"(?:steps?|checkpoint|ckpt|iter(?:ation)?)[-_ =]?{_END}", re.IGNORECASE)
_NUMBER = re.compile(rf"(?<![0-9.]){_END}", re.IGNORECASE)
_TIMES = {"": 1, "k": 1_000, "m": 1_000_000}
#: Folders are looked for this far below the given one.
_DEPTH = 3
#: What one training run cannot change, by the names that configurations give it.
_SHAPE = (
    *("model_type", "hidden_size", "n_embd", "d_model", "num_hidden_layers", "n_layer", "num_layers"),
    *("num_attention_heads", "n_head", "num_heads", "num_key_value_heads", "vocab_size"),
)


@dataclass(frozen=True)
class Checkpoint:
    """One step of a series; `gap` says in one line why it cannot be judged, as far as its files tell."""

    step: int
    path: Path
    gap: str = ""


@dataclass(frozen=True)
class Series:
    """Checkpoints of one training run, in order of step; called like their folder."""

    folder: Path
    checkpoints: tuple[Checkpoint, ...]

    @property
    def name(self) -> str:
        return self.folder.resolve().name or "checkpoints"

    @property
    def subjects(self) -> list[Subject]:
        """A subject for each step, those that cannot be judged among them."""
        return [
            Subject(f"step-{point.step}", "model", str(point.path), self.name, point.step, point.gap) for point in self.checkpoints
        ]

    @property
    def paths(self) -> list[str]:
        """Folders of the steps that can be judged."""
        return [str(point.path) for point in self.checkpoints if not point.gap]


def read_series(folder: Path) -> Series:
    """The checkpoints below a folder; reads configurations and the heads of weight files, never weights.

    A folder named as a step that holds no sound model is a gap of the series; the other steps are judged without it.

    Raises:
        UsageError: no such folder, no model below it, a model without a step in its name, two models of one step, models
            of two architectures, or no step that can be judged.
    """
    if not folder.is_dir():
        raise UsageError(f"--checkpoints {folder}: no such folder: check the path")
    by_step: dict[int, Path] = {}
    for path in _folders(folder, _DEPTH):
        step = _step_below(folder, path)
        if step in by_step:
            both = f"{by_step[step].relative_to(folder)} and {path.relative_to(folder)}"
            raise UsageError(f"--checkpoints {folder}: {both} are both step {step}: take one of them away")
        by_step[step] = path
    if not by_step:
        itself = (folder / "config.json").is_file()
        fix = "it is itself a model: use --model" if itself else "its subfolders must be models called step-200, step-400, ..."
        raise UsageError(f"--checkpoints {folder} holds no folders of checkpoints: {fix}")
    series = Series(folder, tuple(Checkpoint(step, path, _gap(path)) for step, path in sorted(by_step.items())))
    if not series.paths:
        raise UsageError(f"--checkpoints {folder}: none of {len(by_step)} steps can be judged: {series.checkpoints[0].gap}")
    _check_one_architecture(series)
    return series


def step_of(name: str) -> int | None:
    """The step in a folder's name (step-00200, checkpoint-500, step10k, 1400); None where there is no number.

    Raises:
        UsageError: several numbers, none of them marked as the step.
    """
    found = _MARKED.findall(name) or _NUMBER.findall(name)
    steps = sorted({int(digits) * _TIMES[suffix.lower()] for digits, suffix in found})
    if len(steps) > 1:
        raise UsageError(f"checkpoint {name!r} may be step {' or '.join(map(str, steps))}: call it step-{steps[-1]}, say")
    return steps[0] if steps else None


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    """Model folders below a folder, and those called a step in which no model is."""
    for path in sorted(folder.iterdir()):
        if not path.is_dir() or path.name.startswith("."):
            continue
        if (path / "config.json").is_file():
            yield path
            continue
        below = list(_folders(path, depth - 1)) if depth > 1 else []
        yield from below
        if not below and (path.name.isdecimal() or _MARKED.search(path.name)):
            yield path


def _step_below(folder: Path, path: Path) -> int:
    """The step of a model by the last part of its path that has one."""
    for part in reversed(path.relative_to(folder).parts):
        step = step_of(part)
        if step is not None:
            return step
    raise UsageError(
        f"--checkpoints {folder}: {path.relative_to(folder)} has no step in its name: call it step-200, say, or move it away"
    )


def _gap(path: Path) -> str:
    from ..subjects.files import check_path

    try:
        check_path(str(path))
    except ClaimbenchError as error:
        return str(error)
    return ""


def _check_one_architecture(series: Series) -> None:
    from ..subjects.files import read_json

    sound = [point for point in series.checkpoints if not point.gap]
    shapes = [_shape(read_json(point.path / "config.json")) for point in sound]
    for point, shape in zip(sound, shapes, strict=True):
        for name in dict.fromkeys([*shapes[0], *shape]):
            one, other = shapes[0].get(name), shape.get(name)
            if one != other:
                raise UsageError(
                    f"--checkpoints {series.folder} mixes architectures: {sound[0].path.name} has {name} {one} and "
                    f"{point.path.name} has {other}: give checkpoints of one run"
                )


def _shape(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: config[name] for name in _SHAPE if name in config}
