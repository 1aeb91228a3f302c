"""Cards rendered one by one, so that those of a large report can be packed: compressed, and unpacked when one is opened."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from jinja2 import Environment
from markupsafe import Markup

from . import view, words
from .folder import PARTS
from .observations import observation

APART = 1000
"""In a report of more verdicts than this, observations go to pages beside it, one for each claim."""
MANY = 8000
"""Of more verdicts than this, those that say nothing of their subject, and those beyond this number, are told in short."""
LARGE = 60_000
"""Characters of one observation beyond which it goes to a page beside the report."""
CUT = "\0"
"""Between the parts of a packed card: its head, then the body of each result. HTML holds no NUL."""

MakePage = Callable[[str, Sequence[tuple[str, str, Markup]]], str]


@dataclass(frozen=True)
class Card:
    """One claim: the head of its card, and the body of each of its results, as HTML; `listed` names them, closed."""

    claim: view.ClaimView
    paper: view.PaperView
    head: Markup
    bodies: Sequence[Markup]
    listed: Markup

    @property
    def size(self) -> int:
        """Characters of it."""
        return len(self.head) + sum(map(len, self.bodies))

    @cached_property
    def packed(self) -> str:
        """Head with the list of results, and bodies."""
        return pack([str(self.head) + str(self.listed), *map(str, self.bodies)])


def pack(parts: Sequence[str]) -> str:
    """Texts as one, gzipped, in base64; the same for the same texts."""
    whole = CUT.join(part.replace(CUT, "\ufffd") for part in parts).encode("utf-8", "replace")
    return base64.b64encode(gzip.compress(whole, 9, mtime=0)).decode()


class Beside:
    """Observations that are too large for the report, on pages beside it.

    Args:
        make: makes a page of its title and of sections, each an id, a title and figures.
        apart: whether all observations go there, and not only the large ones.
    """

    def __init__(self, make: MakePage | None, apart: bool = False) -> None:
        self.make = make
        self.apart = apart
        self.pages: dict[str, str] = {}
        self._sections: dict[str, list[tuple[str, str, Markup]]] = {}

    def observed(self, claim: view.ClaimView, result: view.Result) -> Markup:
        """The observations of a result, or links to where they are."""
        drawn = {name: observation(name, content) for name, content in result["observations"].items()}
        if self.make is None:
            return _side_by_side(list(drawn.values()))
        if self.apart:
            name, link = f"{PARTS}/{_digest(claim.anchor)}.html", claim.link(result)
            self._sections.setdefault(name, []).append((link, str(result["subject"]), _side_by_side(list(drawn.values()))))
            titles = ", ".join(str(content.get("title") or key) for key, content in result["observations"].items())
            return _elsewhere(f"{name}#{link}", "Open the figures", titles)
        return _side_by_side([self._kept(name, result, figure) for name, figure in drawn.items()])

    def _kept(self, name: str, result: view.Result, drawn: Markup) -> Markup:
        if len(drawn) <= LARGE or self.make is None:
            return drawn
        title = str(result["observations"][name].get("title") or name)
        file = f"{PARTS}/{_digest(drawn)}.html"
        self.pages[file] = self.make(title, [("figure", str(result["subject"]), drawn)])
        size = words.memory(len(drawn) / 1e6) if len(drawn) >= 1e6 else f"{len(drawn) / 1e3:.0f} kB"
        link = _elsewhere(file, "Open the figure", f"{size}, in the folder beside this page")
        return Markup('<figure class="observation"><figcaption>{}</figcaption>{}</figure>').format(title, link)

    def finish(self, claim: view.ClaimView) -> None:
        """Make the page of a claim whose results are all drawn."""
        name = f"{PARTS}/{_digest(claim.anchor)}.html"
        if self.make is not None and (sections := self._sections.pop(name, None)):
            self.pages[name] = self.make(claim.title, sections)


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def _side_by_side(figures: Sequence[Markup]) -> Markup:
    return Markup('<div class="observations">{}</div>').format(Markup("").join(figures))


def _elsewhere(address: str, what: str, told: str) -> Markup:
    return Markup('<p><a href="{}">{}</a> <span class="quiet">{}</span></p>').format(address, what, told)


def cards_of(report: view.Report, environment: Environment, make: MakePage | None) -> tuple[list[Card], dict[str, str]]:
    """The cards of all claims in order, and the pages of observations beside them."""
    head, body, short, listed = map(
        environment.get_template, ("card_head.html", "result_body.html", "short_body.html", "packed_results.html")
    )
    total = len(report.results)
    beside = Beside(make, total > APART)
    made, told = [], 0
    for paper in report.papers:
        for claim in paper.claims:
            shared = {"claim": claim, "paper": paper, "document": report.document, "total": total}
            shared["observed"] = lambda result, claim=claim: beside.observed(claim, result)
            bodies = []
            for result in claim.results:
                whole = total <= MANY or (result["verdict"] != "NOT_APPLICABLE" and told < MANY)
                told += whole
                bodies.append(Markup((body if whole else short).render(shared, result=result)))
            beside.finish(claim)
            made.append(Card(claim, paper, Markup(head.render(shared)), bodies, Markup(listed.render(shared))))
    return made, beside.pages
