"""Pytest inside pytest, in a folder of someone who wrote one claim file and one organism."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

# An inner run in this process forgets what it imported; what cannot be imported twice, or slowly, is imported before.
import claimbench.reporting.html
import claimbench.reporting.markdown
import claimbench.running.plan
import claimbench.running.session
import claimbench.statistics
import claimbench.subjects.loading
import hypothesis
import jsonschema
import scipy.special
import scipy.stats
import torch  # noqa: F401
from claimbench.running.collecting import load_all_organisms
from lab import Lab

load_all_organisms([], Path(__file__).parent)


@pytest.fixture
def lab(pytester: pytest.Pytester) -> Lab:
    return Lab(pytester)
