"""`claimbench measure` and `claimbench run`: collect with pytest, measure in parallel, then let pytest judge and report."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import UsageError

_LOOKS_ONLY = ("--collect-only", "--co", "--plan", "--help", "-h", "--version")


def run(arguments: Sequence[str]) -> int:
    """Measure with several processes, then run pytest on the same arguments, which only judges. Pytest's exit code."""
    jobs, words = split_jobs(arguments)
    words = with_default_claims(words)
    interrupted = False
    if not any(word in _LOOKS_ONLY for word in words):
        try:
            code = measure(arguments)
        except KeyboardInterrupt:
            interrupted, code = True, 0
            print("\ninterrupted: what is measured stays measured; judging it now", file=sys.stderr)
        if code not in (0, 5):
            return code
    judge = ["--judge-only"] if interrupted else []
    code = subprocess.call([sys.executable, "-m", "pytest", *words, *judge])
    return 130 if interrupted else code


def measure(arguments: Sequence[str]) -> int:
    """Measure what the selected claims lack, judging nothing. 0, or pytest's code when collecting failed."""
    import pytest

    jobs, words = split_jobs(arguments)
    catcher = _Catcher()
    words = with_default_claims(words)
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet):
        code = int(pytest.main([*_without_reports(words), "--collect-only", "-q", "-p", "no:cacheprovider", "--assert=plain"], plugins=[catcher]))
    if code not in (0, 5):
        print(quiet.getvalue(), end="", file=sys.stderr)
        return code
    if not catcher.items:
        print("no claims selected")
        return 5
    from .executor import measure as execute
    from .session import Session

    session = Session(catcher.options)
    if jobs is None:  # a given model would be held once by every process
        jobs = 1 if catcher.options.models else 2
    with _Bar() as bar:
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


def with_default_claims(words: Sequence[str]) -> list[str]:
    """The arguments, with the claims in front when they name no file: those of this folder, else the shipped ones."""
    if any(Path(word.partition("::")[0]).exists() for word in words if not word.startswith("-")):
        return list(words)
    from .collecting import claims_root

    return [str(Path("claims") if Path("claims").is_dir() else claims_root()), *words]


def _without_reports(words: Sequence[str]) -> list[str]:
    """Collecting must not write the reports of the run that follows."""
    kept: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in ("--report", "--junitxml", "-n"):
            skip = True
        elif not word.startswith(("--report=", "--junitxml=", "-n")):
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


class _Bar:
    """A progress bar over replicates, with the time that is left."""

    def __enter__(self) -> _Bar:
        from tqdm import tqdm

        self.bar = tqdm(unit="replicate", dynamic_ncols=True, file=sys.stderr, mininterval=0.5)
        return self

    def show(self, done: int, known: int, what: str) -> None:
        self.bar.total = known
        self.bar.set_description_str(what[:60], refresh=False)
        self.bar.update(done - self.bar.n)

    def __exit__(self, *_: object) -> None:
        self.bar.close()
