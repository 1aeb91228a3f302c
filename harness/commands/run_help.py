"""The help of `run` and `measure`: claimbench's options in groups, and pytest's by name. They are pytest's to parse."""

from __future__ import annotations

import textwrap

from .parser import _examples, columns

GROUPS = {
    "what is tested": ("--model", "--models", "--checkpoints", "--base-model", "--recipe", "--task"),
    "how much": ("--profile", "--with-controls", "--seed", "--device", "--dtype", "--jobs"),
    "before anything is spent": ("--plan", "--budget"),
    "what is kept and told": ("--report", "--store", "--judge-only"),
    "what fails the run": ("--fail-on", "--baseline", "--match"),
}
PYTEST = (
    ("-k WORDS", "only claims whose names or findings fit, as in -k 'load-bearing and not anti'"),
    ("-m MARK", "only organism, model, control, positive, negative or guard"),
    ("-x, --lf", "stop at the first that fails; only those that failed last"),
    ("--junitxml FILE", "verdicts as JUnit XML"),
    ("-v, -q", "more or fewer lines"),
)
EXAMPLES = (
    ("claimbench run", "all claims on the networks that ship"),
    ("claimbench run --profile smoke -k load-bearing", "a few claims, few replicates"),
    ("claimbench run --model A --model B --report report", "two models side by side in one report"),
    ("claimbench run --models models.txt --budget 2h,16GB", "every model of a list, within limits"),
    ("claimbench run --model A --baseline old/results.json --fail-on regression", "in CI"),
)
CODES = (
    "0 no verdict that --fail-on names, 1 one or more, 2 claims could not be collected, 4 a mistake in an option or a model, "
    "5 no claim selected, 130 interrupted."
)


def text(name: str) -> str:
    """The help of `claimbench run` or `claimbench measure`."""
    told = _told()
    does = "Measure in parallel, then judge and report" if name == "run" else "Measure in parallel and judge nothing"
    lines = [f"usage: claimbench {name} [FILE or FOLDER ...] [options]", ""]
    lines += textwrap.wrap(f"{does}. Without files: the claims of this folder, else the shipped ones.", columns())
    for title, flags in GROUPS.items():
        lines += ["", f"{title}:", *_rows(told[flag] for flag in flags)]
    lines += ["", "of pytest, whose options all work:", *_rows(PYTEST)]
    lines += ["", *_examples(EXAMPLES), "", *textwrap.wrap(f"Exit codes: {CODES}", columns())]
    return "\n".join(lines) + "\n"


def _told() -> dict[str, tuple[str, str]]:
    """Each option with its value, and what it does."""
    import pytest

    from ..running.pytest_options import add_options

    parser = pytest.Parser(_ispytest=True)
    add_options(parser)
    found = {"--jobs": ("--jobs N", "processes that measure (default: 2, on a given model 1)")}
    for option in parser.getgroup("claimbench").options:
        attrs = option.attrs()
        flag, metavar = option.names()[0], attrs.get("metavar")
        found[flag] = (f"{flag} {metavar}" if metavar else flag, str(attrs.get("help") or ""))
    return found


def _rows(rows: object) -> list[str]:
    lines: list[str] = []
    for name, said in rows:  # type: ignore[attr-defined]
        lines += textwrap.wrap(said, columns(), initial_indent=f"  {name:20}  ", subsequent_indent=" " * 24, break_long_words=False)
    return lines
