"""Verdicts as text: one line for each, and a table for the end of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

from . import view, words
from .course import courses
from .results import complete


def one_line(result: Mapping[str, Any]) -> str:
    """One verdict in one line: word, finding, subject, what was measured, where it holds, on how many replicates."""
    said = [f"{words.label(result)}  {result['finding']} on {result['subject']}"]
    if control := result["control"]:
        said.append(f"{control['kind']} control “{control['name']}”, must be {control['expected']}")
    for effect in result["effects"]:
        if effect["estimate"] is None and effect["low"] is None and effect["high"] is None:
            continue
        name = "" if effect["name"] == "effect" else f"{effect['name']} "
        said.append(f"{name}{words.measured(effect)}, holds {effect['region'].get('text', '')}")
    if result["n"]:
        said.append(words.count(result["n"], str(result["replicate_unit"])))
    if result["reason"] and (not result["n"] or result["verdict"] not in ("SUPPORTED", "REFUTED")):
        said.append(" ".join(str(result["reason"]).split()))
    notes = [text for text, true in _notes(result) if true]
    return " · ".join(said) + (f"  [{', '.join(notes)}]" if notes else "")


def _notes(result: Mapping[str, Any]) -> list[tuple[str, bool]]:
    expected = bool(result["expected"]) and not result["unexpected"] and result["verdict"] != "SUPPORTED"
    return [("UNEXPECTED", bool(result["unexpected"])), ("expected", expected), ("UNSOUND", result["sound"] is False)]


def counts_line(document: Mapping[str, Any]) -> str:
    """`4 SUPPORTED, 1 REFUTED · claims: 5 sound, 1 unsound`."""
    report = view.arrange(complete(document))
    verdicts = ", ".join(f"{n} {verdict}" for verdict, n in report.counts.items()) or "no verdicts"
    soundness = ", ".join(f"{n} {name}" for name, n in report.soundness.items() if n)
    return f"{verdicts} · {'claims: ' + soundness if soundness else 'no claims'}"


def _effect(result: Mapping[str, Any]) -> str:
    told = []
    for effect in result["effects"]:
        if effect["estimate"] is None and effect["low"] is None and effect["high"] is None:
            continue
        name = "" if effect["name"] == "effect" else f"{effect['name']}: "
        told.append(f"{name}{words.measured(effect)}\n  holds {effect['region'].get('text', '')}")
    return "\n".join(told)


def _adjusted(result: Mapping[str, Any]) -> str:
    """The verdict over the whole run beside the raw one, with the rate at which it would stand and its evidence."""
    entry = result["adjusted"]
    if not entry:
        return ""
    at = "" if result["verdict"] == "INCONCLUSIVE" else f" at {words.percent(entry['rate'])}"
    return f"{words.LETTERS[str(entry['verdict'])]}{at}\n{words.strength(result)}"


def _controls(result: Mapping[str, Any]) -> str:
    states = [control["ok"] for control in result["controls"]]
    if not states:
        return ""
    return f"{sum(state is True for state in states)}/{len(states)} held" + ("\nUNSOUND" if result["sound"] is False else "")


HEADS = ("verdict", "adjusted", "finding", "measured", "n", "controls")


def terminal_table(document: Mapping[str, Any], width: int | None = None) -> str:
    """The table of verdicts with what was measured beside its region, then a line for each that needs a word.

    Controls are counted in the row of their claim. Plain text without colour, for any terminal and any log. In a `width` that
    is too small for the table each row becomes a few short lines. A remark stays one line, which a log can be searched for.
    """
    report = view.arrange(complete(document))
    rows, remarks = [], []
    for claim in report.claims:
        for result in claim.results:
            notes = [text for text, true in _notes(result) if true and text != "UNSOUND"]
            verdict = "\n".join([words.LETTERS[str(result["verdict"])] + " " + words.label(result), *notes])
            where = f"{claim.finding}\non {result['subject']}"
            rows.append([verdict, _adjusted(result), where, _effect(result), str(result["n"] or ""), _controls(result)])
            if result["verdict"] != "SUPPORTED" or result["unexpected"]:
                remarks.append(f"{words.label(result)}  {claim.finding} on {result['subject']}: {_remark(result)}")
    lines = []
    if rows:
        table = tabulate(rows, HEADS, "simple", disable_numparse=True)
        if width is None or max(map(len, table.splitlines())) <= width:
            lines.append(table)
        else:
            lines += [line for row in rows for line in _block(row, width)]
    if remarks:
        lines += ["", *remarks]
    for claim in report.claims:
        for mark in claim.marks:
            if mark["ok"] is False:
                found = mark["verdict"] or "nothing"
                lines.append(f"UNSOUND  {claim.finding}: control {mark['name']} expected {mark['expected']}, found {found}")
    lines += [*_courses(report), "", counts_line(document)]
    if document.get("missing"):
        lines.append(f"not measured: {words.count(len(document['missing']), 'item')}; the same command goes on from here")
    return "\n".join(lines).lstrip("\n")


def _block(row: Sequence[str], width: int) -> list[str]:
    """A row of the table as lines one below the other."""
    verdict, adjusted, where, measured, n, controls = row
    effects = measured.replace("\n  holds", "\n    holds").split("\n") if measured else []
    told = {"n": n, "controls": controls, "adjusted": adjusted}
    said = "; ".join(f"{name} {_joined(value)}" for name, value in told.items() if value)
    below = [one for one in [*effects, said] if one]
    finding, place = where.split("\n", 1)
    title = f"{_joined(verdict)}  {finding}"
    return [f"{title} {place}", *_indented(below)] if len(title) + len(place) < width else [title, *_indented([place, *below])]


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _joined(cell: str) -> str:
    return ", ".join(cell.split("\n"))


def _courses(report: view.Report) -> list[str]:
    """Two lines for each finding over the steps of a series: verdicts as letters, and where they turn."""
    lines = []
    for series, listed in courses(report).items():
        lines += ["", f"over training, {series}: steps {', '.join(map(str, listed[0].steps))}"]
        for course in listed:
            lines += [f"{course.letters}  {course.name}", f"  {course.said}"]
    return lines


def _remark(result: Mapping[str, Any]) -> str:
    said = [str(result["reason"]).rstrip(".") or "no reason given"]
    if result["verdict"] == "INCONCLUSIVE":
        said += [sentence.rstrip(".") for sentence in words.could_have_seen(result)]
    if result["expected"] and not result["unexpected"]:
        said.append(f"expected: {str(result['expected']['reason']).rstrip('.')}")
    return ". ".join(said)
