"""What the change of a verdict is called: a regression, a repair, or a change that is neither."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..reporting import words

Result = Mapping[str, Any]

MOST_HEADS = 8
"""Heads that are named one by one."""
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
    return [*said, *_preconditions(before, after), *_heads(before, after)]


def _preconditions(before: Result, after: Result) -> Iterator[str]:
    """Preconditions that were met and are not, or the reverse, with both values."""
    then = {condition["name"]: condition for condition in before["preconditions"]}
    for now in after["preconditions"]:
        was = then.get(now["name"])
        if was is not None and None not in (was["passed"], now["passed"]) and was["passed"] != now["passed"]:
            values = [words.with_unit(_value(one["value"]), str(one["unit"])) for one in (was, now)]
            yield f"{words.need(now)} (before {values[0]}, now {values[1]})"


def _heads(before: Result, after: Result) -> Iterator[str]:
    """The heads that a map marked, with their values then and now; the strongest of them where they are many."""
    for title, then in before["observations"].items():
        now = after["observations"].get(title)
        if now is None or {then["kind"], now["kind"]} != {"heads"} or not then.get("marked"):
            continue
        marked = sorted({(int(layer), int(head)) for layer, head in then["marked"]}, key=lambda at: -(_cell(then, at) or 0))
        told = [
            f"{at[0]}.{at[1]} {words.number(_cell(then, at), 2)} -> {words.number(_cell(now, at), 2)}" for at in marked[:MOST_HEADS]
        ]
        more = f" and {len(marked) - MOST_HEADS} more" if len(marked) > MOST_HEADS else ""
        yield f"heads ringed before in “{title}”: {', '.join(told)}{more}"


def _cell(observed: Mapping[str, Any], at: tuple[int, int]) -> float | None:
    try:
        found: float | None = observed["values"][at[0]][at[1]]
    except (IndexError, TypeError):
        return None
    return found


def _value(value: Any) -> str:
    return words.number(value) if isinstance(value, int | float) or value is None else str(value)


def _hash(result: Result) -> str | None:
    return (result["lock"] or {}).get("hash")
