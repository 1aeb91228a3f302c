"""Keys: what a measurement is stored under. They hold all that it depends on, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any

from ..errors import NotApplicable
from ..step import parameters, reach
from .code_digest import code_digest
from .inject import relevant, step_functions
from .store import canonical, digest_of, key_of

if TYPE_CHECKING:
    from .item import Item, Subject
    from .measure import Part
    from .runs import Runs
    from .subjects import Subjects

Functions = Sequence[Callable[..., Any]]

#: Stands where the keys of a part's replicates differ: for the index and the digest of the subject.
_GAP = "\0"


class Keys:
    """The keys of measurements under one root seed.

    Args:
        also: what besides the measurement is a part of every key (a planted fault).
    """

    def __init__(self, subjects: Subjects, runs: Runs, root: int, also: Mapping[str, Any] | None = None) -> None:
        self.subjects = subjects
        self.runs = runs
        self.root = root
        self.also = dict(also or {})
        self._code: dict[tuple[int, ...], str] = {}
        self._asked: dict[tuple[Any, ...], bool] = {}
        self._texts: dict[tuple[Any, ...], tuple[Item, list[str], dict[int, str]]] = {}

    def of(self, item: Item, part: Part, index: int) -> str:
        """The key of a part of replicate `index`.

        The text that is hashed is put together: all but two pieces are the same for every replicate, and finding them
        takes most of the time.
        """
        mark = (id(item.claim), id(item.control), item.subject, part.kind, part.name)
        if mark not in self._texts:
            pieces = canonical(self.told(item, part, _GAP, _GAP)).split(canonical(_GAP))
            self._texts[mark] = (item, pieces, {})  # the item is kept, so that an id is never reused
        _, pieces, subjects = self._texts[mark]
        if (subject := subjects.get(index)) is None:
            subject = subjects[index] = self._subject(item, index)
        if len(pieces) != 3:
            return key_of(self.told(item, part, index, subject))
        return digest_of(f"{pieces[0]}{index}{pieces[1]}{encode_basestring_ascii(subject)}{pieces[2]}")

    def told(self, item: Item, part: Part, index: int | str, subject: str) -> dict[str, Any]:
        """What a key is made of: the index and digest of the subject, and all that its replicates have in common."""
        functions, own, minimum = [item.claim.function], "", dict[str, float]()
        if part.kind == "requires":
            requirement = next(r for r in item.claim.requires if r.name == part.name)
            functions, own = [requirement.step.function], requirement.step.name  # it may itself be overridden
            minimum = {"minimum": requirement.minimum}  # whether it passed is stored
        elif part.kind == "shows":
            functions = [s.function for s in item.claim.shows if s.name == part.name]
        overrides = relevant({**item.overrides, **part.choices}, functions, own)
        arms = {name: self.runs.identity(recipe) for name, recipe in item.arms.items()}
        overrides = {name: value for name, value in overrides.items() if name not in arms}
        functions += step_functions(overrides)
        return {
            "parameters": self.subjects.parameters(item.subject),
            "claim": item.claim.finding,
            "regions": sorted(item.claim.holds),
            "code": self.code(functions),
            "overrides": {name: _plain(value) for name, value in sorted(overrides.items())},
            "siblings": self._siblings(item.subject, functions),
            **({"arms": arms} if arms else {}),
            **self._task(item, functions),
            **({"per_cluster": item.per_cluster} if item.per_cluster > 1 else {}),
            **({"yours": self.code([item.yours.function])} if item.yours is not None else {}),
            "part": [part.kind, part.name if part.kind in ("requires", "shows") else ""],
            **minimum,
            "seed": self.root,
            **self.also,
            "subject": subject,
            "index": index,
        }

    def _subject(self, item: Item, index: int) -> str:
        """Digest of the subject; of a pair, of both its halves."""
        digest = self.subjects.digest(item.subject, index)
        return f"{digest} from {self.subjects.base_digest(item, index)}" if item.claim.on.base else digest

    def code(self, functions: Functions) -> str:
        """Digest of functions and all that they reach."""
        key = tuple(id(function) for function in functions)
        if key not in self._code:
            self._code[key] = code_digest(functions)
        return self._code[key]

    def _siblings(self, subject: Subject, functions: Functions) -> list[str] | None:
        """Digests of the whole family where a function asks for its other seeds."""
        seeds = self.subjects.seeds(subject)
        if seeds is None or not self._asks("siblings", functions):
            return None
        return [self.subjects.digest(subject, seed) for seed in range(seeds)]

    def _task(self, item: Item, functions: Functions) -> dict[str, str | None]:
        """Digest of the user's task where a function asks for it."""
        if not self._asks("task", functions):
            return {}
        try:
            task = self.subjects.task(item)
        except NotApplicable:
            task = None
        return {"task": None if task is None else task.digest}

    def _asks(self, name: str, functions: Functions) -> bool:
        """Whether one of the functions, or a step it reaches, has a parameter of that name."""
        key = (name, *(id(function) for function in functions))
        if key not in self._asked:
            self._asked[key] = any(name in parameters(reached) for function in functions for reached in reach(function))
        return self._asked[key]


def _plain(value: Any) -> Any:
    if hasattr(value, "function"):
        return value.name
    return value if isinstance(value, bool | int | float | str) or value is None else repr(value)
