"""What a constructed network is made from: the code of its family, so that an edit of it changes the digest."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

from .digest import combined

_PACKAGE = __name__.partition(".")[0]
#: Rooms whose code can end up in weights. The rest of this room (loading, LM) uses networks and makes none.
_MAKERS = (f"{_PACKAGE}.subjects.construct", f"{_PACKAGE}.training")


def source_digest(make: Callable[..., Any]) -> str:
    """sha256 over the syntax (no comments, no docstrings) of a function's module and of the makers that it imports."""
    if isinstance(make, partial):
        return combined(source_digest(make.func), repr((make.args, sorted(make.keywords.items()))))
    try:
        path = Path(inspect.getfile(make))
        dump = _dump(path)
    except (OSError, TypeError, SyntaxError):  # typed into a notebook without source: its bytecode stands for it
        code = getattr(make, "__code__", None)
        return combined(make.__qualname__, repr((getattr(code, "co_code", b""), getattr(code, "co_consts", ()))))
    parts = {name: _dump(Path(file)) for name, file in _makers(path, make.__module__)}
    return combined(make.__qualname__, dump, *(f"{name}:{parts[name]}" for name in sorted(parts)))


def strings(make: Callable[..., Any]) -> set[str]:
    """Every text constant in a function's module: names of other families that it builds on are among them."""
    try:
        tree = ast.parse(Path(inspect.getfile(make)).read_text(encoding="utf-8"))
    except (OSError, TypeError, SyntaxError):
        return set()
    name = make.__name__
    found = next((n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == name), tree)
    body = found.body if isinstance(found, ast.FunctionDef) else [found]
    nodes = (node for statement in body for node in ast.walk(statement))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def _makers(path: Path, module: str) -> Iterator[tuple[str, str]]:
    """(module, file) of the maker modules that a file imports, directly or not."""
    pending: list[tuple[Path, str]] = [(path, module)]
    seen: set[str] = set()
    while pending:
        file, name = pending.pop()
        for target in _imports(file, name):
            if target in seen or not target.startswith(_MAKERS):
                continue
            seen.add(target)
            spec = importlib.util.find_spec(target)
            if spec is not None and spec.origin is not None:
                yield target, spec.origin
                pending.append((Path(spec.origin), target))


@cache
def _imports(path: Path, module: str) -> tuple[str, ...]:
    is_package = path.name == "__init__.py"
    package = module if is_package else module.rpartition(".")[0]
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = importlib.util.resolve_name("." * node.level + base, package)
            found.append(base)
            found += [f"{base}.{alias.name}" for alias in node.names if _is_module(f"{base}.{alias.name}")]
    return tuple(found)


def _is_module(name: str) -> bool:
    if not name.startswith(_MAKERS):
        return False
    if name in sys.modules:
        return True
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@cache
def _dump(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)
