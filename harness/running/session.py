"""A session: options, subjects, store and measurer together; takes one item from nothing to its result."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..claim import Claim
from ..paper import Paper, card_beside
from ..verdict import Verdict
from .history import History
from .item import Item, Subject, model_subject
from .judging import Standing, replay, stand
from .measure import Measurer, Replicate
from .options import Options
from .recorded import Recorded
from .result import result_of
from .store import Store
from .subjects import Subjects

if TYPE_CHECKING:
    from ..statistics import Prompts, Seeds
    from ..subjects import LM

Progress = Callable[[Item, int, int], None]


class Session:
    """Measures and judges items under one set of options.

    Args:
        options: checked options.
        live: models that the caller already holds, by subject name (notebooks).
    """

    def __init__(self, options: Options, live: Mapping[str, LM] | None = None) -> None:
        self.options = options
        self.store = Store(options.store)
        self.subjects = Subjects(options.device, options.dtype, live, options.task, options.base_model)
        self.measurer = Measurer(self.store, self.subjects, options.seed)
        self.measurer.runs.retrain = options.profile.retrain
        self.recorded = Recorded(self.store, options)
        self.history = History(self.store)
        self._papers: dict[str, Paper | None] = {}

    def run(self, item: Item, progress: Progress | None = None) -> dict[str, Any]:
        """Measure what is missing of an item, in index order, until it is decided; its result."""
        standing, replicates = self.replay(item)
        while standing.wants > len(replicates):
            if progress:
                progress(item, len(replicates), standing.wants)
            if item.claim.arms and standing.wants > len(replicates) + 1:
                self.measurer.train(item, range(len(replicates), standing.wants))
            replicate = self.measurer.replicate(item, len(replicates))
            assert replicate is not None
            replicates.append(replicate)
            standing = self.stand(item, replicates)
        return self.result(item, standing, replicates)

    def replay(self, item: Item) -> tuple[Standing, list[Replicate]]:
        """Where an item stands on what the store holds, without measuring."""
        if gap := self.subjects.gap(item.subject):
            return Standing(Verdict.ERROR, gap, 0), []
        return replay(
            lambda index: self.measurer.replicate(item, index, measure=False),
            lambda replicates: self.stand(item, replicates),
            self.design(item),
            self.subjects.seeds(item.subject),
        )

    def stand(self, item: Item, replicates: Sequence[Replicate]) -> Standing:
        """Judge an item on the replicates so far."""
        return stand(item, replicates, self.design(item), self.subjects.seeds(item.subject))

    def result(self, item: Item, standing: Standing, replicates: Sequence[Replicate]) -> dict[str, Any]:
        """The result document of an item as it stands."""
        disagreement = self.recorded.disagreement(item.subject)
        if disagreement is not None:
            standing = Standing(Verdict.INVALID, disagreement, len(replicates), standing.judgement, standing.variants)
        found = result_of(item, standing, replicates, self)
        self.history.keep(found)
        return found

    def design(self, item: Item) -> Seeds | Prompts:
        """How the replicates of an item are looked at."""
        return self.options.profile.design(item)

    def first_look(self, item: Item) -> int:
        """After how many replicates an item is first judged; of prompts how many it may take."""
        from ..statistics import Seeds

        design = self.design(item)
        return design.looks[0] if isinstance(design, Seeds) else design.most

    def paper(self, claim: Claim) -> Paper | None:
        """The paper card beside a claim's file, None where there is none."""
        if claim.file not in self._papers:
            self._papers[claim.file] = card_beside(Path(claim.file))
        return self._papers[claim.file]

    def title(self, claim: Claim) -> str:
        """The finding's title from its paper card, or the claim's statement."""
        paper = self.paper(claim)
        for finding in paper.findings if paper else ():
            if finding.id == claim.finding:
                return finding.title
        return claim.statement

    def digest_of(self, item: Item, replicates: Sequence[Replicate]) -> str | None:
        """Digest of what was measured: the model's, or one over the digests of the seeds used."""
        if not replicates:
            return None
        from .store import key_of

        if not item.subject.seeded:
            return self.subjects.digest(item.subject, 0)
        return key_of({"seeds": [self.subjects.digest(item.subject, r.index) for r in replicates]})

    def recorded_of(self, item: Item) -> dict[str, Any] | None:
        """Whether recorded weights were read, and whether the retrained seed agreed."""
        return self.recorded.document(item.subject)

    def _namesakes(self, subject: Subject) -> list[str]:
        """The path of a given model behind those of models that were given before it and are called like it."""
        mine = subject.path or subject.name
        given = [*(str(one.path) for one in (self.options.listed.subjects if self.options.listed else ())), *self.options.models]
        before = given[: given.index(mine)] if mine in given else []
        return [*(path for path in before if model_subject(path).name == model_subject(mine).name), mine]

    def rerun_line(self, item: Item) -> str:
        """One line that reproduces exactly this result."""
        options = self.options
        words = ["pytest", item.id, "--profile", options.profile.name, "--seed", str(options.seed)]
        if not item.subject.seeded and not (item.control and item.control.on):
            if item.subject.step is not None and options.series is not None:
                words += ["--checkpoints", str(options.series.folder)]
            else:
                words += [word for path in self._namesakes(item.subject) for word in ("--model", path)]
            if item.claim.on.base and options.base_model is not None:
                words += ["--base-model", options.base_model]
            if options.task is not None:
                words += ["--task", options.task.name]
        if item.yours is not None and options.recipe is not None:
            words += ["--recipe", options.recipe]
        if item.control is not None:
            words.append("--with-controls")
        if options.dtype != "float32":
            words += ["--dtype", options.dtype]
        if options.device != "cpu":
            words += ["--device", options.device]
        return shlex.join(words)
