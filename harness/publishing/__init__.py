"""Publishing: what of a report goes elsewhere. It reads results and never measures or judges.

A badge (SVG), tables for a paper (LaTeX, CSV), a claim card as a page of its own, and a section of a model card.
"""

from __future__ import annotations

from .badge import badge
from .card import cards
from .model_card import eval_results, model_card
from .selection import select
from .tables import csv, latex

__all__ = ["badge", "cards", "csv", "eval_results", "latex", "model_card", "select"]
