"""The document arranged for reading: papers, claims, subjects, controls, and what deserves a look first.

Arranging counts and groups what judging has decided; nothing here measures or judges.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any

from . import words

Result = Mapping[str, Any]


def anchor(*parts: str) -> str:
    """A short id for links, the same for the same parts; names themselves may hold anything."""
    readable = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in parts[0]).strip("-")
    return f"{readable[:48].lower()}-{sha256(chr(0).join(parts).encode('utf-8', 'replace')).hexdigest()[:8]}"


@dataclass
class ClaimView:
    """One claim with its verdicts on each subject and its controls."""

    claim: str
    finding: str
    results: list[Result] = field(default_factory=list)
    controls: list[Result] = field(default_factory=list)

    @cached_property
    def anchor(self) -> str:
        return anchor(self.finding, self.claim)

    @property
    def any(self) -> Result:
        """A result to read the claim's own texts from (statement, protocol, lock)."""
        return (self.results or self.controls)[0]

    def statement(self, paper: Mapping[str, Any]) -> str:
        """The finding in the words of the paper card, else of the result."""
        listed = (f["statement"] for f in paper["findings"] if f["finding"] == self.finding)
        return str(next(listed, "") or self.any["statement"])

    @property
    def title(self) -> str:
        return str(self.any.get("title") or self.finding)

    def on(self, subject: str) -> Result | None:
        """The verdict on `subject`, or None where the claim was not tried on it."""
        return self._by_subject.get(subject)

    @cached_property
    def _by_subject(self) -> dict[str, Result]:
        return {str(result["subject"]): result for result in reversed(self.results)}

    @cached_property
    def _by_control(self) -> dict[tuple[str, str], Result]:
        """Results of controls by name and subject; under the subject "" the first of that name."""
        found: dict[tuple[str, str], Result] = {}
        for result in self.controls:
            name = str(result["control"]["name"])
            found.setdefault((name, str(result["subject"])), result)
            found.setdefault((name, ""), result)
        return found

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many verdicts of each kind, in the order of `words.VERDICTS`, absent kinds left out."""
        return _counts(self.results)

    @property
    def found(self) -> list[str]:
        """What a filter may ask for: verdicts, and whether one is unexpected or the claim unsound."""
        unexpected = ["unexpected"] if any(result["unexpected"] for result in self.results) else []
        return [*self.counts, *unexpected, *(["unsound"] if self.sound is False else [])]

    def link(self, result: Result) -> str:
        """The anchor of a result's part of the card."""
        subject = str(result["subject"])
        if subject not in self._links:
            named = "\0".join((self.finding, self.claim, subject))
            self._links[subject] = f"r{sha256(named.encode('utf-8', 'replace')).hexdigest()[:12]}"
        return self._links[subject]

    @cached_property
    def _links(self) -> dict[str, str]:
        return {}

    def control_result(self, name: str, subject: str) -> Result | None:
        """The full result of a control, that on `subject` first."""
        return self._by_control.get((name, subject)) or self._by_control.get((name, ""))

    @cached_property
    def marks(self) -> list[dict[str, Any]]:
        """Each control once: broken if it broke on any subject, as expected if it held on one, else undecided."""
        rank = {False: 0, True: 1, None: 2}
        worst: dict[str, dict[str, Any]] = {}
        listed = [control for result in self.results for control in result["controls"]]
        own = [{**result["control"], "verdict": result["verdict"], "source": "run"} for result in self.controls]
        for control in [*listed, *own]:
            name = control["name"]
            if name not in worst or rank[control["ok"]] < rank[worst[name]["ok"]]:
                worst[name] = dict(control)
        return list(worst.values())

    @property
    def sound(self) -> bool | None:
        """False when a control broke on any subject, True when judging found it sound on one, else None."""
        states = [result["sound"] for result in self.results] or [mark["ok"] for mark in self.marks]
        if False in states:
            return False
        return True if True in states else None


@dataclass
class PaperView:
    """One paper with its claims and with the findings that are registered only."""

    paper: Mapping[str, Any]
    claims: list[ClaimView]
    registered: list[Mapping[str, Any]]

    @property
    def anchor(self) -> str:
        return anchor("paper-" + str(self.paper["slug"]), str(self.paper["slug"]))


@dataclass
class Report:
    """The whole document, arranged."""

    document: Mapping[str, Any]
    papers: list[PaperView]
    subjects: list[tuple[str, str]]

    @cached_property
    def claims(self) -> list[ClaimView]:
        return [claim for paper in self.papers for claim in paper.claims]

    @cached_property
    def results(self) -> list[Result]:
        """The verdicts that count: those of claims, not of their controls."""
        return [result for claim in self.claims for result in claim.results]

    @property
    def counts(self) -> dict[str, int]:
        """How many verdicts of each kind, in the order of `words.VERDICTS`, absent kinds left out."""
        return _counts(self.results)

    @property
    def soundness(self) -> dict[str, int]:
        """Claims that are sound, unsound, and not shown to be either (controls not run or undecided)."""
        found = Counter({True: "sound", False: "unsound", None: "unsettled"}[claim.sound] for claim in self.claims)
        return {name: found[name] for name in ("sound", "unsound", "unsettled")}

    @property
    def recorded(self) -> dict[str, Any]:
        """How many verdicts rest on recorded weights, and the retrained seeds with what came of them."""
        resting = [result for result in self.results if (result["recorded"] or {}).get("weights")]
        again: dict[str, dict[str, Any]] = {}
        for result in resting:
            entry = result["recorded"]
            if entry.get("retrained_seed") is not None:
                again[str(result["subject"])] = {"subject": result["subject"], **entry}
        return {"recorded": len(resting), "now": len(self.results) - len(resting), "again": list(again.values())}

    @property
    def cost(self) -> dict[str, Any]:
        """Seconds and forward passes of everything including controls, and the highest peak of memory."""
        every = self.document["results"]
        return {
            "seconds": sum(result["seconds"] or 0 for result in every),
            "forward_passes": sum(result["forward_passes"] or 0 for result in every),
            "peak_memory_mb": max((result["peak_memory_mb"] or 0 for result in every), default=0) or None,
        }

    @cached_property
    def look_first(self) -> list[dict[str, str]]:
        """What a reader must not miss: broken controls, untrusted or failed measurements, unexpected verdicts."""
        said = []
        for claim in self.claims:
            if claim.sound is False:
                broken = [mark["name"] for mark in claim.marks if mark["ok"] is False] or ["a control"]
                text = f"a control did not come out as it must ({', '.join(broken)})"
                said.append({"kind": "unsound", "link": claim.anchor, "name": claim.finding, "subject": "", "text": text})
            for result in claim.results:
                entry = {"link": claim.link(result), "name": claim.finding, "subject": str(result["subject"])}
                if result["verdict"] in ("INVALID", "ERROR"):
                    said.append({"kind": str(result["verdict"]), "text": str(result["reason"]), **entry})
                elif result["unexpected"]:
                    wanted = (result["expected"] or {}).get("verdict", "another verdict")
                    text = f"{words.reading(result)}, where {wanted} was expected"
                    said.append({"kind": "unexpected", "text": text, **entry})
                if (result["recorded"] or {}).get("agrees") is False:
                    text = f"seed {result['recorded'].get('retrained_seed')} trained again now disagrees with its record"
                    said.append({"kind": "recorded", "text": text, **entry})
        return said


def _counts(results: Iterable[Result]) -> dict[str, int]:
    found = Counter(str(result["verdict"]) for result in results)
    return {verdict: found[verdict] for verdict in words.VERDICTS if found[verdict]}


def _subjects(results: Iterable[Result]) -> list[tuple[str, str]]:
    """Subjects (name, kind) as columns: families in order of appearance, then the steps of a series, then models."""
    seen: dict[str, tuple[str, int | None]] = {}
    for result in results:
        seen[str(result["subject"])] = (str(result["subject_kind"]), (result["series"] or {}).get("step"))

    def place(item: tuple[str, tuple[str, int | None]]) -> tuple[bool, bool, int]:
        kind, step = item[1]
        return kind == "model", kind == "model" and step is None, step or 0  # else in order of appearance

    return [(name, kind) for name, (kind, _) in sorted(seen.items(), key=place)]


def arrange(document: Mapping[str, Any]) -> Report:
    """Arrange a completed document. Results of a paper that it does not list get a bare paper of their own."""
    claims: dict[str, ClaimView] = {}
    order: dict[str, list[ClaimView]] = {}
    for result in document["results"]:
        key = str(result["claim"])
        if key not in claims:
            claims[key] = ClaimView(key, str(result["finding"]))
            order.setdefault(str(result["paper"]), []).append(claims[key])
        (claims[key].controls if result["control"] else claims[key].results).append(result)
    papers = {str(paper["slug"]): paper for paper in document["papers"]}
    for slug in order:
        papers.setdefault(slug, {"slug": slug, "title": slug, "identifier": "", "year": None, "findings": []})
    views = []
    for slug, paper in papers.items():
        tested = {claim.finding for claim in order.get(slug, ())}
        rest = [finding for finding in paper["findings"] if finding["finding"] not in tested]
        views.append(PaperView(paper, order.get(slug, []), rest))
    views.sort(key=lambda view: not view.claims)  # papers that were tested first, the others in their own order
    return Report(document, views, _subjects(result for claim in claims.values() for result in claim.results))
