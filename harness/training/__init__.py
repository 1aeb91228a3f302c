"""Recipes, networks, tasks and the trainer. Importing a `data_*` module registers its streams."""

from __future__ import annotations

from . import adopt, amsgrad, data_copying, data_labels, data_natural, data_reversal, data_rules
from .clamps import clamp, lm_of, output_replaced
from .data_labels import label_pairs, label_rows
from .data_natural import natural_text
from .data_rules import rule_rows
from .declared import NamedRecipe, declare_recipe, recipes, resolved
from .functional_net import functional
from .functions import functions_digest, named_functions
from .networks import Network, live_heads, network, random_stream
from .optimisers import optimiser
from .preparing import preparation
from .probes import probe
from .recipe import Recipe, Stage, Stop
from .recorded import load, load_checkpoint, load_initial, record, recorded_curve
from .replay import first_losses, parted
from .resume import Saved
from .streams import Batch, data_stream, stream, streams
from .tasks import task
from .times import log_ratio, metrics_of, steps_to
from .tokens import token_logits
from .trainer import Run, Together, check, disagreements, evaluate, train, train_seeds, train_together
from .yours import Yours

__all__ = [
    "Batch",
    "NamedRecipe",
    "Network",
    "Recipe",
    "Run",
    "Saved",
    "Stage",
    "Stop",
    "Together",
    "Yours",
    "adopt",
    "amsgrad",
    "check",
    "clamp",
    "data_copying",
    "data_labels",
    "data_natural",
    "data_reversal",
    "data_rules",
    "data_stream",
    "declare_recipe",
    "disagreements",
    "evaluate",
    "first_losses",
    "functional",
    "functions_digest",
    "label_pairs",
    "label_rows",
    "live_heads",
    "lm_of",
    "load",
    "load_checkpoint",
    "load_initial",
    "log_ratio",
    "metrics_of",
    "named_functions",
    "natural_text",
    "network",
    "optimiser",
    "output_replaced",
    "parted",
    "preparation",
    "probe",
    "random_stream",
    "recipes",
    "record",
    "recorded_curve",
    "resolved",
    "rule_rows",
    "steps_to",
    "stream",
    "streams",
    "task",
    "token_logits",
    "train",
    "train_seeds",
    "train_together",
]
