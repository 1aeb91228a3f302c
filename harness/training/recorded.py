"""Recorded runs: weights as safetensors, and the curve with where and when it was made beside them."""

from __future__ import annotations

import json
import math
import platform
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import LoadError
from .networks import empty_model, kept_weights, set_zero
from .preparing import Trained, prepared_network
from .recipe import Recipe
from .trainer import Run, check, train

if TYPE_CHECKING:
    import safetensors
    import safetensors.torch as safetensors_torch
    import torch
else:
    from ..lazy import LazyModule

    safetensors = LazyModule("safetensors")
    safetensors_torch = LazyModule("safetensors.torch")
    torch = LazyModule("torch")


def record(run: Run, folder: Path) -> Path:
    """Write `<seed>.safetensors`, `<seed>.<step>.safetensors` of each checkpoint and `<seed>.json` into `folder`.

    Parameters that the recipe holds at zero are left out. The curve is written last: with it the run is whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for step, weights in run.checkpoints.items():
        _write_weights(run, weights, folder / f"{run.seed}.{step}.safetensors")
    path = folder / f"{run.seed}.safetensors"
    _write_weights(run, kept_weights(run.model), path)
    curve = {
        "recipe": run.recipe.name,
        "version": run.recipe.version,
        "digest": run.recipe.digest(),
        "seed": run.seed,
        "steps": run.steps,
        "stopped_early": run.stopped,
        **({} if run.diverged is None else {"diverged": run.diverged}),
        "seconds": round(run.seconds, 1),
        "check": _rounded(check(run.model, run.recipe, run.seed)) if run.diverged is None else {},
        "curve": [_rounded(point) for point in _thinned(run.curve, run.recipe.curve_points)],
        "losses": [_finite(float(f"{loss:.7g}")) for loss in run.losses],
        "made": {
            "date": datetime.now(UTC).date().isoformat(),
            "machine": platform.machine(),
            "system": platform.system(),
            "cpu": _processor(),
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "transformers", "numpy")},
        },
    }
    _replace(path.with_suffix(".json"), (json.dumps(curve, indent=1, allow_nan=False) + "\n").encode())
    return path


def _write_weights(run: Run, weights: dict[str, Any], path: Path) -> None:
    kept = {name: value.detach().contiguous() for name, value in weights.items() if not _zero(run.recipe, name)}
    about = {"recipe": run.recipe.name, "version": str(run.recipe.version), "digest": run.recipe.digest(), "seed": str(run.seed)}
    _replace(path, _sorted_header(safetensors_torch.save(kept, about)))


def load(recipe: Recipe, path: Path) -> Any:
    """The network recorded at `<seed>.safetensors` or `<seed>.<step>.safetensors`: eval mode, no parameter needing a gradient.

    Raises:
        LoadError: the file is missing or damaged, or was made by other values of the recipe, or at another seed.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (OSError, safetensors.SafetensorError) as error:
        raise LoadError(f"recorded weights {path.name} of {recipe.name} cannot be read ({error}); rebuild them") from error
    wanted = {"digest": recipe.digest(), "seed": path.name.partition(".")[0]}
    for name, value in wanted.items():
        if about.get(name) != value:
            raise LoadError(
                f"recorded weights of {recipe.name}, {path.name}: {name} {value[:12]} wanted, {str(about.get(name))[:12]} found; "
                "rebuild them with fixtures/build.py"
            )
    model = empty_model(recipe)
    missing, unexpected = model.load_state_dict(weights, strict=False)
    needed = kept_weights(model)
    missing = [name for name in missing if name in needed and not _zero(recipe, name)]
    if missing or unexpected:
        raise LoadError(f"recorded weights of {recipe.name}: missing {missing}, unexpected {unexpected}; rebuild them")
    set_zero(model, recipe)
    return model.eval().requires_grad_(False)


def load_checkpoint(recipe: Recipe, path: Path, step: int) -> Any:
    """The network of a checkpoint of the run recorded at `path`; LoadError where the recipe keeps none at this step."""
    if step not in recipe.checkpoints:
        kept = ", ".join(map(str, recipe.checkpoints)) or "none"
        raise LoadError(f"recipe {recipe.name} keeps no checkpoint of step {step}; it keeps {kept}")
    return load(recipe, path.with_name(f"{path.stem}.{step}.safetensors"))


def load_initial(recipe: Recipe, seed: int, trained: Trained | None = None) -> Any:
    """The network of a recipe at a seed as training begins with it; nothing is read from a file."""
    made = prepared_network(recipe, seed, trained or (lambda other, at: train(other, at).model))
    return made.model.eval().requires_grad_(False)


def recorded_curve(path: Path) -> dict[str, Any]:
    """What `record` wrote beside the weights at `path`; what was not finite is NaN."""
    try:
        found: dict[str, Any] = json.loads(path.with_suffix(".json").read_text())
        found["check"], found["curve"] = _with_nan(found["check"]), [_with_nan(point) for point in found["curve"]]
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise LoadError(f"recorded curve {path.with_suffix('.json').name} cannot be read ({error}); rebuild it") from error
    return found


def _zero(recipe: Recipe, name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in recipe.zero)


def _thinned(curve: list[dict[str, float]], points: int) -> list[dict[str, float]]:
    """At most so many points, evenly spaced, the last one always."""
    stride = -(-len(curve) // points)
    return curve[::-1][::stride][::-1]


def _rounded(values: dict[str, float]) -> dict[str, float | None]:
    return {name: value if isinstance(value, int) else _finite(float(f"{value:.5g}")) for name, value in values.items()}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _with_nan(values: dict[str, Any]) -> dict[str, Any]:
    return {name: math.nan if value is None else value for name, value in values.items()}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())


def _sorted_header(content: bytes) -> bytes:
    """The file with its header's entries in order: safetensors writes the metadata in another order each time."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8:end]), sort_keys=True, separators=(",", ":")).encode().ljust(end - 8)
    return len(header).to_bytes(8, "little") + header + content[end:]


def _replace(path: Path, content: bytes) -> None:
    aside = path.with_name(path.name + ".part")
    aside.write_bytes(content)
    aside.replace(path)
