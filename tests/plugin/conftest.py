"""Pytest inside pytest, in a folder of someone who wrote one claim file and one organism."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from claimbench.running.collecting import load_all_organisms
from lab import Lab

# An inner run in this process forgets what it imported; what cannot be imported twice, or slowly, is imported before.
for _name in (
    "claimbench.reporting.html",
    "claimbench.reporting.markdown",
    "claimbench.running.plan",
    "claimbench.running.session",
    "claimbench.statistics",
    "claimbench.subjects.loading",
    "hypothesis",
    "jsonschema_rs",
    "scipy.special",
    "scipy.stats",
    "torch",
):
    importlib.import_module(_name)
load_all_organisms([], Path(__file__).parent)


@pytest.fixture
def lab(pytester: pytest.Pytester) -> Lab:
    return Lab(pytester)
