"""`claimbench measure` and `claimbench run`: collect with pytest, measure in parallel, let pytest judge and report."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import UsageError

#: With these nothing is to be measured.
_LOOKS_ONLY = ("--collect-only", "--co", "--plan", "--judge-only", "--help", "-h", "--version", "--markers", "--fixtures")
#: Options with a value that concern the run which follows, not the collecting before it.
_LATER = ("--junitxml", "--junit-xml", "-n", "--numprocesses", "--maxprocesses", "--dist", "--tx")


def run(arguments: Sequence[str]) -> int:
    """Measure with several processes, then run pytest on the same arguments, which only judges. Pytest's exit code."""
    from .measure import RUN

    outer = os.environ.get(RUN)
    os.environ[RUN] = outer or uuid.uuid4().hex  # so that an error is not tried again while it is judged
    try:
        return _measure_and_judge(arguments)
    finally:
        if outer is None:
            del os.environ[RUN]


def _measure_and_judge(arguments: Sequence[str]) -> int:
    _, words = split_jobs(arguments)
    words = [*words, f"--default-claims={default_claims()}"]
    interrupted = False
    if not any(word in _LOOKS_ONLY for word in words):
        try:
            code = measure(arguments)
        except KeyboardInterrupt:
            interrupted, code = True, 0
            print("\ninterrupted: what is measured stays measured; judging it now", file=sys.stderr)
        if code not in (0, 5):
            return code
    words = _without(words, ("--budget",))  # what was to be refused is refused
    judge = ["--judge-only"] if interrupted else []
    code = subprocess.call([sys.executable, "-m", "pytest", *words, *judge])
    return 130 if interrupted else code


def measure(arguments: Sequence[str]) -> int:
    """Measure what the selected claims lack, judging nothing. 0, or pytest's code when collecting failed."""
    import pytest

    jobs, words = split_jobs(arguments)
    catcher = _Catcher()
    words = [*_without(words, _LATER), f"--default-claims={default_claims()}", "--collect-only", "-q", "--assert=plain"]
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet):
        code = int(pytest.main(words, plugins=[catcher]))
    if code not in (0, 5):
        print(quiet.getvalue(), end="", file=sys.stderr)
        return code
    if not catcher.items:
        print("no claims selected")
        return 5
    from .executor import measure as execute
    from .options import check_models
    from .plan import check_budget
    from .progress import Bar
    from .session import Session

    check_models(catcher.options)
    session = Session(catcher.options)
    check_budget(catcher.items, session)
    if jobs is None:  # a given model would be held once by every process
        jobs = 1 if catcher.options.given else 2
    with Bar() as bar:
        execute(
            catcher.items,
            session,
            jobs=jobs,
            organisms=catcher.organisms,
            root=catcher.root,
            progress=bar.show,
        )
    return 0


def split_jobs(arguments: Sequence[str]) -> tuple[int | None, list[str]]:
    """Take `--jobs N` out of the arguments; the rest is pytest's."""
    words = list(arguments)
    for position, word in enumerate(words):
        if word == "--jobs" or word.startswith("--jobs="):
            text = word.partition("=")[2] if "=" in word else (words[position + 1 : position + 2] or [""])[0]
            if not text.isdigit() or int(text) < 1:
                raise UsageError(f"--jobs {text!r} is no number of processes: use 1 or more")
            del words[position : position + (1 if "=" in word else 2)]
            return int(text), words
    return None, words


def default_claims() -> Path:
    """What is run when no file is named: the claims of this folder, else the shipped ones."""
    from .collecting import claims_root

    return Path("claims") if Path("claims").is_dir() else claims_root()


def _without(words: Sequence[str], options: Sequence[str]) -> list[str]:
    """The words less these options and their values; a one-letter option may have its value attached."""
    attached = tuple(f"{name}=" if name.startswith("--") else name for name in options)
    kept: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in options:
            skip = True
        elif not word.startswith(attached):
            kept.append(word)
    return kept


class _Catcher:
    """A pytest plugin that takes the collected items."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.options: Any = None
        self.organisms: list[Path] = []
        self.root = Path.cwd()

    def pytest_collection_finish(self, session: Any) -> None:
        from ..pytest_plugin import ClaimItem, bench_of

        self.items = [item.claim_item for item in session.items if isinstance(item, ClaimItem)]
        bench = bench_of(session.config)
        self.options, self.organisms = bench.options, bench.organism_folders()
        self.root = Path(session.config.rootpath)
