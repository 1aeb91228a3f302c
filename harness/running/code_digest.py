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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache, partial
from types import CodeType, FunctionType, ModuleType
from typing import Any, cast

import numpy as np

from ..step import Step, parameters, reach, step_named

_PACKAGE = __name__.partition(".")[0]
#: Modules of the package from which data are drawn: what is called there is a part of a recipe's data.
DATA = tuple(f"{_PACKAGE}.{room}" for room in ("measures", "simulations", "training.data_"))
#: Rooms of the package whose code a measurement may depend on. They import nothing of judging, running or reporting.
ROOMS = tuple(f"{_PACKAGE}.{room}" for room in ("subjects", "interventions", "measures", "simulations", "sweeps", "training"))


def code_digest(functions: Iterable[Callable[..., Any]]) -> str:
    """sha256 over the normalised code of the functions and of what they reach; order does not matter."""
    given = _unwrapped(functions)
    parts, modules = _author_code(given)
    if any(_receives_networks(function) for function in given):
        modules.add(f"{_PACKAGE}.subjects.lm")  # with its subject a claim receives every intervention; a simulation none
    parts.update(f"{name}:{_module_dump(name)}" for name in _closure(modules))
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()


def author_digest(functions: Iterable[Callable[..., Any]]) -> str:
    """As `code_digest`, of the author's own code alone: that of the package, which serves every claim, is left out."""
    return hashlib.sha256("\n".join(sorted(_author_code(_unwrapped(functions))[0])).encode()).hexdigest()


def _unwrapped(functions: Iterable[Callable[..., Any]]) -> list[Any]:
    return [inspect.unwrap(getattr(function, "function", function)) for function in functions]


def _author_code(functions: Sequence[Any]) -> tuple[set[str], set[str]]:
    """Normalised code and constants that functions reach outside the package, themselves among them; its modules reached."""
    parts, modules = set[str](), set[str]()
    pending = list(functions)
    roots = {str(getattr(function, "__module__", "")).partition(".")[0] for function in pending}
    seen: dict[int, Any] = {}  # keeps what it names alive, so that an id is never reused
    while pending:
        found = pending.pop()
        if id(found) in seen:
            continue
        seen[id(found)] = found
        if isinstance(found, _Constant):
            parts.add(f"{found.name}={found.value!r}")
            continue
        module = getattr(found, "__module__", None) or ""
        if module.startswith(ROOMS):
            modules.add(module)
        elif isinstance(found, FunctionType | type) and module.partition(".")[0] != _PACKAGE and _is_own(module, roots):
            tree = _tree(found)
            parts.add(f"{found.__qualname__}:{_dump(tree)}")
            pending.extend(_reached(found, tree))
    return parts, modules


def helpers_digest(functions: Sequence[Callable[..., Any]], beside: Sequence[Callable[..., Any]] = ()) -> str | None:
    """sha256 over the functions, classes and constants that functions reach by name; None where they reach none.

    What counts is code of the functions' author, and of the package what draws data. The functions themselves are left out.

    Args:
        beside: functions that count as reached.
    """
    roots = {str(function.__module__).partition(".")[0] for function in functions}

    def counts(found: Any) -> bool:
        module = getattr(found, "__module__", None) or ""
        return module.startswith(DATA) if module.partition(".")[0] == _PACKAGE else _is_own(module, roots)

    parts: set[str] = set()
    seen: dict[int, Any] = {id(function): function for function in functions}
    pending: list[Any] = [*beside]
    for function in functions:
        pending.extend(_reached(cast(FunctionType, function), _tree(function)))
    while pending:
        found = pending.pop()
        if id(found) in seen:
            continue
        seen[id(found)] = found
        if isinstance(found, _Constant):
            if found.of is None or counts(found.of):
                parts.add(f"{found.name}={found.value!r}")
        elif counts(found):
            tree = _tree(found)
            parts.add(f"{found.__qualname__}:{_dump(tree)}")
            pending.extend(_reached(found, tree))
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest() if parts else None


def _receives_networks(function: Callable[..., Any]) -> bool:
    """Whether a function, or a step it reaches, is given a subject or arms: what is no step, no choice and no stream."""
    if not isinstance(function, FunctionType):
        return True
    return any(
        step_named(reached, name) is None and parameter.default is parameter.empty and name not in ("rng", "observe")
        for reached in reach(function)
        for name, parameter in parameters(reached).items()
    )


def _is_own(module: str, roots: set[str]) -> bool:
    """Code of a claim's author: of the same package, or neither of the standard library nor of an installed one."""
    top = module.partition(".")[0]
    if top in roots:
        return True
    if top in sys.stdlib_module_names or top == "builtins":
        return False
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    return "site-packages" not in file or "_shipped" in file


def _reached(found: FunctionType | type, tree: ast.AST) -> Iterable[Any]:
    """What a function or class means by the names in its code: of its module, or of the function around it."""
    known: dict[str, Any] = dict(vars(sys.modules[found.__module__])) if found.__module__ in sys.modules else {}
    if isinstance(found, FunctionType):
        known = {**found.__globals__, **_enclosed(found)}
        for name in inspect.signature(found).parameters:  # a helper may take what a step may not: *args and **kwargs
            injected = step_named(found, name)
            if injected is not None:
                yield from _things(name, injected)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for name in sorted(names & known.keys()):
        value = known[name]
        if isinstance(value, ModuleType):
            for attribute in sorted(_attributes(tree, name)):
                yield from _things(f"{name}.{attribute}", getattr(value, attribute, None))
        else:
            yield from _things(name, value)


def _enclosed(function: FunctionType) -> dict[str, Any]:
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not yet bound
            continue
    return found


def _attributes(tree: ast.AST, name: str) -> set[str]:
    """Attributes that code asks of a name, as `f` in `helpers.f(x)`."""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name
    }


def _things(name: str, value: Any) -> Iterable[Any]:
    """Functions, classes and constants in a value; containers are looked into, since tables of functions are common."""
    value = inspect.unwrap(value) if callable(value) and not isinstance(value, type) else value
    if isinstance(value, Step):
        yield from _things(name, value.function)
    elif isinstance(value, FunctionType | type):
        yield _Constant(name, value.__qualname__, value)  # which of the things reached this name means
        yield value
    elif isinstance(value, ModuleType):  # reached as a part of its package: all that it defines
        yield from (v for v in vars(value).values() if getattr(v, "__module__", "") == value.__name__)
    elif isinstance(value, partial):
        yield from _things(f"{name}()", value.func)
        yield from _things(f"{name}(args)", (value.args, value.keywords))
    elif isinstance(value, Mapping):
        for key in sorted(value, key=repr):
            yield from _things(f"{name}[{key!r}]", value[key])
    elif isinstance(value, list | tuple):
        for position, entry in enumerate(value):
            yield from _things(f"{name}[{position}]", entry)
    elif isinstance(value, set | frozenset):
        yield _Constant(name, sorted(map(repr, value)))
    elif isinstance(value, int | float | complex | str | bytes) or value is None:
        yield _Constant(name, value)
    elif isinstance(value, np.ndarray):
        yield _Constant(name, (value.dtype.str, value.shape, hashlib.sha256(value.tobytes()).hexdigest()))
    elif is_dataclass(value):
        yield type(value)
        for attribute in fields(value):
            yield from _things(f"{name}.{attribute.name}", getattr(value, attribute.name))


class _Constant:
    """A module-level constant that a function reads; enters the digest by its value.

    of: the function or class whose name this is.
    """

    def __init__(self, name: str, value: Any, of: Any = None) -> None:
        self.name, self.value, self.of = name, value, of


def _tree(found: Any) -> ast.AST:
    try:
        source = inspect.getsource(found)
    except (OSError, TypeError):  # typed into a notebook without source: identified by its bytecode
        return ast.parse(repr(_bytecode(getattr(found, "__code__", None))))
    try:
        return ast.parse(textwrap.dedent(source))
    except SyntaxError:  # a lambda inside a longer statement: its source is a piece of that statement
        return ast.parse(repr(_bytecode(getattr(found, "__code__", None))))


def _bytecode(code: Any) -> Any:
    if not isinstance(code, CodeType):
        return None
    constants = [_bytecode(each) if isinstance(each, CodeType) else repr(each) for each in code.co_consts]
    return (code.co_code, code.co_names, constants)


def _dump(tree: ast.AST) -> str:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            node.decorator_list = []
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
            first = body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
                node.body = body[1:] or [ast.Pass()]
    return ast.dump(tree)


@cache
def _module_tree(name: str) -> ast.Module:
    return ast.parse(inspect.getsource(importlib.import_module(name)))


@cache
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


@cache
def _imports(name: str) -> tuple[str, ...]:
    module = importlib.import_module(name)
    package = name if hasattr(module, "__path__") else name.rpartition(".")[0]
    found: list[str] = []
    for node in ast.walk(_module_tree(name)):
        if not isinstance(node, ast.ImportFrom):
            continue
        base = node.module or ""
        if node.level:
            base = importlib.util.resolve_name("." * node.level + base, package)
        if base.partition(".")[0] != _PACKAGE:
            continue
        for alias in node.names:
            # A re-export resolves to the module that defines the thing, so a package's __init__ never stands for all
            # of it. Modules are imported to find out: a digest must not depend on what happens to be imported already.
            target = getattr(_module(base), alias.name, None) or _module(f"{base}.{alias.name}")
            defined = target.__name__ if isinstance(target, ModuleType) else getattr(target, "__module__", None)
            room = defined if defined and defined.startswith(_PACKAGE) else base
            if room.startswith(ROOMS):
                found.append(room)
    return tuple(found)


def _module(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return None
