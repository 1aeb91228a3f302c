"""A folder with one paper, one file of claims and subjects that are numbers, for commands that read files."""

from __future__ import annotations

import textwrap
from pathlib import Path

CARD = """
slug = "toy"
title = "Toys"
authors = "Nobody"
identifier = "none"
year = 2026

[[finding]]
id = "large"
title = "The level is large"
statement = "The level is large."
"""

ORGANISMS = '''
"""Subjects that are a number."""
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


@organism("toy-strong", evidence="organism", description="a number in place of a network")
def strong(seed):
    return Built(Net(), Tokens(range(20)), {"level": 1.0 + 0.1 * seed})


@organism("toy-planted", evidence="organism", description="a larger number")
def planted(seed):
    return Built(Net(), Tokens(range(20)), {"level": 2.0 + 0.1 * seed})
'''

HEADER = '''
"""Toy claims."""
import itertools

import numpy as np
from claimbench import above, causal_lm, claim, guard, negative, positive, step

STATE = itertools.count()


@step
def level(lm):
    """Level."""
    return lm.facts["level"]


@step
def nothing(level):
    """No level at all."""
    return 0.0
'''

DECLARATION = """
@claim(
    "toy/large",
    on=causal_lm(organism="toy-strong"),
    holds=above(0.5, unit="nat"),
    why="our choice",
    documented="large",
    controls=[positive(on="toy-planted"), negative(level=nothing)],
)
"""

SOUND = '''
def level_is_large(level, rng):
    """Level.

    With a little noise.
    """
    return level + 0.01 * float(rng.normal())
'''


def write(root: Path, functions: str = SOUND, header: str = HEADER, declaration: str = DECLARATION) -> Path:
    """Write card, organisms and a file of one claim below `root`; the file."""
    folder = root / "claims" / "toy"
    folder.mkdir(parents=True, exist_ok=True)
    (root / "organisms").mkdir(exist_ok=True)
    (root / "organisms" / "numbers.py").write_text(ORGANISMS)
    (folder / "paper.toml").write_text(CARD)
    file = folder / "test_toy.py"
    file.write_text(textwrap.dedent(header) + declaration + textwrap.dedent(functions).lstrip("\n"))
    return file
