"""What the change of a verdict is called: a regression, a repair, or a change that is neither."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Result = Mapping[str, Any]

#: How much is known in favour of a finding: it holds; it was measured and does not, or is open; nothing was measured.
_RANK = {"SUPPORTED": 2, "REFUTED": 1, "INCONCLUSIVE": 1, "NOT_APPLICABLE": 1, "INVALID": 0, "ERROR": 0}
#: Of a control: as it must be, nothing can be said, broken.
_HELD = {True: 2, None: 1, False: 0}

KINDS = ("regression", "repair", "undecided", "other", "new", "gone", "same")
"""In the order in which they are told.

regression: the finding held and does not any more, what was measured fails now, or a control broke.
repair: the reverse. undecided: it held, and fewer replicates than then leave it open. other: between verdicts of one rank,
such as REFUTED and NOT_APPLICABLE. new, gone: on one side only.
"""

MEANINGS = {
    "regression": "it held and does not any more, cannot be measured any more, or a control broke",
    "repair": "it holds now, can be measured again, or a control holds again",
    "undecided": "it held, and fewer replicates than then leave it open",
    "other": "another verdict; it held neither then nor now",
    "new": "not in the baseline",
    "gone": "in the baseline only",
    "same": "the same verdict",
}


def kind(before: Result, after: Result) -> str:
    """The kind of change between two results of one key, one of `KINDS`; controls change by coming out as they must or not."""
    if before["control"] and after["control"]:
        return _by_rank(_HELD[before["control"]["ok"]], _HELD[after["control"]["ok"]], before, after)
    found = _by_rank(_RANK[before["verdict"]], _RANK[after["verdict"]], before, after)
    if (
        found == "regression"
        and after["verdict"] == "INCONCLUSIVE"
        and before["verdict"] == "SUPPORTED"
        and after["n"] < before["n"]
    ):
        return "undecided"
    return found


def _by_rank(then: int, now: int, before: Result, after: Result) -> str:
    if then != now:
        return "regression" if now < then else "repair"
    return "same" if before["verdict"] == after["verdict"] else "other"


def remarks(before: Result, after: Result) -> list[str]:
    """What else differs between two results of one key and may explain a change; each a short phrase."""
    said = []
    regions = [{e["name"]: e["region"].get("text", "") for e in one["effects"]} for one in (before, after)]
    for name in [name for name in regions[0] if name in regions[1] and regions[0][name] != regions[1][name]]:
        said.append(f"the region changed: {regions[0][name]}, now {regions[1][name]}")
    if _hash(before) != _hash(after) and all(map(_hash, (before, after))):
        said.append("region or protocol was amended in between")
    if before["code_digest"] != after["code_digest"]:
        said.append("the claim's code changed")
    if before["subject_digest"] != after["subject_digest"] and all(one["subject_digest"] for one in (before, after)):
        said.append("other weights" if after["subject_kind"] == "model" else "other seeds or weights were used")
    if before["sound"] and after["sound"] is False:
        said.append("UNSOUND now, and was sound")
    if before["n"] != after["n"] and before["n"] and after["n"]:
        said.append(f"n = {after['n']}, was {before['n']}")
    return said


def _hash(result: Result) -> str | None:
    return (result["lock"] or {}).get("hash")
