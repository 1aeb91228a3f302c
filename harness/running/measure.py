"""Measuring: every number of one replicate of one item, into the store. Nothing here judges."""

from __future__ import annotations

import copy
import math
import os
import time
import traceback
import uuid
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..effect import as_effects
from ..errors import ClaimbenchError, DeclarationError, EffectError, InvalidMeasurement, LoadError, NotApplicable, StoreError
from ..step import Step
from .collecting import place
from .inject import Injector, Values
from .keys import Keys
from .observe import Observations
from .runs import Runs
from .store import Store, key_of

if TYPE_CHECKING:
    from ..claim import Claim
    from ..subjects import LM
    from ..training import Recipe
    from .item import Item, Subject
    from .subjects import Subjects

#: A rerun of a replicate may differ by this much, relative to its size, before it is called not pure.
PURITY = 1e-5
#: Processes that share this variable are one run.
RUN = "CLAIMBENCH_RUN"


@dataclass(frozen=True)
class Part:
    """One stored piece of a replicate: the effect, a variant of it, a precondition, a rerun, or what is only shown."""

    kind: str  # "effect", "variant", "requires", "rerun", "shows"
    name: str = ""
    choices: Mapping[str, Any] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        """Preconditions and pictures draw data of their own."""
        return f"{self.kind}/" if self.kind in ("requires", "shows") else ""


def parts_of(item: Item, index: int) -> Iterator[Part]:
    """What replicate `index` of an item consists of, preconditions first."""
    for requirement in item.claim.requires:
        if item.subject.seeded or index == 0:  # on one given model a precondition is measured once
            yield Part("requires", requirement.name)
    yield Part("effect")
    if item.control is not None:
        return
    for variant in item.claim.variants:
        yield Part("variant", variant.name, variant.choices)
    if index == 0:
        yield Part("rerun")
    for shown in item.claim.shows:
        if index == 0 or (item.arms and shown.scope == "replicate"):  # runs are at hand at every seed
            yield Part("shows", shown.name)


def _stops(name: str, body: Mapping[str, Any]) -> bool:
    """Whether a part's problem is the whole replicate's."""
    problem = body.get("problem")
    if not problem or name.startswith("shows:"):
        return False
    return problem["verdict"] != "NOT_APPLICABLE" or not name.startswith("variant:")


def _failed(body: Mapping[str, Any]) -> bool:
    problem = body.get("problem")
    return problem is not None and problem["verdict"] in ("ERROR", "INVALID")


def _about(item: Item, part: Part, index: int) -> dict[str, Any]:
    """What a person who looks through the store wants to know of an entry, whose key is a hash."""
    what = f"{part.kind} {part.name}".strip()
    return {"finding": item.claim.finding, "item": item.id, "part": what, "index": index}


@dataclass
class Replicate:
    """What the store holds of one replicate; a part that was not reached is missing."""

    index: int
    parts: dict[str, dict[str, Any]]

    @property
    def fatal(self) -> dict[str, Any] | None:
        """The first part that ended in an error, an untrusted measurement or NOT_APPLICABLE.

        What does not apply to a variant says nothing of the claim itself, nor does anything that befalls a picture.
        """
        for name, body in self.parts.items():
            if body.get("problem") and _stops(name, body):
                return body
        return None

    @property
    def passed(self) -> bool:
        """Whether every precondition measured here was met and the effect could be taken."""
        for name, body in self.parts.items():
            if (body.get("problem") and _stops(name, body)) or (name.startswith("requires") and not body["passed"]):
                return False
        return True


@dataclass
class Shared:
    """What the items of one file and subject have in common at one index: runs, and values of steps with their receipts."""

    runs: dict[tuple[str, int], Any] = field(default_factory=dict)
    values: Values = field(default_factory=dict)


def sharing(item: Item) -> Hashable:
    """Items that are alike in this compute at an index what their steps have in common once.

    With a part of the user's they do not: what it makes of itself is the item's own.
    """
    if item.yours is not None:
        return item.id
    return (item.claim.file, item.subject, item.base, item.per_cluster)


class Measurer:
    """Measures replicates of items under one root seed; remembers keys, never results.

    memory: of how many replicates the values of steps are kept, for items that share them and come later.
    """

    def __init__(self, store: Store, subjects: Subjects, root: int) -> None:
        self.store = store
        self.subjects = subjects
        self.root = root
        self.runs = Runs(store, root)
        self.run = os.environ.get(RUN) or uuid.uuid4().hex
        self.keys = Keys(subjects, self.runs, root)
        self.memory = 0
        self._of_subject: tuple[str, Values] = ("", {})
        self._remembered: OrderedDict[Hashable, Shared] = OrderedDict()
        self.watch: Callable[[str], None] = lambda what: None
        """Told in a few words what is about to be measured, outside of all locks and handlers: it may raise."""

    def replicate(self, item: Item, index: int, measure: bool = True) -> Replicate | None:
        """Replicate `index` of an item: from the store, and measured where it is missing.

        With `measure=False`, None when any part is missing. A failed precondition ends the replicate: its effect is
        still measured on a family (all seeds are shown), and not on one given model. Pictures are for the reader, most of
        all where the claim itself does not apply. A guard is there to fail its precondition: no effect is taken then.
        """
        found: dict[str, dict[str, Any]] = {}
        shared = self._shared_at(item, index)
        ended = False
        for part in parts_of(item, index):
            if ended and part.kind != "shows":
                continue
            key = self.keys.of(item, part, index)
            body = self._kept(key)
            if body is None:
                if not measure:
                    return None
                self.watch(f"{item.label}, {item.subject.unit} {index}, {part.kind} {part.name}".rstrip())
                with self.store.lock(key):
                    body = self._kept(key)  # whoever held the lock has measured it
                    if body is None:
                        body = self._measure(item, part, index, shared)
                        if _failed(body):
                            body["run"] = self.run
                        self.store.put(key, body, about=_about(item, part, index))
            found[f"{part.kind}:{part.name}"] = body
            if _stops(f"{part.kind}:{part.name}", body):
                ended = True
                if body["problem"]["verdict"] != "NOT_APPLICABLE":
                    break
            needless = not item.subject.seeded or (item.control is not None and item.control.kind == "guard")
            ended = ended or (needless and body.get("passed") is False)
        return Replicate(index, found)

    def train(self, item: Item, indices: Sequence[int]) -> None:
        """Train the arms of several replicates together; what goes wrong is met again, and told, where each is measured."""
        for recipe in item.arms.values():
            if self.runs.missing(recipe, indices):
                self.watch(f"{item.label}, training {recipe.name}")
            with suppress(DeclarationError, InvalidMeasurement, NotApplicable):
                self.runs.get_all(recipe, indices)

    def ready(self, item: Item, index: int) -> bool:
        """Whether a replicate needs no training: every run of its arms is recorded or stored."""
        return not any(self.runs.missing(recipe, [index]) for recipe in item.arms.values())

    def _kept(self, key: str) -> dict[str, Any] | None:
        """The entry of a key; what went wrong in an earlier run is no measurement and is tried once more in this one."""
        body = self.store.get(key)
        return None if body is not None and _failed(body) and body.get("run") != self.run else body

    def _shared_at(self, item: Item, index: int) -> Shared:
        """What items like this one computed at this index, as far as that is remembered."""
        found = self._remembered.pop((sharing(item), index), None) or Shared()
        if self.memory:
            self._remembered[sharing(item), index] = found
            while len(self._remembered) > self.memory:
                self._remembered.popitem(last=False)
        return found

    def _shared_of(self, item: Item) -> Values | None:
        """Values of steps with scope "subject", of the given model at hand; on a family every seed is a subject."""
        if item.subject.seeded:
            return None
        digest = self.subjects.digest(item.subject, 0)
        if self._of_subject[0] != digest:
            self._of_subject = (digest, {})
        return self._of_subject[1]

    def _measure(self, item: Item, part: Part, index: int, shared: Shared) -> dict[str, Any]:
        started = time.perf_counter()
        body: dict[str, Any] = {"index": index, "problem": None}
        observe = Observations()
        lm: LM | None = None
        shared = Shared() if part.kind == "rerun" else shared
        try:
            if not item.subject.seeded and not item.claim.on.model and item.control is None:
                raise NotApplicable(item.claim.on.why_no_model)
            _use_threads(item.subject)
            lm = self.subjects.get(item.subject, index)
            if lm is not None:
                lm.recorder.reset()
                if part.kind == "effect" and item.subject.kind == "family" and lm.evidence != "instrument":
                    body["network"] = _network(lm)
            arms = {name: self._run(recipe, index, shared) for name, recipe in item.arms.items()}
            if item.yours is not None and part.kind == "effect":
                _say_diverged(observe, arms)
            injector = Injector(
                lm,
                index,
                self.root,
                {name: value for name, value in {**item.overrides, **part.choices}.items() if name not in arms},
                prefix=part.prefix,
                siblings=self.subjects.siblings(item.subject, index),
                observe=observe,
                arms=arms,
                task=lambda: self.subjects.task(item),
                base=lambda: _beside(lm, self.subjects.base(item, index)),
                per_cluster=item.per_cluster,
                yours=item.yours,
                shared=shared.values,
                own=item.id,
                of_subject={} if part.kind == "rerun" and not item.subject.seeded else self._shared_of(item),
            )
            body |= self._evaluate(item, part, injector)
            if part.kind == "effect":
                body["drawn"] = _drawn(injector)
        except NotApplicable as error:
            body["problem"] = {"verdict": "NOT_APPLICABLE", "reason": str(error)}
        except InvalidMeasurement as error:
            body["problem"] = {"verdict": "INVALID", "reason": str(error)}
        except (StoreError, LoadError):
            raise
        except (ClaimbenchError, EffectError) as error:
            body["problem"] = {"verdict": "ERROR", "reason": str(error)}
        except (Exception, SystemExit) as error:
            body["problem"] = {"verdict": "ERROR", "reason": _where(error), "traceback": traceback.format_exc(limit=-6)}
        if part.kind == "shows" and body["problem"]:
            title = next(s.title for s in item.claim.shows if s.name == part.name)
            observe.text(title, f"Not shown: {body['problem']['reason']}")
        body["observations"] = observe.found
        body["receipts"] = lm.recorder.summary()["receipts"] if lm else []
        body["forward_passes"] = lm.recorder.forward_passes if lm else 0
        body["seconds"] = round(time.perf_counter() - started, 4)
        body["peak_memory_mb"] = peak_memory_mb()
        return body

    def _run(self, recipe: Recipe, seed: int, shared: Shared) -> Any:
        """An arm's run, one object for all that share it: so its network is loaded once and tells of the values read from it."""
        key = (self.runs.identity(recipe), seed)
        if key not in shared.runs:
            shared.runs[key] = self.runs.get(recipe, seed)
        return shared.runs[key]

    def _evaluate(self, item: Item, part: Part, injector: Injector) -> dict[str, Any]:
        claim = item.claim
        if part.kind == "requires":
            requirement = next(r for r in claim.requires if r.name == part.name)
            name = requirement.step.name
            replacement = item.overrides.get(name, requirement.step)
            found = replacement
            if isinstance(replacement, Step):
                found = injector.step(replacement, original=name if name in item.overrides else None)
            try:
                value = requirement.value(found)
            except (TypeError, ValueError):
                what = "something to count" if requirement.count else "a number"
                raise EffectError(f"precondition {requirement.name!r} of {claim.name} is {found!r:.60}, not {what}") from None
            if math.isnan(value):
                raise EffectError(f"precondition {requirement.name!r} of {claim.name} is NaN")
            return {"value": value if math.isfinite(value) else None, "passed": value >= requirement.minimum}
        if part.kind == "shows":
            injector.call(next(s for s in claim.shows if s.name == part.name).function)
            return {}
        raw = injector.call(claim.function)
        try:
            effects = as_effects(raw, claim.holds)
        except EffectError as error:
            shown = " ".join(repr(raw).split())
            raise EffectError(f"{claim.name} returned {shown:.80}: {error} ({_file(claim)})") from None
        return {"effects": {name: value.to_json() for name, value in effects.items()}}


def _say_diverged(observe: Observations, arms: Mapping[str, Any]) -> None:
    """Name the step at which a run with a user's part diverged; its times are open from there."""
    for name, run in arms.items():
        if run.diverged is not None:
            said = f"The loss of step {run.diverged} was not finite; times are open from there."
            observe.text(f"{name}, seed {run.seed}, diverged", said)


def differs(first: Mapping[str, Any], second: Mapping[str, Any]) -> str | None:
    """The name of an effect in which a rerun differs from the first measurement, beyond `PURITY`."""
    for name, ends in first.items():
        for one, other in zip(ends, second.get(name, [math.nan, math.nan]), strict=True):
            if (one is None) != (other is None):
                return name
            if one is not None and not math.isclose(one, other, rel_tol=PURITY, abs_tol=PURITY):
                return name
    return None


def _beside(lm: LM | None, base: LM) -> LM:
    """The base of a pair, whose passes and receipts are written where the subject's are: those are what is kept."""
    made = copy.copy(base)
    made.recorder = base.recorder if lm is None else lm.recorder
    return made


def _use_threads(subject: Subject) -> None:
    """One thread for small networks, on which a second only waits; as many as torch likes for a given model."""
    import torch

    _THREADS.setdefault("given", torch.get_num_threads())
    torch.set_num_threads(1 if subject.seeded else _THREADS["given"])


_THREADS: dict[str, int] = {}


def _network(lm: LM) -> str | None:
    """Identity of the weights themselves, so that a seed which stands for two is seen; None for what has none."""
    from ..subjects.digest import model_digest

    return model_digest(lm.model) if hasattr(lm.model, "state_dict") else None


def _drawn(injector: Injector) -> str | None:
    """Identity of what chance gave a replicate: its random streams and the seeds of its arms; None where there is neither."""
    seeds = {name: run.seed for name, run in injector.arms.items() if hasattr(run, "seed")}
    return key_of({"streams": sorted(set(injector.drawn)), "arms": seeds}) if injector.drawn or seeds else None


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, MB."""
    import resource
    import sys

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(used / (2**20 if sys.platform == "darwin" else 2**10), 1)


def _file(claim: Claim) -> str:
    return f"{claim.file.rpartition('/')[2]}:{claim.function.__code__.co_firstlineno}"


def _where(error: BaseException) -> str:
    at = place(error)  # the author's own line, where a library raised
    said = " ".join(str(error).split()) or "no message"
    return f"{type(error).__name__}: {said[:300]}" + (f" ({at})" if at else "")
