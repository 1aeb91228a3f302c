"""The executor: measures items in several one-thread processes, replicate by replicate; after it, judging is free."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ClaimbenchError, DeclarationError, InvalidMeasurement, NotApplicable
from . import workers
from .interruption import Interruption
from .item import Item, Subject, with_yours
from .measure import RUN, sharing

if TYPE_CHECKING:
    from .session import Session

#: Seconds after which a Ctrl-C is felt at the latest.
HEEDED = 0.2


@dataclass(frozen=True)
class Order:
    """An item as a worker process can find it again: a claim by file and name, a subject, a control by position."""

    file: str
    name: str
    claim_id: str
    subject: Subject
    control: int | None
    yours: bool = False

    @classmethod
    def of(cls, item: Item) -> Order:
        control = item.claim.controls.index(item.control) if item.control is not None else None
        return cls(item.claim.file, item.claim.name, item.claim_id, item.subject, control, item.yours is not None)

    def item(self) -> Item:
        """The item, its claim loaded from its file."""
        from .collecting import claims_in, load_module

        claim = next(c for c in claims_in(load_module(Path(self.file))) if c.name == self.name)
        if self.yours:
            from .user_recipe import user_recipe

            asked = workers.session().options.recipe
            found = with_yours(claim, self.claim_id, user_recipe(asked)) if asked is not None else None
            assert found is not None
            return found
        return Item(claim, self.claim_id, self.subject, None if self.control is None else claim.controls[self.control])


def _replicates(orders: Sequence[Order], index: int) -> str | None:
    """Replicate `index` of items that may share what their steps compute."""

    def work(session: Session) -> None:
        session.measurer.memory = 1
        for order in orders:
            session.measurer.replicate(order.item(), index)

    return _guarded(work)


def _train(order: Order, arm: str, seeds: Sequence[int]) -> str | None:
    """Train seeds of an arm together; what goes wrong is met again, and told, where each is measured."""

    def work(session: Session) -> None:
        with suppress(DeclarationError, InvalidMeasurement, NotApplicable):
            session.measurer.runs.get_all(order.item().arms[arm], seeds)

    return _guarded(work)


def _retrain(subject: Subject, seed: int) -> str | None:
    return _guarded(lambda session: session.recorded.retrain(subject, seed))


def _guarded(work: Callable[[Session], Any]) -> str | None:
    """The error's line, since exceptions with their causes do not all survive the way back."""
    try:
        work(workers.session())
    except ClaimbenchError as error:
        return str(error)
    return None


def measure(
    items: Sequence[Item],
    session: Session,
    *,
    jobs: int,
    organisms: Sequence[Path],
    root: Path,
    progress: Callable[[int, int, str], None],
) -> None:
    """Measure what the items still lack, `jobs` replicates at a time.

    Args:
        progress: called with (done, known so far, what) after each task.

    Raises:
        ClaimbenchError: the first error that no other item could survive either (store, loading).
        KeyboardInterrupt: after the running replicates were abandoned; what is stored stays.
    """
    arguments = (session.options, organisms, root)
    processes = workers.processes(jobs, workers.start, *arguments, environment={RUN: session.measurer.run})
    with Interruption() as interruption, processes as pool:
        _Schedule(items, session, pool, jobs, progress).run(interruption)


class _Schedule:
    """Submits the replicates that each item wants next, and asks again when they are there.

    The runs that several replicates of an item lack are trained before: together, where that is faster.
    """

    def __init__(self, items: Sequence[Item], session: Session, pool: ProcessPoolExecutor, jobs: int, progress: Any) -> None:
        self.session, self.pool, self.jobs, self.progress = session, pool, jobs, progress
        self.training: dict[tuple[str, int], Future[str | None]] = {}
        self.waiting: list[tuple[Item, list[int], set[Future[str | None]]]] = []
        self.ready: dict[tuple[Hashable, int], list[Item]] = {}
        self.running: dict[Future[str | None], tuple[Sequence[Item], str]] = {}
        self.outstanding: dict[str, int] = {}
        self.asked: set[tuple[str, int]] = set()
        self.done = self.known = 0
        for subject in dict.fromkeys(item.subject for item in items):  # long tasks first, so that none is left alone at the end
            for seed in session.recorded.seeds(subject):
                if session.recorded.retrain(subject, seed, measure=False) is None:
                    self._submit([], f"retraining {subject.name}, seed {seed}", _retrain, subject, seed)
        for _, alike in groupby(items, key=lambda item: item.claim.file):  # items of different files share nothing
            for item in alike:
                self._next(item)
            self._submit_ready()

    def run(self, interruption: Interruption) -> None:
        while self.running:
            finished, _ = wait(self.running, timeout=HEEDED, return_when=FIRST_COMPLETED)
            interruption.heed()
            for future in finished:
                items, what = self.running.pop(future)
                if problem := future.result():
                    raise ClaimbenchError(problem)
                self.done += max(1, len(items))
                for item in items:
                    self.outstanding[item.id] -= 1
                    if not self.outstanding[item.id]:
                        self._next(item)
                if not items:
                    self._go_on(future)
                self._submit_ready()
                self.progress(self.done, self.known, what)

    def _next(self, item: Item) -> None:
        standing, replicates = self.session.replay(item)
        missing = [
            index
            for index in range(len(replicates), standing.wants)
            if self.session.measurer.replicate(item, index, measure=False) is None
        ]
        self.outstanding[item.id] = len(missing)
        training = self._train_first(item, missing)
        if training:
            self.waiting.append((item, missing, training))
        else:
            self._replicates(item, missing)

    def _train_first(self, item: Item, missing: Sequence[int]) -> set[Future[str | None]]:
        """What an item must wait for: the training of arms of which it lacks several seeds, in a part for each process."""
        runs, found = self.session.measurer.runs, set[Future[str | None]]()
        lacking = {name: runs.missing(recipe, missing) for name, recipe in item.arms.items()}
        lacking = {name: seeds for name, seeds in lacking.items() if len(seeds) > 1}
        parts = self.jobs if len(lacking) < self.jobs else 1  # a process trains all seeds of an arm where there is one for each
        for name, seeds in lacking.items():
            recipe = item.arms[name]
            identity = runs.identity(recipe)
            new = [seed for seed in seeds if (identity, seed) not in self.training]
            for part in filter(None, (new[first::parts] for first in range(parts))):
                future = self._submit([], f"training {recipe.name}, {len(part)} seeds", _train, Order.of(item), name, part)
                self.training |= {(identity, seed): future for seed in part}
            found |= {self.training[identity, seed] for seed in seeds}
        return found & self.running.keys()

    def _go_on(self, trained: Future[str | None]) -> None:
        """Submit the replicates that waited for nothing but this."""
        for waiting in list(self.waiting):
            item, missing, training = waiting
            training.discard(trained)
            if not training:
                self.waiting.remove(waiting)
                self._replicates(item, missing)

    def _replicates(self, item: Item, missing: Sequence[int]) -> None:
        for index in missing:
            if (item.id, index) in self.asked:
                raise ClaimbenchError(
                    f"{item.id}: replicate {index} was measured and is not in the store under the key that is looked for: "
                    "code changed while measuring; run again"
                )
            self.asked.add((item.id, index))
            self.ready.setdefault((sharing(item), index), []).append(item)

    def _submit_ready(self) -> None:
        """Submit what may be measured now, the largest parts first, so that none is left alone at the end."""
        for (_, index), items in sorted(self.ready.items(), key=lambda entry: -len(entry[1])):
            what = f"{items[0].claim.name} [{items[0].label}] #{index}"
            self._submit(items, what, _replicates, [Order.of(item) for item in items], index)
        self.ready.clear()

    def _submit(self, items: Sequence[Item], what: str, function: Callable[..., str | None], *arguments: Any) -> Future[str | None]:
        self.known += max(1, len(items))
        future = self.pool.submit(function, *arguments)
        self.running[future] = (items, what)
        return future
