"""Imports go one way: claims, then the package; command and plugin, running and reporting, rooms, nouns."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HARNESS = ROOT / "harness"
#: From the ground up: a layer may import from itself and from those before it.
LAYERS = (
    ("errors", "lazy"),
    ("verdict", "region", "effect", "step", "control", "paper"),
    ("claim", "statistics", "interventions", "subjects", "measures", "simulations", "sweeps", "training"),
    ("running", "reporting", "comparing", "publishing", "authoring"),
    ("pytest_plugin", "command", "commands", "cli", "__init__", "__main__", "lm_eval"),
)
LEVEL = {name: number for number, layer in enumerate(LAYERS) for name in layer}
#: Rooms whose code ends up in measurement keys: judging, running and reporting must not reach them.
MEASURING = ("subjects", "interventions", "measures", "simulations", "sweeps", "training")
JUDGING = (
    "claim",
    "region",
    "verdict",
    "statistics",
    "running",
    "reporting",
    "comparing",
    "publishing",
    "authoring",
    "commands",
    "pytest_plugin",
    "cli",
)
#: What a claim's file may import of the standard library: nothing that reads a clock, a file or chance.
STANDARD = ("__future__", "collections", "dataclasses", "itertools", "math", "typing")
HEAVY = ("torch", "transformers", "scipy", "lm_eval", "statsmodels", "sklearn", "pandas", "matplotlib")


def part_of(path: Path) -> str:
    """The layer's member that a file belongs to: its room, or its own name."""
    inside = path.relative_to(HARNESS)
    if inside.as_posix() == "running/command.py":  # collects with pytest, so it stands above the plugin
        return "command"
    return inside.parts[0] if len(inside.parts) > 1 else inside.stem


def imports(path: Path, at_import_time: bool = False) -> Iterator[tuple[str, int]]:
    """(absolute module below the package or elsewhere, line) of every import; without those under TYPE_CHECKING."""
    tree = ast.parse(path.read_text())
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
        or (at_import_time and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))
        for part in (node.body if isinstance(node, ast.If) else [node])
        for inner in ast.walk(part)
    }
    package = ["claimbench", *path.relative_to(HARNESS).parts[:-1]] if path.is_relative_to(HARNESS) else []
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{name}.{alias.name}"
                yield (inner if inner in MODULES or name == "claimbench" else name), node.lineno


FILES = sorted(HARNESS.rglob("*.py"))
MODULES = {
    ".".join(["claimbench", *path.relative_to(HARNESS).with_suffix("").parts]).removesuffix(".__init__"): path for path in FILES
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(HARNESS).as_posix())
def test_imports_go_one_way(path: Path) -> None:
    mine = part_of(path)
    for name, line in imports(path):
        parts = name.split(".")
        if parts[0] != "claimbench" or len(parts) == 1:
            continue
        target = parts[1]
        if target not in LEVEL:
            continue  # a public name of the package, not a module
        assert LEVEL[target] <= LEVEL[mine], f"{path}:{line}: {mine} must not import {target}"
        if mine in MEASURING:
            assert target not in JUDGING, f"{path}:{line}: a better {target} would void every measurement"


def test_every_module_has_a_layer() -> None:
    assert {part_of(path) for path in FILES} <= set(LEVEL)


def test_inside_the_package_imports_are_relative_and_nobody_imports_harness() -> None:
    for path in FILES:
        for name, line in imports(path):
            assert name.split(".")[0] not in ("harness", "claims", "fixtures", "tests"), f"{path}:{line}"
        tree = ast.parse(path.read_text())
        absolute = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and not n.level and n.module]
        assert not [n.module for n in absolute if n.module and n.module.split(".")[0] == "claimbench"], path


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    edges = {
        name: {n for n, _ in imports(path, at_import_time=True) if n in MODULES and n != name} for name, path in MODULES.items()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail[trail.index(name) :], name])
        if name not in done:
            for target in sorted(edges[name]):
                visit(target, (*trail, name))
            done.add(name)

    for name in MODULES:
        visit(name, ())


@pytest.mark.parametrize("folder", ["harness", "claims", "fixtures"])
def test_heavy_libraries_are_not_imported_before_they_are_needed(folder: str) -> None:
    for path in sorted((ROOT / folder).rglob("*.py")):
        if path.name in ("build.py",):  # a script
            continue
        for name, line in imports(path, at_import_time=True):
            assert name.split(".")[0] not in HEAVY, f"{path}:{line} imports {name} at once"


def test_claims_use_public_names_and_measures_only() -> None:
    """No statistics, no hooks, no files, no judging in a claim."""
    for path in sorted((ROOT / "claims").rglob("*.py")):
        for name, line in imports(path):
            parts = name.split(".")
            if parts[0] == "claimbench" and len(parts) > 1 and parts[1] in LEVEL:
                assert parts[1] in ("measures", "simulations", "claim", "step", "control"), f"{path}:{line} imports {name}"
            assert parts[0] in ("claimbench", "numpy", *STANDARD), f"{path}:{line}"


def test_importing_the_package_and_every_module_of_it_stays_light() -> None:
    names = [
        name for name, path in MODULES.items() if path.name != "__main__.py" and part_of(path) not in ("statistics", "lm_eval")
    ]
    script = (
        f"import importlib, sys\nfor name in {names!r}:\n    importlib.import_module(name)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("folder", ["harness", "claims", "fixtures"])
def test_files_hold_one_idea(folder: str) -> None:
    for path in sorted((ROOT / folder).rglob("*.py")):
        assert len(path.read_text().splitlines()) <= 400, path
        text = path.read_text().strip()
        assert not text or text.startswith(('"""', 'r"""')), f"{path} has no docstring"
