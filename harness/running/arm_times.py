"""Times of arms over all replicates: survival curves, means up to the budget, and the log-rank test. Shown, never judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..effect import Value
from .observe import numbers, plain


def times_of_arms(title: str, observations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The observation that one of times (`Observations.times`) from each replicate comes to."""
    from ..statistics import log_rank, restricted_mean, survival

    budget, unit = observations[0]["budget"], observations[0]["unit"]
    arms = {name: [Value.from_json(one["times"][name]) for one in observations] for name in observations[0]["times"]}
    rows, curves = [], []
    for name, times in arms.items():
        mean = restricted_mean(times, budget)
        curve = survival(times, budget)
        curves.append({"name": name, "runs": mean.n, **{key: numbers(getattr(curve, key)) for key in ("at", "left", "censored")}})
        rows.append([name, mean.n, mean.events, *(plain(x) for x in (mean.mean, mean.low, mean.high))])
    first, *others = arms
    tests = [f"{first} and {name}: p = {log_rank(arms[first], arms[name]):.2g}" for name in others]
    note = "Shown, not judged: the log-rank test takes the arms of one seed for independent, and the verdict is on paired times."
    return {
        "kind": "survival",
        "title": title,
        "unit": unit,
        "arms": curves,
        "columns": ["arm", "runs", "got there", f"mean {unit} up to {budget:g}", "95 % from", "to"],
        "rows": rows,
        "note": " ".join([*([f"Log-rank test, {'; '.join(tests)}."] if tests else []), note]),
    }
