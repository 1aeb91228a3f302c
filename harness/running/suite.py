"""The suite as a whole: raw and adjusted verdicts side by side, since among many claims some are wrong by chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..verdict import Verdict


@dataclass(frozen=True)
class _Judged:
    verdict: Verdict
    p_value: float | None
    e_value: float | None


def attach_adjusted(results: Sequence[dict[str, Any]]) -> None:
    """Give every judged result of a claim its adjusted verdict over all claims and subjects of the run.

    Controls do not count: their answer is known. What was never judged (NOT_APPLICABLE, INVALID, ERROR) was not asked.
    """
    from ..statistics import adjust

    asked = [result for result in results if counts(result)]
    found = adjust([_Judged(Verdict(one["verdict"]), one["p_value"], one["e_value"]) for one in asked])
    for result, one in zip(asked, found, strict=True):
        result["adjusted"] = {"verdict": one.adjusted.value, "method": one.method, "rate": one.rate, "of": one.of}


def counts(result: Mapping[str, Any]) -> bool:
    """Whether a result is one of those among which chance had its play."""
    judged = result["p_value"] is not None or result["e_value"] is not None
    return judged and result["control"] is None and result["verdict"] in ("SUPPORTED", "REFUTED", "INCONCLUSIVE")
