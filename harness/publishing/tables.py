"""Tables for a paper: LaTeX for the page, CSV for whoever goes on computing."""

from __future__ import annotations

import csv as lines_of
import io
from collections.abc import Iterator, Mapping
from typing import Any

from tabulate import tabulate

from ..reporting import view, words

HEADS = ("finding", "subject", "verdict", "effect", "95\\,\\% interval", "holds", "n")

COLUMNS = (
    *("finding", "claim", "paper", "title", "subject", "subject_kind", "evidence", "verdict", "expected", "sound"),
    *("effect", "estimate", "low", "high", "level", "unit", "region_low", "region_high", "n", "replicate_unit"),
    *("p_value", "e_value", "adjusted", "profile", "subject_digest", "code_digest", "measured_at"),
)

_SPECIAL = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    **{
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
    },
    **{
        "|": r"\textbar{}",
        '"': "''",
        "−": "$-$",
        "∞": r"$\infty$",
        "±": r"$\pm$",
        "≥": r"$\geq$",
        "≤": r"$\leq$",
        "×": r"$\times$",
    },
    **{"–": "--", "\u202f": r"\,", "\u2011": "-", "β": r"$\beta$", "“": "``", "”": "''", "’": "'"},
}


def latex(document: Mapping[str, Any]) -> str:
    """A table of verdicts as LaTeX with booktabs: a row for each judged effect; a dagger marks claims that are unsound."""
    report = view.arrange(document)
    rows = []
    for claim in report.claims:
        for result in claim.results:
            for number, effect in enumerate(result["effects"] or [None]):
                rows.append(_row(claim, result, effect, number == 0))
    text = tabulate(rows, [_bold(head) for head in HEADS], "latex_raw", disable_numparse=True)
    first, second, last = (rf"\{name}rule" for name in ("top", "mid", "bottom"))
    for rule in (first, second, last):
        text = text.replace(r"\hline", rule, 1)
    made = f"% claimbench {document['claimbench']}, profile {document['profile']}, seed {document['seed']}, {document['created']}"
    unsound = "\n% $\\dagger$: a control of this claim did not come out as it must" if report.soundness["unsound"] else ""
    return f"{_comment(made)}; \\usepackage{{booktabs}}{unsound}\n{text}\n"


def _row(claim: view.ClaimView, result: view.Result, effect: Mapping[str, Any] | None, first: bool) -> list[str]:
    verdict = escape(words.label(result).lower()) + (r"$^\dagger$" if claim.sound is False else "")
    named = [escape(claim.title), escape(result["subject"]), verdict] if first else ["", "", ""]
    if effect is None:
        return [*named, "", "", "", ""]
    name = "" if effect["name"] == "effect" else f"{effect['name']}: "
    estimate = "" if effect["estimate"] is None else words.with_unit(words.number(effect["estimate"]), words.unit_of(effect))
    held = "" if effect["low"] is None and effect["high"] is None else words.interval(effect["low"], effect["high"])
    return [*named, escape(name + estimate), escape(held), escape(effect["region"].get("text", "")), str(result["n"] or "")]


def escape(text: object) -> str:
    """Any text as one line of LaTeX that shows itself."""
    return " ".join("".join(_SPECIAL.get(letter, letter) for letter in str(text)).split())


def _bold(head: str) -> str:
    return rf"\textbf{{{head}}}"


def _comment(text: str) -> str:
    return " ".join(text.split())


def csv(document: Mapping[str, Any]) -> str:
    """Every judged effect as a line of CSV with numbers in full; a result without one has a line without effect."""
    made = io.StringIO()
    writer = lines_of.DictWriter(made, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for line in _lines(document):
        writer.writerow({name: _safe(value) for name, value in line.items()})
    return made.getvalue()


def _lines(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for claim in view.arrange(document).claims:
        for result in claim.results:
            told = {name: result[name] for name in COLUMNS if name in result}
            told |= {
                "expected": (result["expected"] or {}).get("verdict"),
                "sound": claim.sound,
                "adjusted": (result["adjusted"] or {}).get("verdict"),
            }
            for effect in result["effects"] or [{}]:
                region = effect.get("region", {})
                yield told | {
                    "effect": effect.get("name"),
                    **{name: effect.get(name) for name in ("estimate", "low", "high", "level", "unit")},
                    "region_low": region.get("low"),
                    "region_high": region.get("high"),
                }


def _safe(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula is marked as text."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
