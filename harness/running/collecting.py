"""Collecting without pytest: organisms and claim files by path, for worker processes, notebooks and the catalogue."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from ..claim import Claim
from ..errors import DeclarationError, UsageError

#: Where a user's own organism files are looked for, below the root of their tests.
OWN_ORGANISMS = ("organisms", "fixtures/organisms")


def load_all_organisms(folders: Sequence[Path], root: Path) -> None:
    """Register the shipped organisms, those below `root`, and those of the folders named in the ini file."""
    from ..subjects.family import load_organisms
    from ..subjects.shipped import shipped_root

    wanted = [shipped_root() / "fixtures" / "organisms", *(root / name for name in OWN_ORGANISMS), *folders]
    found: list[Path] = []
    for folder in wanted:
        if folder.is_dir() and folder.resolve() not in found:
            found.append(folder.resolve())
    load_organisms(found)


def claims_root() -> Path:
    """The folder of the shipped claims."""
    from ..subjects.shipped import shipped_root

    return shipped_root() / "claims"


def claim_id(claim: Claim, root: Path) -> str:
    """Stable id of a claim: its file below the root (or below the shipped package) and its name, as pytest writes it."""
    from ..subjects.shipped import shipped_root

    file = Path(claim.file).resolve()
    for base in (root.resolve(), shipped_root().resolve()):
        if file.is_relative_to(base):
            return f"{file.relative_to(base).as_posix()}::{claim.name}"
    return f"{file.name}::{claim.name}"


def check_unique(ids: Iterable[str]) -> None:
    """Raise DeclarationError when two items share an id."""
    seen: set[str] = set()
    for found in ids:
        if found in seen:
            raise DeclarationError(f"two claims or controls share the id {found!r}: rename one, or give a control a label")
        seen.add(found)


def load_module(path: Path) -> ModuleType:
    """Import a file under a private name that depends on its path alone; a loaded one is returned as it is."""
    resolved = path.resolve()
    name = f"_claimbench_{resolved.stem}_{hashlib.sha256(str(resolved).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, resolved)
    if spec is None or spec.loader is None or not resolved.is_file():
        raise UsageError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def check_names(module: ModuleType) -> None:
    """Raise DeclarationError when a claim of a module cannot be told by its function's name."""
    mine = {n: v for n, v in vars(module).items() if isinstance(v, Claim) and v.function.__module__ == module.__name__}
    for name, claim in mine.items():
        if claim.name != name:
            raise DeclarationError(f"claim {claim.name} is also called {name}: give every claim a function of its own")
    defined = [node.name for node in _syntax(module) if isinstance(node, ast.FunctionDef)]
    if doubled := sorted(name for name in mine if defined.count(name) > 1):
        raise DeclarationError(
            f"{module.__file__}: {defined.count(doubled[0])} functions are called {doubled[0]!r}, and the last hides the "
            "claim before it: rename one"
        )


def _syntax(module: ModuleType) -> list[ast.stmt]:
    file = getattr(module, "__file__", None)
    return ast.parse(Path(file).read_bytes()).body if file else []


def place(error: BaseException) -> str:
    """Where an error was raised, "file.py:line", as the last place outside this package; "" where there is none."""
    own = str(Path(__file__).resolve().parent.parent)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = frame.filename
        if file.endswith(".py") and "site-packages" not in file and not str(Path(file).resolve()).startswith(own):
            return f"{file}:{frame.lineno}"
    return ""


def claims_in(module: ModuleType) -> list[Claim]:
    """The claims that a module defines (not those it imports); DeclarationError when one hides another."""
    check_names(module)
    return [v for v in vars(module).values() if isinstance(v, Claim) and v.function.__module__ == module.__name__]


def claim_files(folder: Path) -> list[Path]:
    """Claim files in or below a folder, or the file itself."""
    if not folder.exists():
        raise UsageError(f"{folder}: no such file or folder of claims")
    return [folder] if folder.is_file() else sorted(folder.rglob("test_*.py"))


def load_claims(folders: Iterable[Path], root: Path) -> dict[str, Claim]:
    """Every claim in or below the folders, by id."""
    found: dict[str, Claim] = {}
    for folder in folders:
        for path in claim_files(folder):
            for claim in claims_in(load_module(path)):
                found[claim_id(claim, root)] = claim
    return found


def claims_in_results(results: Iterable[Mapping[str, Any]], root: Path) -> dict[str, Claim]:
    """The claims that results speak of, loaded from their files."""
    from ..subjects.shipped import shipped_root

    found: dict[str, Claim] = {}
    for name in {result["claim"].partition("::")[0] for result in results}:
        for base in (root, shipped_root()):
            if (base / name).is_file():
                found |= load_claims([base / name], root)
                break
    return found
