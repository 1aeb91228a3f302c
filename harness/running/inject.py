"""Injection: calls a claim function or a step with its parameters by name, each step computed once per replicate."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import DeclarationError, NotApplicable
from ..step import Step, choices_of, parameters, reach, step_named
from .streams import stream

if TYPE_CHECKING:
    from ..subjects import LM


class Siblings(Protocol):
    """The other seeds of a subject's family, nearest first."""

    def __iter__(self) -> Any: ...


@dataclass(frozen=True)
class Computed:
    """The value of a step, what chance it was given, and the receipts of the interventions it rests on."""

    value: Any
    drawn: Sequence[str]
    receipts: Sequence[Any]


#: Values of steps already computed, by what they depend on.
Values = dict[Any, Computed]


class Injector:
    """Evaluates functions of one claim on one subject at one index.

    Args:
        lm: the subject; None where the subject is a claim's own arms.
        index: replicate index; part of every stream.
        root: root seed of the streams.
        overrides: steps, arms and choices replaced by a control or a variant, by name.
        prefix: prepended to stream names: preconditions draw data of their own with it.
        siblings: other seeds of the family, or None on a given model.
        observe: receives what the reader should see.
        arms: finished runs by name.
        base: gives the other half of a pair; see `Subjects.base`.
        per_cluster: how many indices share a template.
        task: gives the user's task; see `Subjects.task`.
        yours: the user's own part; None without one.
        shared: values of steps already computed at this index, reused where nothing they depend on differs.
        own: what tells this item from others that share values: a step that shows something to the reader is computed for each.
        of_subject: the same for steps with scope "subject", on a given model; None on a family, whose seeds are subjects.
    """

    def __init__(
        self,
        lm: LM | None,
        index: int,
        root: int,
        overrides: Mapping[str, Any],
        *,
        prefix: str = "",
        siblings: Siblings | None = None,
        observe: Any = None,
        arms: Mapping[str, Any] | None = None,
        task: Callable[[], Any] = lambda: None,
        base: Callable[[], Any] = lambda: None,
        per_cluster: int = 1,
        yours: Any = None,
        shared: Values | None = None,
        own: Hashable = None,
        of_subject: Values | None = None,
    ) -> None:
        self.lm = lm
        self.index = index
        self.root = root
        self.overrides = overrides
        self.prefix = prefix
        self.siblings = siblings
        self.observe = observe
        self.arms = arms or {}
        self.task = task
        self.base = base
        self.per_cluster = per_cluster
        self.yours = yours
        self.shared = {} if shared is None else shared
        self.own = own
        self.of_subject = of_subject
        self.taken: list[Any] = []
        """Receipts that came along with values computed before, as often as they did."""
        self.drawn: list[str] = []
        """The state in which each random stream was handed out, so that two replicates with the same data are seen."""

    def call(self, function: Callable[..., Any], original: str | None = None) -> Any:
        """Call `function`; a step that overrides `original` receives, under that name, what it replaces."""
        return function(**{name: self._argument(function, name, found, original) for name, found in parameters(function).items()})

    def _argument(self, function: Callable[..., Any], name: str, parameter: Any, original: str | None) -> Any:
        if name == "lm":
            return self.lm
        if name == "rng":
            rng = stream(self.root, f"{self.prefix}{function.__name__}", self.index)
            self.drawn.append(repr(rng.bit_generator.state))
            return rng
        if name == "template":
            return stream(self.root, f"{self.prefix}{function.__name__}/template", self.index // self.per_cluster)
        if name == "siblings":
            if self.siblings is None:
                raise NotApplicable("needs other seeds of the subject's family, and a single given model has none")
            return self.siblings
        if name == "arms":
            return {arm: self.arms[arm] for arm in self.arms}
        if name == "observe":
            return self.observe
        if name == "base_lm":
            return self.base()
        if name == "task":
            return self.task()
        if name == "yours":
            return self.yours
        if name in self.overrides and name != original:
            value = self.overrides[name]
            return self.step(value, original=name) if isinstance(value, Step) else value
        if name in self.arms:
            return self.arms[name]
        found = step_named(function, name)
        if found is not None:
            return self.step(found)
        if parameter.default is not parameter.empty:
            return parameter.default
        raise DeclarationError(f"{function.__name__} asks for {name!r}, which nothing provides")

    def step(self, found: Step, original: str | None = None) -> Any:
        """The value of a step, computed once; one that overrides `original` receives what it replaces under that name."""
        if found.scope == "subject" and self.of_subject is not None:
            once = copy.copy(self)  # the same streams and values in every replicate
            once.index, once.shared, once.of_subject, once.drawn = 0, self.of_subject, None, []
            return once.step(found, original)
        key = self._key(found.function, original)
        known = self.shared.get(key)
        if known is not None:
            self.drawn += known.drawn
            self.taken += known.receipts
            self._receipts[:] = _each_once([*self._receipts, *known.receipts])
            return known.value
        drawn, taken, receipts = len(self.drawn), len(self.taken), len(self._receipts)
        value = self.call(found.function, original)
        rests_on = _each_once([*self.taken[taken:], *self._receipts[receipts:]])  # what was taken before is not recorded again
        self.shared[key] = Computed(value, self.drawn[drawn:], rests_on)
        return value

    @property
    def _receipts(self) -> list[Any]:
        """What the subject recorded so far for the part that is measured."""
        return [] if self.lm is None else self.lm.recorder.receipts

    def _key(self, function: Callable[..., Any], original: str | None) -> Hashable:
        """What the value of a step depends on, so that it is shared only where all that it can see is the same."""
        seen = relevant(self.overrides, [function])
        reached = [one for start in (function, *step_functions(seen)) for one in reach(start)]
        names = {name for one in reached for name in parameters(one)}
        return (
            id(function),
            self.prefix,
            original if original in parameters(function) else None,
            tuple(sorted((name, id(value) if isinstance(value, Step) else repr(value)) for name, value in seen.items())),
            tuple(sorted((name, id(run)) for name, run in self.arms.items() if {name, "arms"} & names)),
            self.own if "observe" in names else None,
        )


def _each_once(receipts: Sequence[Any]) -> list[Any]:
    """The same receipts in their order, none twice."""
    return list({id(receipt): receipt for receipt in receipts}.values())


def step_functions(values: Mapping[str, Any]) -> list[Callable[..., Any]]:
    """The functions of those values that are steps."""
    return [value.function for value in values.values() if isinstance(value, Step)]


def relevant(overrides: Mapping[str, Any], functions: Sequence[Callable[..., Any]], own: str = "") -> dict[str, Any]:
    """The overrides that the functions, or what replaces their steps, can see: others do not change what they yield.

    `own` is the name under which a function may itself be replaced.
    """
    if not overrides:
        return {}
    found = {own: overrides[own]} if own in overrides else {}
    pending = [*functions, *step_functions(found)]
    while pending:
        function = pending.pop()
        seen = set(choices_of(function))
        for reached in reach(function):
            seen.update(parameters(reached))
        for name in sorted(seen & overrides.keys() - found.keys()):
            found[name] = overrides[name]
            if isinstance(overrides[name], Step):
                pending.append(overrides[name].function)
    return found
