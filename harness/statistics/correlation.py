"""A correlation across runs: one number for all of them, so it needs many runs and an interval of its own.

Kendall's tau: the probability that of two runs the one with more of x also has more of y, minus the probability of the
opposite. It needs no scale and no shape, and one wild run moves it little. The interval is Student's, of the jackknife
on Fisher's scale, with fewer degrees of freedom than is usual and never narrower than one run's weight: so it covers
at 16 runs for normal, skewed, heavy-tailed, bimodal, discrete and merely dependent pairs, where the interval of
Bonett and Wright for Spearman's does not (docs/statistics.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import EffectError
from ..region import Region
from ..verdict import Verdict
from .betting import Array
from .designs import LEVEL
from .summary import EffectSummary, Judgement
from .wording import count, sentence

if TYPE_CHECKING:
    from scipy import special
else:
    from ..lazy import LazyModule

    special = LazyModule("scipy.special")

#: Fewer runs are shown and never decide.
FEWEST_RUNS = 16


def judge_correlation(
    x: Sequence[float], y: Sequence[float], region: Region, *, runs: int = FEWEST_RUNS, name: str = "correlation"
) -> Judgement:
    """The verdict on the correlation of x and y over the first `runs` runs, in index order: one look, surplus ignored.

    Raises `EffectError` for values that are not finite, of different number, or a region on another scale or of rates.
    """
    one, other = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if len(one) != len(other) or not (np.isfinite(one).all() and np.isfinite(other).all()):
        raise EffectError(f"a correlation needs two finite numbers a run, found {len(one)} and {len(other)}")
    if region.of == "rate" or region.scale != "linear":
        raise EffectError(f"a correlation is judged on the linear scale, its region is {region} on {region.scale}")
    have, least = min(len(one), runs), max(runs, FEWEST_RUNS)
    one, other = one[:have], other[:have]
    spread = have > 2 and len(set(one)) > 1 and len(set(other)) > 1
    tau, error, freedom = _jackknife(one, other) if spread else (0.0, math.inf, 1)
    margin = error * float(special.stdtrit(freedom, 0.5 + LEVEL / 2))
    near, far = _centres(tau, have) if spread else (0.0, 0.0)
    low = -1.0 if tau == -1 else math.tanh(min(near, far) - margin)
    high = 1.0 if tau == 1 else math.tanh(max(near, far) + margin)
    effect = EffectSummary(
        name, tau if spread else None, low, high, LEVEL, region.unit, region, "jackknife of Kendall's tau, t interval"
    )
    reason = sentence(effect, "Kendall's tau", count(have, "run"), False)
    if have < least:
        needed = None if runs < FEWEST_RUNS else least - have
        ending = f"fewer than {count(least, 'run')} never decide"
        decided = runs < FEWEST_RUNS and have == runs
        return Judgement(Verdict.INCONCLUSIVE, f"{reason}; {ending}", (effect,), have, decided, None, needed, p_value=1.0)
    verdict = (
        Verdict.SUPPORTED if region.contains(low, high) else Verdict.REFUTED if region.disjoint(low, high) else Verdict.INCONCLUSIVE
    )
    if verdict is Verdict.INCONCLUSIVE:
        why = "the schedule is exhausted" if spread else "one of the two is the same in all runs"
        detectable = {name: max(tau - low, high - tau)} if spread else None
        return Judgement(verdict, f"{reason}; {why}", (effect,), have, True, detectable, None, p_value=1.0)
    tails = [_tail(near, edge, error, freedom) for edge in region.edges]
    p_value = max(tails) if verdict is Verdict.SUPPORTED else len(tails) * min(tails)
    return Judgement(verdict, reason, (effect,), have, True, p_value=p_value)


def _jackknife(x: Array, y: Array) -> tuple[float, float, int]:
    """Tau, the standard error of its Fisher transform, and degrees of freedom; of three or more runs."""
    n = len(x)
    agreement = np.sign(x[:, None] - x) * np.sign(y[:, None] - y)
    each = agreement.sum(axis=1) / (n - 1)  # of one run with all others
    tau = float(each.mean())
    # leaving out run i changes tau by 2 (tau - each_i) / (n - 2)
    spread = math.sqrt((n - 1) / n * float(((each - tau) ** 2).sum()) * 4 / (n - 2) ** 2)
    near = math.tanh(_centres(tau, n)[0])
    return tau, max(spread, 1 / n) / (1 - near**2), max(1, n // 2 - 3)


def _centres(tau: float, n: int) -> tuple[float, float]:
    """Fisher's transform of tau: for the end towards zero held one run short of one, for the other end one pair."""
    one_run, one_pair = 1 - 1 / n, 1 - 2 / n**2
    return math.atanh(min(one_run, max(-one_run, tau))), math.atanh(min(one_pair, max(-one_pair, tau)))


def _tail(near: float, edge: float, error: float, freedom: int) -> float:
    if abs(edge) >= 1:
        return 0.0
    return float(special.stdtr(freedom, -abs(near - math.atanh(edge)) / error))
