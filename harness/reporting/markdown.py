"""`summary.md`: the report in the size of a pull request's comment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import view, words
from .course import courses
from .document import Document

SPECIAL = str.maketrans({letter: "\\" + letter for letter in "\\`*_[]|~#"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"})
LISTED = 100
"""Lines of a list that a comment has room for; GitHub takes 65,536 characters."""
MANY = 6
"""More subjects than this are listed below each other instead of in columns."""


def escape(text: object) -> str:
    """Any text as one line of Markdown that shows itself."""
    return " ".join(str(text).translate(SPECIAL).split())


def _cell(result: Mapping[str, Any] | None) -> str:
    if result is None:
        return ""
    notes = []
    if result["unexpected"]:
        notes.append("**unexpected**")
    elif result["expected"] and result["verdict"] != "SUPPORTED":
        notes.append("expected")
    shown = f"**{result['verdict']}**" if result["verdict"] == "SUPPORTED" else words.label(result)
    return " ".join([shown.replace("_", " "), *(f"({note})" for note in notes)])


def _controls(claim: view.ClaimView) -> str:
    marks = claim.marks
    if not marks:
        return "none run"
    held = f"{sum(mark['ok'] is True for mark in marks)} of {len(marks)}"
    return f"**UNSOUND** ({held})" if claim.sound is False else held


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _measured(result: Mapping[str, Any]) -> str:
    told = []
    for effect in result["effects"]:
        if effect["estimate"] is None and effect["low"] is None and effect["high"] is None:
            continue
        name = "" if effect["name"] == "effect" else escape(effect["name"]) + ": "
        told.append(f"{name}{escape(words.measured(effect))} (holds {escape(effect['region'].get('text', ''))})")
    return "; ".join(told) or "–"


def _adjusted(result: Mapping[str, Any]) -> str:
    entry = result["adjusted"]
    if not entry:
        return ""
    at = f" at {words.percent(entry['rate'])}" if result["verdict"] != "INCONCLUSIVE" else ""
    return escape(f"{entry['verdict']}{at}; {words.strength(result)}")


def summary(document: Document, comparison: Mapping[str, Any] | None = None) -> str:
    """The whole summary of a completed document as GitHub-flavoured Markdown, with what a comparison to a baseline found."""
    report = view.arrange(document)
    lines = ["## claimbench", ""]
    counts = ", ".join(f"**{n} {verdict.replace('_', ' ')}**" for verdict, n in report.counts.items())
    lines.append(f"{counts or 'No claim was judged'} on {words.count(len(report.claims), 'claim')}.")
    sound = report.soundness
    told = f"Controls: {words.count(sound['sound'], 'claim')} sound"
    told += f", **{sound['unsound']} unsound**" if sound["unsound"] else ""
    told += f", {sound['unsettled']} unsettled" if sound["unsettled"] else ""
    rec = report.recorded
    lines.append(f"{told}. {rec['now']} made now, {rec['recorded']} on recorded weights.")
    took = words.duration(report.cost["seconds"])
    lines.append(f"Profile {escape(document['profile'])}, seed {document['seed']}, {took} of measuring.")
    if document["missing"] or not document["complete"]:
        lines += ["", f"> **Not complete:** {words.count(len(document['missing']), 'item')} not measured."]
    if comparison is not None:
        from ..comparing import markdown

        lines += ["", markdown(comparison)]
    if report.look_first:
        lines += ["", "### Look at these first", ""]
        for item in report.look_first[:LISTED]:
            where = f" on {escape(item['subject'])}" if item["subject"] else ""
            lines.append(f"- **{item['kind'].lower()}** {escape(item['name'])}{where}: {escape(item['text'])}")
        lines += _more(len(report.look_first))
    if report.claims:
        lines += ["", "### Findings by subject", ""]
        lines += _columns(report) if len(report.subjects) <= MANY else _list(report)
        lines += _courses(report)
        lines += ["", "<details><summary>What was measured</summary>", ""]
        lines += [_row(["finding", "subject", "evidence", "measured", "n", "adjusted", "why"]), _row(["---"] * 7)]
        listed = [(claim, result) for claim in report.claims for result in claim.results]
        for claim, result in listed[:LISTED]:
            why = [str(result["reason"])]
            if result["verdict"] == "INCONCLUSIVE":
                why += words.could_have_seen(result)
            places = [escape(claim.finding), escape(result["subject"]), str(result["evidence"])]
            lines.append(_row([*places, _measured(result), str(result["n"] or ""), _adjusted(result), escape(" ".join(why))]))
        lines += [*_more(len(listed)), "", "</details>"]
    return "\n".join(lines) + "\n"


def _courses(report: view.Report) -> list[str]:
    lines = []
    for series, listed in courses(report).items():
        lines += ["", f"### Over training: {escape(series)}", "", f"At steps {', '.join(map(str, listed[0].steps))}:", ""]
        for course in listed:
            lines.append(f"- `{course.letters}` {escape(course.name)}: {escape(course.said)}")
    return lines


def _columns(report: view.Report) -> list[str]:
    names = [escape(name) for name, _ in report.subjects]
    lines = [_row(["finding", *names, "controls as expected"]), _row(["---"] * (len(names) + 2))]
    for claim in report.claims:
        cells = [_cell(claim.on(name)) for name, _ in report.subjects]
        lines.append(_row([escape(claim.finding), *cells, _controls(claim)]))
    return lines


def _list(report: view.Report) -> list[str]:
    lines = [_row(["finding", "subject", "verdict", "controls as expected"]), _row(["---"] * 4)]
    listed = [(claim, result) for claim in report.claims for result in claim.results]
    for claim, result in listed[:LISTED]:
        lines.append(_row([escape(claim.finding), escape(result["subject"]), _cell(result), _controls(claim)]))
    return lines + _more(len(listed))


def _more(n: int) -> list[str]:
    """A line on what a list leaves out."""
    return ["", f"And {words.count(n - LISTED, 'more', 'more')}: the report has all of them."] if n > LISTED else []
