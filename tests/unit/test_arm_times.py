"""Times of arms in a result: survival curves and a table over all replicates, beside the judged log ratios."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from claimbench import above
from claimbench.effect import Value
from claimbench.measures.effects import log_time_ratio
from claimbench.running.arm_times import times_of_arms
from claimbench.running.collecting import claims_root, load_all_organisms, load_claims
from claimbench.running.observe import Observations
from claimbench.statistics import log_rank, restricted_mean

from running_fakes import declared, fake_family, item, level, session

assert level  # a step of the claims that are declared here
BUDGET = 100.0


def told(*times: dict[str, Value]) -> list[dict[str, Any]]:
    found = []
    for one in times:
        observe = Observations()
        observe.times("Steps to 90 %", one, budget=BUDGET, unit="steps")
        found.append(observe.found["Steps to 90 %"])
    return found


def test_means_up_to_the_budget_and_the_test_are_those_of_the_statistics() -> None:
    slow = [Value(40, 50), Value(60, 70), Value(BUDGET, math.inf)]
    fast = [Value(9, 10), Value(19, 20), Value(14, 15)]
    table = times_of_arms("Steps to 90 %", told(*({"slow": a, "fast": b} for a, b in zip(slow, fast, strict=True))))
    mean = restricted_mean(slow, BUDGET)
    assert table["rows"][0] == ["slow", 3, 2, *(pytest.approx(x, rel=1e-4) for x in (mean.mean, mean.low, mean.high))]
    assert table["rows"][1][:4] == ["fast", 3, 3, 15.0]
    assert table["columns"][3] == "mean steps up to 100"
    assert table["arms"][0] == {"name": "slow", "runs": 3, "at": [50, 70], "left": [0.66667, 0.33333], "censored": [BUDGET]}
    assert table["note"].startswith(f"Log-rank test, slow and fast: p = {log_rank(slow, fast):.2g}. Shown, not judged")


def test_one_arm_in_one_replicate_has_neither_interval_nor_test() -> None:
    table = times_of_arms("Steps to 90 %", told({"alone": Value(4, 5)}))
    assert table["rows"] == [["alone", 1, 1, 5.0, None, None]] and table["note"].startswith("Shown, not judged")


def later(level: float, rng: Any, observe: Any) -> Value:
    """Log of two times."""
    slow, fast = Value(10 * level, 10 * level + 1), Value(2.0, 3.0 + float(rng.random()))
    observe.times("Steps", {"slow": slow, "fast": fast}, budget=BUDGET, unit="steps")
    return log_time_ratio(slow, fast, budget=BUDGET)


def test_a_result_holds_one_table_for_all_its_replicates(tmp_path: Path) -> None:
    fake_family("fake", [1.0, 2.0])
    result = session(tmp_path).run(item(declared(later, holds=above(0.0, unit="log ratio"))))
    table = result["observations"]["Steps"]
    assert result["verdict"] == "SUPPORTED" and table["kind"] == "survival"
    assert [row[:3] for row in table["rows"]] == [["slow", 6, 6], ["fast", 6, 6]]


def test_every_claim_on_the_log_of_steps_shows_its_times() -> None:
    load_all_organisms([], claims_root().parent)
    silent = []
    for name, claim in load_claims([claims_root()], claims_root().parent).items():
        shown = [claim.function, *(step.function for step in claim.shows)]
        if any(region.unit == "log steps" for region in claim.holds.values()):
            silent += [name] * all("times" not in function.__code__.co_names for function in shown)
    assert not silent, f"no survival curves: {', '.join(silent)}; see docs/reports.md, Pictures"
