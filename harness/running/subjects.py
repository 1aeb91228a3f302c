"""Subjects of a session: families by seed, given models by path, each loaded once and only when something is measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from ..errors import LoadError, NotApplicable, UsageError
from .item import Item, Subject, model_subject, named_subject

if TYPE_CHECKING:
    from ..measures.tasks import Task
    from ..subjects import LM


#: A recipe can be trained, and a simulation run, at any seed; the schedule looks at this many.
SEEDS = 11
#: Subjects that are no network: what evidence verdicts on them are. A simulation stands for the network it explains.
WITHOUT_NETWORK = {"recipe": "organism", "simulation": "analogue"}


@cache
def _version(package: str) -> str:
    """Asked for every key of a measurement, and each time read from files otherwise."""
    return version(package)


class Subjects:
    """Hands out subjects under fixed parameters.

    Args:
        device, dtype: as torch names them; "auto" for the dtype leaves a model's own.
        live: models that the caller already holds, by subject name.
        task: what the user asks of given models.
        base_model: path of the model that the given ones were derived from.
    """

    def __init__(
        self,
        device: str = "cpu",
        dtype: str = "float32",
        live: Mapping[str, LM] | None = None,
        task: Task | None = None,
        base_model: str | None = None,
    ) -> None:
        self.device = device
        self.dtype = dtype
        self._task = task
        self._base_model = base_model
        self._tasks: dict[Subject, Task] = {}  # without the items of a set that a model's tokenizer splits
        self._models: dict[Subject, LM] = {Subject(name, "model"): lm for name, lm in (live or {}).items()}
        self._gaps: dict[Subject, str] = {}
        self._digests: dict[tuple[Subject, int], str] = {}  # by subject and never by name: two models may share one

    def get(self, subject: Subject, index: int) -> LM | None:
        """The network of a subject: seed `index` of a family, or the given model whatever the index; else none."""
        if subject.kind in WITHOUT_NETWORK:
            return None
        if subject.kind == "family":
            from ..subjects.family import family

            return family(subject.name).subject(index, self.device, self.dtype)
        if subject not in self._models:
            from ..subjects.loading import load_model

            if subject.series is not None:  # one step of a series at a time, however long it is
                self._models = {other: lm for other, lm in self._models.items() if other.series is None}

            assert subject.path is not None
            lm = load_model(subject.path, self.device, self.dtype)
            lm.name = subject.name
            self._models[subject] = lm
        return self._models[subject]

    def gap(self, subject: Subject) -> str:
        """Why a step of a series cannot be judged, in one line; empty for what can.

        Any other model that cannot be loaded ends the run: it is all that was asked for.
        """
        if subject.series is None or subject.gap:
            return subject.gap
        if subject not in self._gaps:
            try:
                self.get(subject, 0)
                self._gaps[subject] = ""
            except (LoadError, UsageError) as error:
                self._gaps[subject] = str(error)
        return self._gaps[subject]

    def digest(self, subject: Subject, index: int) -> str:
        """Identity of what is measured: weights and configuration."""
        key = (subject, index if subject.kind == "family" else 0)
        if key not in self._digests:
            if subject.kind == "family":
                from ..subjects.family import family

                self._digests[key] = family(subject.name).digest(index)
            else:
                lm = self.get(subject, 0)
                self._digests[key] = lm.digest if lm is not None else subject.name  # arms or code say what it is
        return self._digests[key]

    def task(self, item: Item) -> Task | None:
        """The user's task on a model that the user gave; None on the suite's own subjects, which need not know words.

        Raises:
            NotApplicable: a given model, and no task.
        """
        if item.subject.seeded or (item.control is not None and item.control.on is not None):
            return None
        if self._task is None:
            raise NotApplicable("it is asked of a task of yours: add --task FILE, JSON lines with prompt, target and distractor")
        if item.subject not in self._tasks:
            from ..measures.task_sets import suited

            lm = self.get(item.subject, 0)
            tokenizer = None if lm is None else lm.tokenizer
            known = [] if tokenizer is None else [(item.subject.name, tokenizer)]
            self._tasks[item.subject] = suited(self._task, known)
        return self._tasks[item.subject]

    def base(self, item: Item, index: int) -> LM:
        """The other half of a pair: what the subject was derived from.

        Raises:
            NotApplicable: a given model, and no --base-model.
        """
        lm = self.get(self._base(item), index if item.subject.seeded else 0)
        assert lm is not None
        return lm

    def base_digest(self, item: Item, index: int) -> str:
        """Identity of the other half of a pair; empty where it was not given."""
        try:
            return self.digest(self._base(item), index if item.subject.seeded else 0)
        except NotApplicable:
            return ""

    def _base(self, item: Item) -> Subject:
        """On the suite's own subjects the base family of the claim or control, whose seed is the subject's."""
        if item.subject.seeded or (item.control is not None and item.control.on is not None):
            return named_subject(item.base)
        if self._base_model is None:
            raise NotApplicable("it is about a pair: add --base-model PATH, the model that this one was derived from")
        return model_subject(self._base_model)

    def siblings(self, subject: Subject, index: int) -> Iterator[LM] | None:
        """Other seeds of the family, nearest first, each built when reached; None for a given model."""
        if subject.kind != "family":
            return None
        from ..subjects.family import family

        found = family(subject.name)
        return (found.subject((index + step) % found.seeds, self.device, self.dtype) for step in range(1, found.seeds))

    def parameters(self, subject: Subject) -> dict[str, Any]:
        """What a measurement depends on besides subject, code and seed.

        The attention implementation of a family is the choice of its own code and of transformers, which are told elsewhere.
        """
        lm = self.get(subject, 0) if subject.kind == "model" else None
        used = getattr(getattr(getattr(lm, "model", None), "config", None), "_attn_implementation", None)
        held = str(lm.dtype).removeprefix("torch.") if lm is not None and self.dtype == "auto" else self.dtype
        return {
            **({"attention": used} if used else {}),
            "device": self.device.partition(":")[0],
            "dtype": held,
            "torch": _version("torch").partition("+")[0],
            "transformers": _version("transformers"),
        }

    def evidence(self, subject: Subject) -> str:
        """Evidence level that verdicts on the subject rest on."""
        if subject.kind == "family":
            from ..subjects.family import family

            return family(subject.name).evidence
        return WITHOUT_NETWORK.get(subject.kind, "model")

    def seeds(self, subject: Subject) -> int | None:
        """How many seeds a family, a recipe or a simulation has; None for a given model."""
        if subject.kind != "family":
            return SEEDS if subject.kind in WITHOUT_NETWORK else None
        from ..subjects.family import family

        return family(subject.name).seeds


def check_device(device: str, dtype: str) -> None:
    """Raise UsageError for a device or dtype that cannot be used here, before anything is measured."""
    kind, colon, number = device.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (colon and not number.isdigit()):
        raise UsageError(f"unknown device {device!r}: use cpu, cuda, cuda:N or mps")
    if dtype not in ("float32", "bfloat16", "float16", "float64", "auto"):
        raise UsageError(f"unknown dtype {dtype!r}: use float32, bfloat16, float16, float64 or auto")
    if kind == "cpu":
        return
    import torch

    if kind == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"device {device!r} was asked for, and this torch sees no CUDA device: use --device cpu")
    if kind == "cuda" and number and int(number) >= (count := torch.cuda.device_count()):
        raise UsageError(f"device {device!r} was asked for, and this torch sees {count}: use --device cpu or a lower number")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UsageError(f"device {device!r} was asked for, and this torch sees no MPS device: use --device cpu")
