"""What a session is asked to do, checked before anything is spent."""

from __future__ import annotations

import difflib
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from .budget import Budget, parse_budget
from .models_file import Listed, read_models
from .profile import Profile, profile_named
from .series import Series, read_series
from .streams import check_seed
from .subjects import check_device

if TYPE_CHECKING:
    from ..comparing import Baseline
    from ..measures.tasks import Task

FAIL_ON = ("unexpected", "refuted", "inconclusive", "invalid", "error", "regression", "never")
DEFAULT_FAIL_ON = "unexpected,refuted,invalid,error"
DEFAULT_STORE = ".claimbench/store"


@dataclass(frozen=True)
class Options:
    """Checked options of a session; the same for pytest, the command and a notebook."""

    models: tuple[str, ...] = ()
    series: Series | None = None
    base_model: str | None = None
    report: Path | None = None
    store: Path = Path(DEFAULT_STORE)
    profile: Profile = field(default_factory=lambda: profile_named("standard"))
    seed: int = 0
    device: str = "cpu"
    dtype: str = "float32"
    with_controls: bool = False
    fail_on: frozenset[str] = frozenset(DEFAULT_FAIL_ON.split(","))
    budget: Budget | None = None
    task: Task | None = None
    recipe: str | None = None
    listed: Listed | None = None
    baseline: Baseline | None = None

    @property
    def given(self) -> list[str]:
        """Models that claims are run on: those of --model, and the sound ones of --checkpoints and --models."""
        return [*self.models, *(one for many in (self.series, self.listed) if many for one in many.paths)]


def checked(
    *,
    models: Sequence[str] = (),
    checkpoints: str | os.PathLike[str] | None = None,
    base_model: str | None = None,
    report: str | os.PathLike[str] | None = None,
    store: str | os.PathLike[str] | None = None,
    profile: str = "standard",
    seed: int | str = 0,
    device: str = "cpu",
    dtype: str = "float32",
    with_controls: bool = False,
    fail_on: str = DEFAULT_FAIL_ON,
    budget: str | None = None,
    task: str | os.PathLike[str] | None = None,
    recipe: str | None = None,
    models_file: str | os.PathLike[str] | None = None,
    baseline: str | os.PathLike[str] | None = None,
    match: Sequence[str] = (),
) -> Options:
    """Options from what a user wrote; UsageError with one line that names the fix."""
    try:
        root = check_seed(int(seed))
    except ValueError:
        raise UsageError(f"--seed {seed!r} is no whole number") from None
    check_device(device, dtype)
    if any(not str(model).strip() for model in models):
        raise UsageError("--model '' is empty: give the folder of a model or a name in the local hub cache")
    return Options(
        models=tuple(models),
        series=read_series(Path(checkpoints)) if checkpoints is not None else None,
        base_model=base_model,
        report=_writable(report),
        store=Path(store or os.environ.get("CLAIMBENCH_STORE") or DEFAULT_STORE),
        profile=profile_named(profile),
        seed=root,
        device=device,
        dtype=dtype,
        with_controls=with_controls,
        fail_on=_fail_on(fail_on),
        budget=parse_budget(budget) if budget else None,
        task=_task(task),
        recipe=_recipe(recipe, models or checkpoints),
        listed=read_models(Path(models_file)) if models_file is not None else None,
        baseline=_baseline(baseline, match, fail_on),
    )


def check_models(options: Options) -> None:
    """Raise UsageError or LoadError for a model that cannot be loaded, before anything is spent; loads no weights.

    Lines of a task must suit the tokenizers of all models.
    """
    given = [*options.models, *([options.base_model] if options.base_model else [])]
    if given:
        from ..subjects.files import check_path

        for path in given:
            check_path(path)
    _check_task(options)


def _check_task(options: Options) -> None:
    """Raise UsageError for a task that no model was given for, or a line that does not suit a model's tokenizer."""
    if options.task is None:
        return
    if not options.given:
        raise UsageError(f"--task {options.task.name} is asked of a given model: add --model PATH")
    from ..measures.task_sets import suited
    from ..subjects.loading import tokenizer_of

    for model in options.given:
        tokenizer = tokenizer_of(model)
        if tokenizer is not None:
            dropped = getattr(suited(options.task, [(model, tokenizer)]), "dropped", "")
            if dropped:
                print(f"claimbench: {dropped}", file=sys.stderr)


def _recipe(recipe: str | None, models: object) -> str | None:
    if recipe is not None:
        if models:
            raise UsageError(f"--recipe {recipe} is trained and needs no given model: leave --model and --checkpoints out")
        from .user_recipe import user_recipe

        user_recipe(recipe)
    return recipe


def _task(task: str | os.PathLike[str] | None) -> Task | None:
    if task is None:
        return None
    from ..measures.task_sets import find_task

    return find_task(Path(task))


def _baseline(path: str | os.PathLike[str] | None, match: Sequence[str], fail_on: str) -> Baseline | None:
    if path is None:
        if match or "regression" in _fail_on(fail_on):
            raise UsageError(f"{'--match' if match else '--fail-on regression'} needs something to compare with: --baseline FILE")
        return None
    from ..comparing import Baseline, parse_match
    from ..reporting import load_results

    return Baseline(load_results(Path(path)), parse_match(match))


def _fail_on(text: str) -> frozenset[str]:
    names = frozenset(part.strip() for part in text.split(",") if part.strip())
    for name in sorted(names):
        if name not in FAIL_ON:
            near = difflib.get_close_matches(name, FAIL_ON, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"--fail-on {name!r} is unknown: use a list of {', '.join(FAIL_ON)}{hint}")
    if "never" in names and len(names) > 1:
        raise UsageError("--fail-on never stands alone: leave the other words out")
    return names - {"never"}


def _check_report(folder: Path) -> None:
    """Raise UsageError for a folder that holds another program's report, before anything is spent."""
    from ..reporting import foreign

    if name := foreign(folder):
        raise UsageError(f"--report {folder} holds a {name} that claimbench did not write: choose another folder")


def _writable(report: str | os.PathLike[str] | None) -> Path | None:
    if report is None or str(report) == "":
        return None
    folder = Path(report)
    _check_report(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # several workers may ask at once
            pass
    except OSError as error:
        raise UsageError(f"--report {folder} cannot be written ({error.strerror}): choose another folder") from None
    return folder
