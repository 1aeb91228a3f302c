"""A comparison as text: for a terminal, and as Markdown for a pull request."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from ..reporting import words
from ..reporting.markdown import escape
from .changes import KINDS, MEANINGS

Change = Mapping[str, Any]

_QUIET = ("same", "new", "gone")


def one_line(change: Change) -> str:
    """`SUPPORTED -> REFUTED  paper/finding on gpt2 (was: step-3000), control “permuted”`."""
    verdicts = [_word(change[side]) for side in ("before", "after") if change[side]]
    return f"{' -> '.join(verdicts)}  {_place(change)}"


def counts_line(comparison: Mapping[str, Any]) -> str:
    """`1 regression, 2 repairs, 5 the same`."""
    return ", ".join(_count(kind, n) for kind, n in comparison["counts"].items()) or "nothing to compare"


def table(comparison: Mapping[str, Any], width: int = 80) -> str:
    """The whole comparison as plain text, lines at most `width` characters where words allow it."""
    lines = [f"before: {_told(comparison['before'])}", f"after:  {_told(comparison['after'])}"]
    lines += _wrapped([f"note: {note}" for note in comparison["notes"]], width)
    for kind in KINDS:
        listed = [change for change in comparison["changes"] if change["kind"] == kind and (kind != "same" or _moved(change))]
        if not listed:
            continue
        title = "the same verdict, and the effect moved" if kind == "same" else f"{_name(kind, len(listed))}: {MEANINGS[kind]}"
        lines += ["", title]
        for change in listed:
            lines.append(f"  {one_line(change)}")
            lines += _wrapped(_details(change), width, "      ")
    lines += ["", counts_line(comparison)]
    return "\n".join(lines)


def rows(comparison: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What deserves a line of a table: every change on both sides, and what kept its verdict while an effect moved."""
    return [
        {
            "kind": change["kind"],
            "what": "effect moved" if change["kind"] == "same" else change["kind"],
            "finding": change["finding"],
            "claim": change["claim"],
            "subject": _subject(change),
            "now": change["subject"],
            "control": change["control"],
            "before": _word(change["before"]),
            "after": _word(change["after"]),
            "verdicts": (change["before"], change["after"]),
            "details": _details(change),
        }
        for change in comparison["changes"]
        if change["kind"] not in _QUIET or _moved(change)
    ]


def markdown(comparison: Mapping[str, Any]) -> str:
    """The comparison as a section of Markdown, level 3; what is the same is counted and not listed."""
    lines = ["### Compared with the baseline", "", f"**{escape(counts_line(comparison))}**, {escape(_told(comparison['before']))}."]
    lines += ["", *(f"- {escape(note)}" for note in comparison["notes"])] if comparison["notes"] else []
    listed = rows(comparison)
    if listed:
        lines += ["", "| change | finding | subject | before | after | what is known |", "| --- | --- | --- | --- | --- | --- |"]
    for row in listed:
        shown = f"**{row['what']}**" if row["kind"] == "regression" else row["what"]
        control = f", control “{escape(row['control'])}”" if row["control"] else ""
        cells = [shown, escape(row["finding"]) + control, escape(row["subject"]), row["before"], row["after"]]
        lines.append("| " + " | ".join([*cells, escape("; ".join(row["details"]))]) + " |")
    for kind in ("new", "gone"):
        names = [_place(change) for change in comparison["changes"] if change["kind"] == kind]
        if names:
            lines += [
                "",
                f"<details><summary>{_count(kind, len(names))}</summary>",
                "",
                *(f"- {escape(n)}" for n in names),
                "",
                "</details>",
            ]
    return "\n".join(lines)


def difference(effect: Mapping[str, Any]) -> str:
    """`effect fell: −0.31 [−0.4, −0.22] nat in 6 pairs`, of an entry of a paired comparison."""
    name = str(effect["name"])
    how = {"rose": "rose", "fell": "fell"}.get(effect["direction"], "not shown to have moved")
    if effect["method"] == "identical replicates":
        return f"{name}: the same in all {effect['n']} pairs"
    if effect["low"] is None and effect["high"] is None:
        return f"{name} {how}: {_amount(effect, words.number(effect['estimate']))} ({effect['method']})"
    shown = f"{words.number(effect['estimate'])} {words.interval(effect['low'], effect['high'])}"
    return f"{name} {how}: {_amount(effect, shown)} in {effect['n']} pairs ({effect['method']})"


def _amount(effect: Mapping[str, Any], shown: str) -> str:
    if effect["scale"] == "log":
        return f"times {shown}"
    unit = {"logit": "logit"}.get(effect["scale"], words.unit_of(effect))
    return words.with_unit(shown, unit)


def _details(change: Change) -> list[str]:
    """Why the verdict is what it is now, where it is no longer what it was; what else differs; how effects moved."""
    why = [" ".join(str(change["reason"]).split())] if change["kind"] == "regression" and change["reason"] else []
    return [*why, *change["remarks"], *map(difference, change["effects"])]


def _moved(change: Change) -> bool:
    return any(effect["direction"] for effect in change["effects"])


def _word(verdict: str | None) -> str:
    return "–" if verdict is None else verdict.replace("_", " ")


def _place(change: Change) -> str:
    name = str(change["claim"]).rpartition("::")[2]
    control = f", control “{change['control']}”" if change["control"] else ""
    return f"{change['finding']} ({name}) on {_subject(change)}{control}"


def _subject(change: Change) -> str:
    return str(change["subject"]) + (f" (was {change['was']})" if change["was"] else "")


def _told(about: Mapping[str, Any]) -> str:
    models = f", {words.count(len(about['models']), 'model')}: {', '.join(about['models'][:3])}" if about["models"] else ""
    more = " ..." if len(about["models"]) > 3 else ""
    made = str(about["created"]).replace("T", " ").split(".")[0].removesuffix("Z")
    return f"{made}, profile {about['profile']}, seed {about['seed']}{models}{more}"


def _name(kind: str, n: int) -> str:
    return f"{kind} ({n})"


def _count(kind: str, n: int) -> str:
    plain = {"same": "the same", "undecided": "undecided", "other": "otherwise", "new": "new", "gone": "gone"}
    return f"{n} {plain[kind]}" if kind in plain else words.count(n, kind)


def _wrapped(lines: list[str], width: int, indent: str = "") -> Iterator[str]:
    for line in lines:
        yield from textwrap.wrap(
            line, max(width, 40), initial_indent=indent, subsequent_indent=indent + "  ",
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
