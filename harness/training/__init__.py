"""Recipes, data streams and the trainer. Importing a `data_*` module registers its streams."""

from . import data_copying, data_labels, data_natural, data_reversal, data_rules
from .data_labels import label_pairs, label_rows
from .data_natural import natural_text
from .data_rules import rule_rows
from .networks import live_heads
from .recipe import Recipe, Stage, Stop
from .recorded import load, record, recorded_curve
from .streams import Batch, data_stream, stream, streams
from .trainer import Run, check, disagreements, evaluate, train

__all__ = [
    "Batch",
    "Recipe",
    "Run",
    "Stage",
    "Stop",
    "check",
    "data_copying",
    "data_labels",
    "data_natural",
    "data_reversal",
    "data_rules",
    "data_stream",
    "disagreements",
    "evaluate",
    "label_pairs",
    "label_rows",
    "live_heads",
    "load",
    "natural_text",
    "record",
    "recorded_curve",
    "rule_rows",
    "stream",
    "streams",
    "train",
]
