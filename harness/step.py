"""Steps: named computations of a claim, injected by parameter name as pytest injects fixtures."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import FunctionType
from typing import Any, Literal, overload

from .errors import DeclarationError

Scope = Literal["replicate", "subject"]

#: Names that the harness itself injects, with what they are.
BUILTIN: Mapping[str, str] = {
    "lm": "the subject, a claimbench.subjects.LM",
    "rng": "a numpy Generator of this function's own stream, (root seed, name, index)",
    "base_lm": "the model that the subject was derived from: --base-model, or the same seed of the family that the claim names",
    "siblings": "the other seeds of the subject's family, nearest first, built when asked for",
    "template": "a numpy Generator that the prompt batches of one template share, see `claim(per_cluster=...)`",
    "arms": "the finished runs of all arms of the claim, by name",
    "observe": "records an observation for the reader; never judged",
    "yours": "the user's own optimiser (--recipe), in a step that takes the place of another",
    "task": "the lines of --task on a given model, which without them cannot be asked; None on subjects of the suite",
}


@dataclass(frozen=True)
class Step:
    """A named computation of a claim. `scope` says whether each replicate computes it anew or the subject once."""

    function: Callable[..., Any]
    scope: Scope = "replicate"

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def title(self) -> str:
        """First line of the docstring, or the name in words."""
        return first_line(self.function) or self.name.replace("_", " ")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


@overload
def step(function: Callable[..., Any], /) -> Step: ...
@overload
def step(*, scope: Scope = "replicate") -> Callable[[Callable[..., Any]], Step]: ...
def step(
    function: Callable[..., Any] | None = None, /, *, scope: Scope = "replicate"
) -> Step | Callable[[Callable[..., Any]], Step]:
    """Declare a step: claims and other steps receive its value by naming it as a parameter.

    Args:
        scope: "replicate" computes it anew in each replicate, on data of its own stream (the rule for every choice of
            heads); "subject" computes it once per subject, for what is too costly to redo.
    """
    if scope not in ("replicate", "subject"):
        raise DeclarationError(f"step scope {scope!r} is unknown: use 'replicate' or 'subject'")
    if function is None:
        return lambda inner: Step(inner, scope)
    return Step(function, scope)


@cache
def documentation(function: Callable[..., Any]) -> tuple[str, str]:
    """A function's docstring: its first line, and the rest in one line; '' where there is none."""
    first, _, rest = (inspect.getdoc(function) or "").partition("\n")
    return first.strip(), " ".join(rest.split())


def first_line(function: Callable[..., Any]) -> str:
    """First line of a function's docstring, '' without one."""
    return documentation(function)[0]


def parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Parameters of a step or claim function; variadic ones are refused, since nothing could be injected by name."""
    return _parameters(function) if isinstance(function, FunctionType) else _parameters.__wrapped__(function)


@cache
def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Read once for each function: a key of a measurement asks for those of all that it reaches."""
    found = inspect.signature(function).parameters
    for parameter in found.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise DeclarationError(f"{function.__name__}({parameter}) cannot be injected by name: write plain named parameters")
    return found


def step_named(function: Callable[..., Any], name: str) -> Step | None:
    """The step that `name` means inside `function`: a Step of the module that defines the function."""
    found = function.__globals__.get(name)
    return found if isinstance(found, Step) else None


def choices_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Choices of a function and of the steps it reaches: parameters with a default, by name."""
    return {name: default for reached in reach(function) for name, default in _own_choices(reached).items()}


def _own_choices(function: Callable[..., Any]) -> dict[str, Any]:
    return {name: parameter.default for name, parameter in parameters(function).items() if parameter.default is not parameter.empty}


def reach(function: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """The function itself and every step function it reaches by parameter names, each once."""
    pending, seen = [function], set[int]()
    while pending:
        current = pending.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        for name in parameters(current):
            found = step_named(current, name)
            if found is not None and name not in BUILTIN:
                pending.append(found.function)


def check_injectable(function: Callable[..., Any], known: frozenset[str] = frozenset()) -> None:
    """Raise DeclarationError when a parameter is no builtin, step, choice or member of `known` (arms, the overridden)."""
    for reached in reach(function):
        for name, parameter in parameters(reached).items():
            if name in BUILTIN or name in known or parameter.default is not parameter.empty:
                continue
            if step_named(reached, name) is None:
                steps = sorted(n for n, value in reached.__globals__.items() if isinstance(value, Step))
                raise DeclarationError(
                    f"{reached.__name__} asks for {name!r}, which is no step of its module, no arm and has no default: "
                    f"known are {', '.join([*BUILTIN, *steps, *sorted(known)])}"
                )
