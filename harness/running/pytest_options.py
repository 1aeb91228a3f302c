"""Options of the plugin: on the command line and as keys of an ini file, checked before anything is spent."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from .options import DEFAULT_FAIL_ON, Options, checked

OPTIONS = (
    ("--checkpoints", "checkpoints", "DIR", "run the claims on every step of a training run: model folders called step-200, ..."),
    ("--models", "models_file", "FILE", "run the claims on every model that this file lists, one a line; missing ones are named"),
    ("--base-model", "base_model", "PATH", "the model that --model was derived from, for claims about pairs"),
    ("--report", "report", "DIR", "write report.html, results.json and summary.md there"),
    ("--store", "store", "PATH", "where measurements are kept (default: $CLAIMBENCH_STORE or .claimbench/store)"),
    ("--profile", "profile", "NAME", "how much is spent: smoke, standard or full (default: standard)"),
    ("--seed", "seed", "N", "root of all random streams; draws which seed is retrained (default: 0)"),
    ("--device", "device", "NAME", "cpu, cuda, cuda:N or mps (default: cpu)"),
    ("--dtype", "dtype", "NAME", "float32, bfloat16, float16, float64 or auto (default: float32)"),
    ("--task", "task", "FILE", "JSON lines (prompt, target, distractor) for the claims that ask a task of a given model"),
    ("--recipe", "recipe", "MODULE:FUNCTION", "run the claims that have a place for a network, optimiser or data of yours"),
    ("--fail-on", "fail_on", "LIST", f"verdicts that fail the run (default: {DEFAULT_FAIL_ON})"),
    ("--baseline", "baseline", "FILE", "compare with this results.json of an earlier run (--fail-on regression)"),
    ("--budget", "budget", "LIMITS", "refuse, before anything is measured, what would take more: 30m, 16GB or 2h,8GB"),
)
#: Marks that items carry, for `-m`: what they run on, and which of them are controls.
MARKS = {
    "organism": "runs on a family of small networks",
    "model": "runs on one given model",
    "control": "a control of a claim, of any kind",
    "positive": "a control that must come out SUPPORTED",
    "negative": "a control that must come out REFUTED",
    "guard": "a control that must come out NOT_APPLICABLE",
    "xdist_group": "items of one subject stay on one worker under --dist loadgroup",
}


def add_options(parser: pytest.Parser) -> None:
    """Register every option and its ini key."""
    group = parser.getgroup("claimbench", "claimbench: findings as executable claims")
    group.addoption(
        "--model",
        action="append",
        dest="claimbench_model",
        metavar="PATH_OR_NAME",
        help="run the claims on this Hugging Face causal language model in place of the shipped subjects; repeatable",
    )
    for flag, name, metavar, text in OPTIONS:
        group.addoption(flag, dest=f"claimbench_{name}", metavar=metavar, default=None, help=text)
        parser.addini(f"claimbench_{name}", text, default=None)
    parser.addini("claimbench_model", "models to run the claims on, one a line", type="linelist", default=[])
    parser.addini("claimbench_organisms", "folders of organism files", type="paths", default=[])
    group.addoption(
        "--match",
        action="append",
        dest="claimbench_match",
        metavar="OLD=NEW",
        help="let subject NEW of this run take the place of the baseline's subject OLD; repeatable",
    )
    parser.addini(
        "claimbench_match",
        "subjects that take the place of others of the baseline, OLD=NEW, one a line",
        type="linelist",
        default=[],
    )
    group.addoption(
        "--with-controls", action="store_true", dest="claimbench_with_controls", help="also run every control of a claim"
    )
    parser.addini("claimbench_with_controls", "also run every control of a claim", type="bool", default=False)
    group.addoption("--default-claims", dest="claimbench_default_claims", metavar="PATH", help=argparse.SUPPRESS)
    group.addoption(
        "--judge-only",
        action="store_true",
        dest="claimbench_judge_only",
        help="measure nothing: judge what the store holds and name what is missing",
    )
    group.addoption(
        "--plan",
        action="store_true",
        dest="claimbench_plan",
        help="show runs, forward passes, time and memory, and what is reused; measure nothing",
    )


def options_of(config: pytest.Config) -> Options:
    """Checked options from the command line, else from the ini file."""

    def asked(name: str) -> Any:
        given = config.getoption(f"claimbench_{name}")
        if given not in (None, []):
            return given
        found = config.getini(f"claimbench_{name}")
        if found and name in ("checkpoints", "models_file", "report", "store", "task", "baseline") and config.inipath is not None:
            return config.inipath.parent / found  # a path in a file is relative to that file
        return found

    values = {name: asked(name) for _, name, _, _ in OPTIONS}
    return checked(
        models=asked("model") or (),
        match=asked("match") or (),
        with_controls=bool(config.getoption("claimbench_with_controls") or config.getini("claimbench_with_controls")),
        **{name: value for name, value in values.items() if value not in (None, "")},
    )
