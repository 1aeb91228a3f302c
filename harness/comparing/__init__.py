"""Comparing: two results documents, verdict by verdict and effect by effect. It reads results and never measures or judges."""

from __future__ import annotations

from .compare import SCHEMA, Baseline, compare, parse_match
from .text import counts_line, markdown, one_line, rows, table

__all__ = ["SCHEMA", "Baseline", "compare", "counts_line", "markdown", "one_line", "parse_match", "rows", "table"]
