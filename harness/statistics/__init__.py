"""Judgement: from replicates to a verdict with an interval, a reason and what would have been needed."""

from .clusters import by_cluster
from .correlation import judge_correlation
from .designs import Design, Prompts, Seeds, next_look
from .judge import judge
from .multiplicity import Adjusted, adjust
from .summary import EffectSummary, Judgement
from .times import RestrictedMean, log_rank, restricted_mean
from .variants import agrees

__all__ = [
    "Adjusted",
    "Design",
    "EffectSummary",
    "Judgement",
    "Prompts",
    "RestrictedMean",
    "Seeds",
    "adjust",
    "agrees",
    "by_cluster",
    "judge",
    "judge_correlation",
    "log_rank",
    "next_look",
    "restricted_mean",
]
