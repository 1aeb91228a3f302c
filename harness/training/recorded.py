"""Recorded runs: final weights as safetensors, and the curve with where and when it was made beside them."""

from __future__ import annotations

import json
import platform
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import LoadError
from .networks import empty_model, set_zero
from .recipe import Recipe
from .trainer import Run, check

if TYPE_CHECKING:
    import safetensors
    import safetensors.torch as safetensors_torch
    import torch
else:
    from ..lazy import LazyModule

    safetensors = LazyModule("safetensors")
    safetensors_torch = LazyModule("safetensors.torch")
    torch = LazyModule("torch")

POINTS = 20
"""At most so many points of a curve are kept, the last one always."""


def record(run: Run, folder: Path) -> Path:
    """Write `<seed>.safetensors` and `<seed>.json` into `folder`; parameters that the recipe holds at zero are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: parameter.detach().contiguous()
        for name, parameter in run.model.named_parameters()
        if not _zero(run.recipe, name)
    }
    about = {"recipe": run.recipe.name, "version": str(run.recipe.version), "digest": run.recipe.digest(), "seed": str(run.seed)}
    path = folder / f"{run.seed}.safetensors"
    _replace(path, _sorted_header(safetensors_torch.save(weights, about)))
    curve = {
        "recipe": run.recipe.name,
        "version": run.recipe.version,
        "digest": run.recipe.digest(),
        "seed": run.seed,
        "steps": run.steps,
        "stopped_early": run.stopped,
        "seconds": round(run.seconds, 1),
        "check": _rounded(check(run.model, run.recipe, run.seed)),
        "curve": [_rounded(point) for point in _thinned(run.curve)],
        "made": {
            "date": datetime.now(UTC).date().isoformat(),
            "machine": platform.machine(),
            "system": platform.system(),
            "cpu": _processor(),
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "transformers", "numpy")},
        },
    }
    _replace(path.with_suffix(".json"), (json.dumps(curve, indent=1) + "\n").encode())
    return path


def load(recipe: Recipe, path: Path) -> Any:
    """The network recorded at `<seed>.safetensors`: transformers model, eval mode, float32, no parameter needing a gradient.

    Raises:
        LoadError: the file is missing or damaged, or was made by other values of the recipe, or at another seed.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (OSError, safetensors.SafetensorError) as error:
        raise LoadError(f"recorded weights {path.name} of {recipe.name} cannot be read ({error}); rebuild them") from error
    wanted = {"digest": recipe.digest(), "seed": path.stem}
    for name, value in wanted.items():
        if about.get(name) != value:
            raise LoadError(
                f"recorded weights of {recipe.name}, {path.name}: {name} {value[:12]} wanted, {str(about.get(name))[:12]} found; "
                "rebuild them with fixtures/build.py"
            )
    model = empty_model(recipe)
    missing, unexpected = model.load_state_dict(weights, strict=False)
    missing = [name for name in missing if not _zero(recipe, name)]
    if missing or unexpected:
        raise LoadError(f"recorded weights of {recipe.name}: missing {missing}, unexpected {unexpected}; rebuild them")
    set_zero(model, recipe)
    return model.eval().requires_grad_(False)


def recorded_curve(path: Path) -> dict[str, Any]:
    """What `record` wrote beside the weights at `path`."""
    try:
        found: dict[str, Any] = json.loads(path.with_suffix(".json").read_text())
    except (OSError, ValueError) as error:
        raise LoadError(f"recorded curve {path.with_suffix('.json').name} cannot be read ({error}); rebuild it") from error
    return found


def _zero(recipe: Recipe, name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in recipe.zero)


def _thinned(curve: list[dict[str, float]]) -> list[dict[str, float]]:
    stride = -(-len(curve) // POINTS)
    return curve[::-1][::stride][::-1]


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: value if isinstance(value, int) else float(f"{value:.5g}") for name, value in values.items()}


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
