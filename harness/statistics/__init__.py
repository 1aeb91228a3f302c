"""Judgement: from replicates to a verdict with an interval, a reason and what would have been needed."""

from .calibration import SupportRate, at_the_edge, coins_at_the_edge, deep_inside, direct, resampled, spread, supportable
from .clusters import by_cluster
from .correlation import judge_correlation
from .designs import Design, Prompts, Seeds, next_look
from .judge import judge
from .multiplicity import Adjusted, adjust
from .power import Plan, default_distance, plan
from .summary import EffectSummary, Judgement
from .times import RestrictedMean, Survival, log_rank, restricted_mean, survival
from .variants import agrees

__all__ = [
    "Adjusted",
    "Design",
    "EffectSummary",
    "Judgement",
    "Plan",
    "Prompts",
    "RestrictedMean",
    "Seeds",
    "SupportRate",
    "Survival",
    "adjust",
    "agrees",
    "at_the_edge",
    "by_cluster",
    "coins_at_the_edge",
    "deep_inside",
    "default_distance",
    "direct",
    "judge",
    "judge_correlation",
    "log_rank",
    "next_look",
    "plan",
    "resampled",
    "restricted_mean",
    "spread",
    "supportable",
    "survival",
]
