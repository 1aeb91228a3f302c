"""Judgement: from replicates to a verdict with an interval, a reason and what would have been needed."""

from .clusters import by_cluster
from .designs import Design, Prompts, Seeds, next_look
from .judge import judge
from .multiplicity import Adjusted, adjust
from .summary import EffectSummary, Judgement
from .variants import agrees

__all__ = [
    "Adjusted",
    "Design",
    "EffectSummary",
    "Judgement",
    "Prompts",
    "Seeds",
    "adjust",
    "agrees",
    "by_cluster",
    "judge",
    "next_look",
]
