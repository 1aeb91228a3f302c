"""Tasks of lm-eval on a live model under the interventions of a view, item by item.

Requests run in batches that lm-eval makes, so what a view does must not depend on which rows share a batch. What names
positions runs among sequences of one length, means are taken over all sequences of the task, and what belongs to the
rows or the length of one run is refused by name.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidMeasurement, NotApplicable, UsageError
from ..subjects.shipped import shipped_root
from .requests import check_lasting, names_positions, with_means

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from ..subjects.lm import LM
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")


@dataclass(frozen=True)
class ItemResult:
    """One item of a task. `id` and `digest` (document and prompt) say which; `answers` are what the model answered.

    scores: lm-eval's metrics of this item, and `margin` of multiple choice (log-likelihood of the right answer minus the
    largest of a wrong one, nats) or `loglikelihood` (nats).
    """

    task: str
    id: str
    digest: str
    scores: Mapping[str, float]
    answers: tuple[Any, ...]


@dataclass(frozen=True)
class Evaluation:
    """Results of tasks under one view; `view` says its interventions, `results` lm-eval's own numbers by task."""

    view: str
    items: tuple[ItemResult, ...]
    results: Mapping[str, Mapping[str, float]]

    def scores(self, metric: str, task: str | None = None) -> NDArray[np.float64]:
        """A metric by item, of one task or of all; UsageError when an item has no such number."""
        items = [item for item in self.items if task in (None, item.task)]
        if not items or any(metric not in item.scores for item in items):
            known = sorted({name for item in items or self.items for name in item.scores})
            raise UsageError(f"no item of task {task or 'any'} has the score {metric!r}: known are {', '.join(known)}")
        return np.array([item.scores[metric] for item in items])


@dataclass(frozen=True)
class TaskFiles:
    """A task in a folder of task files, with a digest of all that lies there.

    At the top of a claim's file it makes the digest a part of what stored measurements depend on.
    """

    name: str
    folder: str
    digest: str


def task_files(name: str, folder: str | Path | None = None) -> TaskFiles:
    """The lm-eval task of that name in a folder, by default a shipped one; UsageError when there is no such folder."""
    place = shipped_root() / "fixtures" / "tasks" if folder is None else Path(folder)
    files = sorted(path for path in place.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    if not files:
        raise UsageError(f"there are no task files in {place}: give the folder in which they lie")
    content = hashlib.sha256()
    for path in files:
        content.update(f"{path.relative_to(place).as_posix()}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return TaskFiles(name, "" if folder is None else str(place), content.hexdigest())


def evaluate(
    lm: LM,
    tasks: str | TaskFiles | Sequence[str | TaskFiles],
    *,
    include: str | Path | Sequence[str | Path] | None = None,
    limit: int | None = None,
    num_fewshot: int | None = None,
    batch_size: int = 8,
    when: str = "every step",
    seed: int = 0,
) -> Evaluation:
    """Run lm-eval tasks on a subject, or under the interventions of a view of it.

    Args:
        lm: a subject with a tokenizer, or any view of one.
        tasks: names of lm-eval tasks; shipped are `claimbench_word_pairs`, `claimbench_indirect_object` and
            `claimbench_choice`.
        include: folders with task files of your own, beside the shipped ones. lm-eval's own tasks are known too, and
            their data must be in the local cache: the network is never used.
        limit: only the first items of each task.
        num_fewshot: examples in the prompt, where the task leaves it open.
        batch_size: sequences in a pass; does not change results beyond rounding.
        when: in generation, "every step" or "prompt", as in `lm.generate`.
        seed: of few-shot examples, and of sampling where a task samples.

    Raises:
        UsageError: an unknown task, a batch size that is no number, or an intervention that belongs to the rows or the
            length of one run.
        NotApplicable: a subject without a tokenizer.
    """
    if lm.tokenizer is None:
        raise NotApplicable(f"lm-eval tasks are text, and {lm.name} has no tokenizer")
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise UsageError(f"batch_size must be a whole number of sequences, at least 1; {batch_size!r} was given")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise UsageError(f"limit must be a whole number of items, at least 1; {limit!r} was given")
    check_lasting(lm)
    asked = [tasks] if isinstance(tasks, str | TaskFiles) else list(tasks)
    names = [task if isinstance(task, str) else task.name for task in asked]
    given = [] if include is None else [include] if isinstance(include, str | Path) else list(include)
    folders = [*given, *(task.folder for task in asked if isinstance(task, TaskFiles) and task.folder)]
    with _quiet():
        import lm_eval

        manager = _manager(folders, names)
        model = _live_class()(lm, batch_size, when, seed)
        items: list[ItemResult] = []
        results: dict[str, dict[str, float]] = {}
        for name in names:  # one at a time, so that means over its sequences do not depend on the others
            found = lm_eval.simple_evaluate(
                model=model,
                tasks=[name],
                task_manager=manager,
                limit=limit,
                num_fewshot=num_fewshot,
                bootstrap_iters=0,
                random_seed=None,  # None leaves the global generators alone
                numpy_random_seed=None,
                torch_random_seed=None,
                fewshot_random_seed=seed,
            )
            assert found is not None
            for task, samples in found["samples"].items():
                items += [_item(task, sample) for sample in samples]
            for task, numbers in found["results"].items():
                results[task] = {k.removesuffix(",none"): float(v) for k, v in numbers.items() if _is_metric(k, v)}
    made = [str(change) for change in (*lm.removals, *lm.changes)]
    return Evaluation("; ".join(made) or "the plain model", tuple(items), results)


def paired(plain: Evaluation, other: Evaluation, metric: str, task: str | None = None) -> NDArray[np.float64]:
    """Score under `other` minus score under `plain`, item by item; InvalidMeasurement unless the items are the same."""
    mine, theirs = ([(i.task, i.id, i.digest) for i in run.items if task in (None, i.task)] for run in (plain, other))
    if mine != theirs:
        at = next((n for n, pair in enumerate(zip(mine, theirs, strict=False)) if pair[0] != pair[1]), min(len(mine), len(theirs)))
        raise InvalidMeasurement(
            f"the runs have different items ({len(mine)} and {len(theirs)}, the first difference at place {at}): "
            "evaluate both with the same tasks, limit and seed"
        )
    return other.scores(metric, task) - plain.scores(metric, task)


def task_effect(lm: LM, view: LM, task: str | TaskFiles, metric: str = "margin", **options: Any) -> float:
    """Mean over items of a score under a view minus that of the plain model, item by item; options as for `evaluate`.

    `lm` may itself be a view; it is what `view` is compared with.
    """
    plain, other = (evaluate(each, task, **options) for each in (lm, view))
    return float(paired(plain, other, metric).mean())


def _item(task: str, sample: Mapping[str, Any]) -> ItemResult:
    scores = {name: float(sample[name]) for name in sample["metrics"] if _number(sample.get(name))}
    answers = tuple(sample["filtered_resps"])
    said = [answer[0] for answer in answers if isinstance(answer, tuple | list) and len(answer) == 2]
    right = sample["target"]
    if len(said) > 1 and isinstance(right, int) and len(said) == len(sample["arguments"]) and 0 <= right < len(said):
        scores["margin"] = float(said[right] - max(said[:right] + said[right + 1 :]))
    elif len(said) == 1:
        scores["loglikelihood"] = float(said[0])
    elif len(answers) == 1 and _number(answers[0]):
        scores["loglikelihood"] = float(answers[0])  # of a whole document
    rule = "" if sample["filter"] == "none" else f" ({sample['filter']})"
    return ItemResult(task, f"{sample['doc_id']}{rule}", f"{sample['doc_hash']}/{sample['prompt_hash']}", scores, answers)


def _number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, str)


def _is_metric(name: str, value: Any) -> bool:
    return _number(value) and "," in name and "_stderr" not in name


def _manager(include: Sequence[str | Path], names: Sequence[str]) -> Any:
    from lm_eval.tasks import TaskManager

    folders = [shipped_root() / "fixtures" / "tasks", *map(Path, include)]
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"include: no folder {folder}: give the folder in which the task files lie")
    for own in (False, True):  # scanning lm-eval's thousands of files takes seconds
        manager = TaskManager(include_path=[str(folder) for folder in folders], include_defaults=own)
        unknown = [name for name in names if name not in manager.all_tasks]
        if not unknown:
            return manager
    shipped = TaskManager(include_path=[str(folder) for folder in folders], include_defaults=False).all_tasks
    raise UsageError(f"there is no lm-eval task {unknown[0]!r}: beside lm-eval's own there are {', '.join(shipped)}")


@cache
def _live_class() -> Any:
    """The class, made at first use since lm-eval takes seconds to import."""
    from lm_eval.models.huggingface import HFLM

    class Live(HFLM):  # type: ignore[misc]
        """lm-eval's own Hugging Face model around a live one, under the interventions of a view."""

        def __init__(self, lm: LM, batch_size: int, when: str, seed: int) -> None:
            # A copy, since lm-eval gives tokenizers without a padding token one.
            super().__init__(
                pretrained=lm.model, tokenizer=copy.deepcopy(lm.tokenizer), batch_size=batch_size, max_length=lm.context
            )
            self.view, self.when, self.rng = lm, when, np.random.default_rng(seed)
            self.fixed = lm  # the view with its means, while texts are generated

        def _loglikelihood_tokens(
            self, requests: list[Any], disable_tqdm: bool = False, override_bs: int | None = None
        ) -> list[Any]:
            options = {"disable_tqdm": True, "override_bs": override_bs}
            if not (self.view.removals or self.view.changes) or not requests:
                found: list[Any] = super()._loglikelihood_tokens(requests, **options)
                return found
            view = with_means(self.view, lambda: self._sequences(requests))
            answers: list[Any] = [None] * len(requests)
            with view.held():
                for places in self._together(requests, names_positions(view)):
                    part = super()._loglikelihood_tokens([requests[place] for place in places], **options)
                    for place, answer in zip(places, part, strict=True):
                        answers[place] = answer
            return answers

        def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
            prompts = dict.fromkeys(request.args[0] for request in requests)
            self.fixed = with_means(self.view, lambda: [self.tok_encode(text)[-self.max_length :] for text in prompts])
            found: list[str] = super().generate_until(requests, disable_tqdm=True)
            return found

        def _model_generate(self, context: torch.Tensor, max_length: int, stop: list[str], **options: Any) -> torch.Tensor:
            from lm_eval.models.utils_hf import stop_sequences_criteria

            mask = options.pop("attention_mask", torch.ones_like(context))
            if not options.get("do_sample") and not options.get("temperature"):
                options.pop("temperature", None)
                options["do_sample"] = False
            prompts = {"input_ids": context, "attention_mask": mask}
            return self.fixed.generate(
                prompts,
                self.when,
                self.rng if options.get("do_sample") else None,
                max_length=max_length,
                stopping_criteria=stop_sequences_criteria(self.tokenizer, stop, context.shape[1], context.shape[0]),
                pad_token_id=self.tokenizer.pad_token_id,
                use_cache=True,
                **options,
            )

        def _sequences(self, requests: list[Any]) -> list[list[int]]:
            """What is run for the requests, each sequence once."""
            return [list(run) for run in dict.fromkeys(tuple(self._run(request)) for request in requests)]

        def _run(self, request: Any) -> list[int]:
            _, context, continuation = request
            return list((context + continuation)[-(self.max_length + 1) :][:-1])

        def _together(self, requests: list[Any], by_length: bool) -> list[list[int]]:
            if not by_length:
                return [list(range(len(requests)))]
            groups: dict[int, list[int]] = {}
            for place, request in enumerate(requests):
                groups.setdefault(len(self._run(request)), []).append(place)
            return [groups[length] for length in sorted(groups, reverse=True)]

    return Live


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No network, no remarks from lm-eval on what is meant so, and global generators (which it draws from) as they were."""
    import datasets
    from huggingface_hub import constants

    logger = logging.getLogger("lm_eval")
    before = (logger.level, constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE)
    states = random.getstate(), np.random.get_state()
    logger.setLevel(logging.ERROR)
    constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        logger.setLevel(before[0])
        random.setstate(states[0])
        np.random.set_state(states[1])
        constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before[1:]
