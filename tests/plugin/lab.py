"""A third party's folder in miniature: a paper card, organisms that are mere numbers, and claims about them."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

CARD = """
slug = "toy"
title = "A toy paper"
authors = "A. Nobody"
identifier = "toy:1"
year = 2025

[[finding]]
id = "large"
title = "It is large"
statement = "The effect is large."

[[finding]]
id = "other"
title = "It is otherwise"
statement = "The effect is otherwise."

[[finding]]
id = "later"
title = "Not yet"
statement = "Something else."
reason = "registered: needs a night"
"""

ORGANISMS = '''
"""Subjects that are a number: claims about them need no forward pass."""
from claimbench.subjects.family import Built, organism
from claimbench.subjects.tokens import Tokens


class Net:
    def eval(self):
        return self

    def requires_grad_(self, flag):
        return self

    def parameters(self):
        return ()

    buffers = parameters


def number(name, levels, seeds=11):
    """A family whose seed s has the level levels[s % len(levels)]."""
    @organism(name, evidence="organism", seeds=seeds, description="a number in place of a network")
    def make(seed):
        return Built(Net(), Tokens(range(20)), {"level": levels[seed % len(levels)]})


number("strong", [1.0])
number("strong-too", [1.5])
number("absent", [0.0])
number("mixed", [1.0, 0.0])
number("one-fails", [0.1, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
'''

HEADER = """
import numpy as np
import pytest
from claimbench import *
from claimbench import Documented, InvalidMeasurement, NotApplicable, Value


@step
def level(lm):
    '''Level.'''
    return lm.facts["level"]


@step
def nothing(level):
    '''No level at all.'''
    return 0.0
"""

ARGUMENTS = {
    "finding": '"toy/large"',
    "on": 'causal_lm(organism="strong")',
    "holds": 'above(0.5, unit="nat")',
    "why": '"our choice"',
    "documented": '"large"',
    "controls": '[positive(on="strong-too"), negative(level=nothing)]',
}


def claim(
    name: str = "effect_is_large",
    body: str = "return level + 0.01 * rng.normal()",
    parameters: str = "level, rng",
    between: str = "",
    **arguments: str,
) -> str:
    """Source of a claim; keyword arguments are source too, and replace those of `ARGUMENTS`."""
    told = {**ARGUMENTS, **arguments}
    finding = told.pop("finding")
    given = ", ".join(f"{key}={value}" for key, value in told.items() if value)
    inside = textwrap.indent(textwrap.dedent(body), "    ")
    docstring = '    """Level, with a little noise."""'
    return f"\n\n@claim({finding}, {given})\n{between}def {name}({parameters}):\n{docstring}\n{inside}\n"


#: As in the strictest project; without the plugins of others that are slow to start.
STRICT = ("-W", "error", "--strict-markers", "-p", "no:hypothesispytest", "-p", "no:anyio", "-p", "no:pytest_cov")


class Lab:
    """The folder, and pytest runs in it."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path = pytester.path
        self.write("claims/paper.toml", CARD)
        self.write("organisms/numbers.py", ORGANISMS)

    def write(self, name: str, text: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def claims(self, *sources: str, file: str = "claims/test_toy.py", header: str = HEADER) -> Path:
        """Write a claim file."""
        return self.write(file, header + "".join(sources or (claim(),)))

    def expect(
        self, verdict: str, claim: str = "effect_is_large", subject: str = "strong", reason: str = "seen"
    ) -> None:
        """Commit an expected verdict."""
        content = {claim: {subject: {"standard": {"verdict": verdict, "reason": reason}}}}
        self.write("claims/expected.json", json.dumps(content))

    def run(self, *words: str) -> pytest.RunResult:
        """Pytest in this process; a warning is an error, as in the strictest project."""
        return self.pytester.runpytest_inprocess(*STRICT, "--strict-config", *words)

    def run_apart(self, *words: str) -> pytest.RunResult:
        """Pytest in a process of its own."""
        return self.pytester.runpytest_subprocess(*STRICT, *words, timeout=120)

    def results(self, folder: str = "report") -> dict[str, Any]:
        """The results document that a run with --report wrote."""
        found: dict[str, Any] = json.loads((self.path / folder / "results.json").read_text())
        return found

    def verdicts(self, folder: str = "report") -> Mapping[str, str]:
        """Verdicts by item, without the file."""
        return {r["item"].rpartition("::")[2]: r["verdict"] for r in self.results(folder)["results"]}

    def stored(self, store: str = ".claimbench/store") -> set[str]:
        """Keys of the store's entries, whole ones only."""
        return {path.stem for path in (self.path / store / "entries").rglob("*.json") if not path.name.startswith(".")}

    def entries(self) -> dict[str, bytes]:
        """The store's entries as they lie on disk."""
        folder = self.path / ".claimbench" / "store" / "entries"
        return {path.name: path.read_bytes() for path in sorted(folder.rglob("*.json"))}


def cases(path: Path) -> dict[str, tuple[str, str]]:
    """JUnit: what became of each case, as (passed, failure, skipped or error; message)."""
    found = {}
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        child = next((c for c in case if c.tag in ("failure", "skipped", "error")), None)
        found[str(case.get("name"))] = (child.tag, str(child.get("message"))) if child is not None else ("passed", "")
    return found


def one_line(result: pytest.RunResult, text: str) -> str:
    """The single line of output that holds the text; no traceback anywhere."""
    lines = [line for line in [*result.outlines, *result.errlines] if text in line]
    assert lines, f"{text!r} is nowhere in\n" + "\n".join([*result.outlines, *result.errlines])
    everything = "\n".join([*result.outlines, *result.errlines])
    assert "Traceback" not in everything and "INTERNALERROR" not in everything, everything
    return lines[0]
