"""A claim card as a page of its own, with what is to be cited."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from ..reporting import view
from ..reporting.cards import cards_of
from ..reporting.document import Document
from ..reporting.html import authors, environment, shell


def cards(document: Mapping[str, Any]) -> dict[str, str]:
    """Pages by file name, one for each claim of a completed document: the card, its observations, and how to cite it."""
    report = view.arrange(document)
    made, _ = cards_of(report, environment(), None)
    template = environment().get_template("card_page.html")
    return {
        f"{card.claim.anchor}.html": template.render(
            card=card,
            document=document,
            on_its_own=True,
            citations=citations(cast(Document, document), card.claim, card.paper.paper),
            **shell(),
        )
        for card in made
    }


def citations(document: Document, claim: view.ClaimView, paper: Mapping[str, Any]) -> list[str]:
    """BibTeX of the paper whose finding this is, and of this verdict: version, day, and digests that identify it."""
    digests = [f"{what} {digest[:16]}" for what, digest in _digests(claim)]
    judged = f"Judged {str(document['created'])[:10]}, profile {document['profile']}, seed {document['seed']}"
    told = {
        "title": f"{claim.finding}: a claim card of claimbench {document['claimbench']}",
        "year": str(document["created"])[:4],
        "note": f"{judged}; {', '.join(digests)}",
    }
    own = _entry("misc", f"claimbench-{claim.finding}", told)
    if not paper.get("year"):
        return [own]
    of_paper = {
        "title": paper["title"],
        "author": authors(paper),
        "year": str(paper["year"]),
        "note": paper["identifier"],
        "url": paper.get("url") or "",
    }
    return [_entry("misc", str(paper["slug"]), of_paper), own]


def _digests(claim: view.ClaimView) -> list[tuple[str, str]]:
    found = {"code": claim.any["code_digest"], "protocol": (claim.any["lock"] or {}).get("hash")}
    if len(claim.results) == 1:
        found["subject"] = claim.results[0]["subject_digest"]
    return [(what, str(digest)) for what, digest in found.items() if digest]


def _entry(kind: str, key: str, fields: Mapping[str, str]) -> str:
    told = ",\n".join(f"  {name} = {{{_bibtex(value)}}}" for name, value in fields.items() if value)
    return f"@{kind}{{{re.sub(r'[^A-Za-z0-9:-]+', '-', key)},\n{told}\n}}"


def _bibtex(text: str) -> str:
    """A field's text: braces balanced by leaving them out, one line."""
    return " ".join(re.sub(r"[{}\\]", "", str(text)).split()).replace("%", r"\%").replace("&", r"\&").replace("#", r"\#")
