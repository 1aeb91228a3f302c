"""The command `publish`: words, output and exit codes. What it does lies beside this."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import UsageError

Add = Callable[..., argparse.ArgumentParser]

KINDS = {
    "badge": "an SVG with the verdicts counted",
    "latex": "a table for a paper, with booktabs",
    "csv": "every judged effect, numbers in full",
    "card": "a claim card as a page of its own, with what to cite",
    "model-card": "YAML (model-index) and Markdown for a model's README on the Hub",
    "eval-results": "a file for .eval_results/ of a model on the Hub; needs --dataset",
    "markdown": "the summary for a pull request",
    "report": "the whole report as a page, made anew from the results",
}


def add_to(add: Add) -> None:
    """Add the command to the parser."""
    found = add(
        "publish",
        "turn a results.json into a badge, a table for a paper, a claim card or a model card",
        _publish,
        examples=(
            ("claimbench publish report --to badge --out docs/claims.svg", "a picture for a README"),
            ("claimbench publish report --to latex > table.tex", "a table"),
            ("claimbench publish report --to card --finding load-bearing/top-heads-beat-random --out card.html", "one card"),
            ("claimbench publish report --to model-card --subject my-model", "for the Hub"),
        ),
        ending="Exit codes: 0 done, 4 a mistake in the command or a file that is no results.json.",
    )
    found.add_argument("results", type=Path, metavar="RESULTS", help="a results.json, or the folder of a report")
    told = "; ".join(f"{kind}: {text}" for kind, text in KINDS.items())
    found.add_argument("--to", required=True, choices=list(KINDS), metavar="KIND", help=told)
    found.add_argument("--finding", action="append", default=[], metavar="FINDING", help="only this finding; repeatable")
    found.add_argument("--subject", action="append", default=[], metavar="NAME", help="only on this subject; repeatable")
    found.add_argument("--out", type=Path, metavar="PATH", help="file to write, or a folder for several cards (default: print)")
    found.add_argument("--label", default="", metavar="TEXT", help="badge: what stands at the left")
    found.add_argument("--dataset", metavar="USER/NAME", help="eval-results: id of the benchmark's data set on the Hub")


def _publish(asked: argparse.Namespace) -> int:
    from ..reporting import load_results
    from .selection import select

    if (asked.dataset is not None) != (asked.to == "eval-results"):
        raise UsageError("--dataset USER/NAME and --to eval-results go together: the Hub files such results under a data set")
    document = select(load_results(asked.results), asked.finding, asked.subject)
    pages = _pages(asked, document)
    if asked.out is None:
        if len(pages) > 1:
            raise UsageError(f"there are {len(pages)} pages: give a folder with --out, or choose with --finding")
        sys.stdout.write(next(iter(pages.values())))
        return 0
    from ..reporting.results import write_text

    one = len(pages) == 1 and not asked.out.is_dir()
    for name, text in pages.items():
        print(write_text(asked.out if one else asked.out / name, text))
    return 0


def _pages(asked: argparse.Namespace, document: dict[str, Any]) -> dict[str, str]:
    """What is to be written, by file name."""
    from . import badge, cards, csv, eval_results, latex, model_card

    if asked.to == "card":
        return cards(document)
    if asked.to in ("markdown", "report"):
        from ..reporting import html, markdown

        return {"summary.md": markdown.summary(document)} if asked.to == "markdown" else html.pages(document)  # type: ignore[arg-type]
    makers: dict[str, tuple[str, Callable[[], str]]] = {
        "badge": ("badge.svg", lambda: badge(document, asked.label)),
        "latex": ("table.tex", lambda: latex(document)),
        "csv": ("table.csv", lambda: csv(document)),
        "model-card": ("README.md", lambda: model_card(document)),
        "eval-results": ("claimbench.yaml", lambda: eval_results(document, asked.dataset)),
    }
    name, make = makers[asked.to]
    return {name: make()}
