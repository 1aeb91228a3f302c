"""Degenerate data: each case has its stated verdict, never a crash, never support through a width of zero.

The table in docs/statistics.md says the same in words.
"""

from __future__ import annotations

import math

import pytest
from claimbench.effect import Value, as_effects
from claimbench.errors import EffectError
from claimbench.region import Region, above, below, rate_above, within
from claimbench.statistics import Design, Prompts, Seeds, judge, judge_correlation
from claimbench.verdict import Verdict
from judgement_helpers import judged

S, R, U = Verdict.SUPPORTED, Verdict.REFUTED, Verdict.INCONCLUSIVE
PROMPTS = Prompts({"effect": 1.0}, most=100)
NOTHING_KNOWN, CENSORED = (-math.inf, math.inf), (2.0, math.inf)

SEEDS_CASES: dict[str, tuple[list[object], Region, Verdict, str]] = {
    "nothing measured": ([], above(0.1), U, "nothing measured"),
    "one seed": ([5.0], above(0.1), U, "fewer than six seeds never decide"),
    "five seeds, all clear": ([5.0] * 5, above(0.1), U, "one more seed needed"),
    "all equal beyond the edge": ([1.0] * 6, above(0.1), S, "all equal, no spread"),
    "all equal on the edge": ([0.1] * 11, above(0.1), U, "all equal, no spread"),
    "all zero on an edge at zero": ([0.0] * 11, above(0.0), U, "exhausted"),
    "all zero, a null": ([0.0] * 6, within(0.1), S, "inside within ±0.1"),
    "the smallest float, an edge at zero": ([5e-324] * 11, above(0.0), U, "exhausted"),
    "ties on the edge": ([0.1] * 3 + [1.0] * 8, above(0.1), U, "exhausted"),
    "two values, half and half": ([0.0, 1.0] * 6, above(0.5), U, "exhausted"),
    "one open end where the finding needs one": ([CENSORED, *[2.0] * 5], above(0.1), S, "to open"),
    "one open end where it does not": ([CENSORED, *[2.0] * 10], below(3.0), S, "inside below 3"),
    "two open ends where it does not": ([CENSORED, CENSORED, *[2.0] * 9], below(3.0), U, "to open"),
    "all censored beyond the edge": ([CENSORED] * 6, above(1.0), S, "interval 2 to open"),
    "all censored before the edge": ([CENSORED] * 11, above(3.0), U, "exhausted"),
    "nothing known of any seed": ([NOTHING_KNOWN] * 11, above(0.1), U, "median unknown"),
    "one wild seed": ([-1e300, *[1.0] * 10], above(0.1), S, "interval 1 to 1"),
    "numbers that overflow": ([1e308, -1e308] * 6, above(0.0), U, "exhausted"),
    "an event in no seed": ([False] * 6, rate_above(0.5), R, "outside rate above 0.5"),
    "an event known of no seed": ([(0, 1)] * 11, rate_above(0.5), U, "exhausted"),
}


@pytest.mark.parametrize("case", SEEDS_CASES)
def test_seeds(case):
    raw, region, verdict, said = SEEDS_CASES[case]
    check(raw, region, Seeds(), verdict, said)


PROMPTS_CASES: dict[str, tuple[list[object], Region, Verdict, str]] = {
    "nothing measured": ([], above(0.1), U, "mean unknown of no prompt batches"),
    "one batch": ([0.9], above(0.1), U, "may decide"),
    "all equal beyond the edge": ([0.9] * 100, above(0.1), S, "inside above 0.1"),
    "all equal on the edge": ([0.1] * 100, above(0.1), U, "exhausted"),
    "all zero on an edge at zero": ([0.0] * 100, above(0.0), U, "exhausted"),
    "all zero, a null": ([0.0] * 100, within(0.3), S, "inside within ±0.3"),
    "all beyond the bound": ([50.0] * 100, above(0.1), S, "inside above 0.1"),
    "from bound to bound": ([1.0, -1.0] * 50, above(0.1), U, "exhausted"),
    "all censored beyond the edge": ([(0.9, math.inf)] * 100, above(0.1), S, "inside above 0.1"),
    "all censored, the finding is below": ([(0.0, math.inf)] * 100, below(0.5), U, "exhausted"),
    "nothing known of any batch": ([NOTHING_KNOWN] * 100, above(0.1), U, "interval -1 to 1"),
    "one wild batch": ([-1e300, *[0.9] * 99], above(0.1), S, "inside above 0.1"),
    "an event in no batch": ([False] * 100, rate_above(0.5), R, "outside rate above 0.5"),
    "an event known of no batch": ([(0, 1)] * 100, rate_above(0.5), U, "interval 0 to 1"),
}


@pytest.mark.parametrize("case", PROMPTS_CASES)
def test_prompts(case):
    raw, region, verdict, said = PROMPTS_CASES[case]
    check(raw, region, PROMPTS, verdict, said)


def check(raw: list[object], region: Region, design: Design, verdict: Verdict, said: str) -> None:
    found = judged(raw, region, design)
    assert found.verdict is verdict and said in found.reason
    assert found.effects[0].low < found.effects[0].high
    assert found.effects[0].to_json()


@pytest.mark.parametrize("raw", [math.nan, math.inf, (math.inf, math.inf), (math.nan, 1.0), None, "1", (2.0, 1.0)])
def test_what_is_no_number_is_an_error_and_never_a_verdict(raw):
    with pytest.raises(EffectError):
        as_effects(raw, {"effect": above(0.1)})


def test_a_single_cluster_decides_nothing():
    found = judge([{"effect": Value(0.9, 0.9)}] * 100, {"effect": above(0.1)}, PROMPTS, ["one"] * 100)
    assert (found.verdict, found.n) == (U, 1) and "one template" in found.reason


@pytest.mark.parametrize("y", [[1.0] * 16, [0.0] * 15 + [1.0], list(range(8)) * 2])
def test_correlations_with_ties_decide_nothing_of_an_order(y):
    found = judge_correlation(list(range(16)), y, above(0.6, unit="correlation"))
    assert found.verdict in (U, R) and found.effects[0].low < found.effects[0].high
