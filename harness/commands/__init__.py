"""Words of the command line: help in sections, and completion for shells. What commands do lies in the rooms they belong to."""

from __future__ import annotations

from .parser import Add, Commands, Parser

__all__ = ["Add", "Commands", "Parser"]
