"""Judgement: from replicates to a verdict with an interval, a reason and what would have been needed."""

from .designs import Design, Prompts, Seeds, next_look
from .judge import judge
from .summary import EffectSummary, Judgement
from .variants import agrees

__all__ = ["Design", "EffectSummary", "Judgement", "Prompts", "Seeds", "agrees", "judge", "next_look"]
