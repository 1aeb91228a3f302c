"""Where what ships with the package lies: in a checkout beside `harness/`, in a wheel inside the package."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


@lru_cache(maxsize=1)
def shipped_root() -> Path:
    """The folder that holds `claims/` and `fixtures/`."""
    installed = _PACKAGE / "_shipped"
    return installed if installed.is_dir() else _PACKAGE.parent


def shipped_models() -> dict[str, Path]:
    """Real pretrained models that ship, by name."""
    folder = shipped_root() / "fixtures" / "models"
    found = sorted(folder.glob("*/config.json")) if folder.is_dir() else []
    return {path.parent.name: path.parent for path in found}
