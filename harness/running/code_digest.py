"""The code digest: what a measurement depends on, and nothing else, so that a comment or a better report voids nothing.

It covers the syntax tree (no comments, docstrings, decorators) of the claim function, of the steps and helpers it
reaches by name, and of whole modules of the measuring rooms where it reaches those.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterable
from functools import lru_cache
from types import FunctionType, ModuleType
from typing import Any

from ..step import Step, parameters, step_named

_PACKAGE = __name__.partition(".")[0]
#: Rooms of the package whose code a measurement may depend on. They import nothing of judging, running or reporting.
ROOMS = tuple(f"{_PACKAGE}.{room}" for room in ("subjects", "interventions", "measures", "training"))


def code_digest(functions: Iterable[Callable[..., Any]]) -> str:
    """sha256 over the normalised code of the functions and of what they reach; order does not matter."""
    parts: set[str] = set()
    modules = {f"{_PACKAGE}.subjects.lm"}  # every claim receives its subject, and with it every intervention
    pending: list[Any] = [getattr(function, "function", function) for function in functions]
    seen: dict[int, Any] = {}  # keeps what it names alive, so that an id is never reused
    while pending:
        found = pending.pop()
        if id(found) in seen:
            continue
        seen[id(found)] = found
        module = getattr(found, "__module__", None) or ""
        if isinstance(found, _Constant):
            parts.add(f"{found.name}={found.value!r}")
        elif module.startswith(ROOMS):
            modules.add(module)
        elif isinstance(found, FunctionType | type) and module.partition(".")[0] != _PACKAGE and _is_own(module):
            tree = _tree(found)
            parts.add(f"{found.__qualname__}:{_dump(tree)}")
            pending.extend(_reached(found, tree))
    parts.update(f"{name}:{_module_dump(name)}" for name in _closure(modules))
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()


def _is_own(module: str) -> bool:
    """Code of a claim's author: not the standard library, not an installed library."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top == "builtins":
        return False
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    return "site-packages" not in file or "_shipped" in file


def _reached(function: Any, tree: ast.AST) -> Iterable[Any]:
    if not isinstance(function, FunctionType):
        return
    for name in parameters(function):
        found = step_named(function, name)
        if found is not None:
            yield found.function
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for name in sorted(names & set(function.__globals__)):
        value = function.__globals__[name]
        if isinstance(value, Step):
            yield value.function
        elif isinstance(value, FunctionType | type):
            yield value
        elif isinstance(value, ModuleType) and value.__name__.startswith(ROOMS):
            yield from (v for v in vars(value).values() if getattr(v, "__module__", "") == value.__name__)
        elif isinstance(value, int | float | str | tuple | frozenset):
            yield _Constant(name, value)


class _Constant:
    """A module-level constant that a function reads; enters the digest by its value."""

    def __init__(self, name: str, value: Any) -> None:
        self.name, self.value = name, value


def _tree(found: Any) -> ast.AST:
    try:
        source = inspect.getsource(found)
    except (OSError, TypeError):  # typed into a notebook without source: identified by its bytecode
        return ast.parse(repr(getattr(getattr(found, "__code__", None), "co_code", found)))
    return ast.parse(textwrap.dedent(source))


def _dump(tree: ast.AST) -> str:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            node.decorator_list = []
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
            first = body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
                node.body = body[1:] or [ast.Pass()]  # type: ignore[attr-defined]
    return ast.dump(tree)


@lru_cache(maxsize=None)
def _module_tree(name: str) -> ast.Module:
    return ast.parse(inspect.getsource(importlib.import_module(name)))


@lru_cache(maxsize=None)
def _module_dump(name: str) -> str:
    return _dump(ast.parse(inspect.getsource(importlib.import_module(name))))


def _closure(modules: set[str]) -> set[str]:
    """The modules and every module of the measuring rooms that they import, directly or not."""
    pending, found = list(modules), set[str]()
    while pending:
        name = pending.pop()
        if name in found:
            continue
        found.add(name)
        pending.extend(_imports(name))
    return found


@lru_cache(maxsize=None)
def _imports(name: str) -> tuple[str, ...]:
    module = importlib.import_module(name)
    package = name if hasattr(module, "__path__") else name.rpartition(".")[0]
    found: list[str] = []
    for node in ast.walk(_module_tree(name)):
        if not isinstance(node, ast.ImportFrom):
            continue
        base = importlib.util.resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module
        for alias in node.names:
            # A re-export resolves to the module that defines the thing, so a package's __init__ never stands for all of it.
            target = getattr(sys.modules.get(base or ""), alias.name, None)
            defined = target.__name__ if isinstance(target, ModuleType) else getattr(target, "__module__", None)
            for candidate in (defined, f"{base}.{alias.name}", base):
                if candidate and candidate.startswith(ROOMS) and candidate in sys.modules:
                    found.append(candidate)
                    break
    return tuple(found)
