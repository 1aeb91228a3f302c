"""Subjects: causal language models of any origin, families of organisms, loading and validation."""

from .lm import LM, require_layers
from .tokens import Tokens

__all__ = ["LM", "Tokens", "require_layers"]
