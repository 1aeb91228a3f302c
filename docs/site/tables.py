"""Tables of a whole run, for the README and for docs/verdicts.md: `python docs/site/tables.py report/results.json`."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from tabulate import tabulate

ROOT = Path(__file__).resolve().parents[2]
Results = list[dict[str, Any]]


def claims_of(document: dict[str, Any]) -> Results:
    """The results that are no controls, by finding."""
    own = [result for result in document["results"] if result["control"] is None]
    return sorted(own, key=lambda result: (result["finding"], result["item"]))


def by_paper(results: Results, catalogue: Results) -> str:
    """A row for each paper: findings, claims, verdicts."""
    known = Counter(entry["paper"] for entry in catalogue)
    ready = Counter(entry["paper"] for entry in catalogue if entry["status"] == "executable")
    rows = []
    judged = {paper: list(own) for paper, own in groupby(results, key=lambda result: result["finding"].partition("/")[0])}
    for paper in sorted(known):
        own = judged.get(paper, [])
        verdicts = Counter(result["verdict"] for result in own)
        rows.append([paper, f"{ready[paper]} of {known[paper]}", len(own), *(verdicts[name] or "" for name in _columns(results))])
    total = Counter(result["verdict"] for result in results)
    rows.append(["in all", f"{ready.total()} of {known.total()}", len(results)])
    rows[-1] += [total[name] or "" for name in _columns(results)]
    names = [name.lower().replace("_", " ") for name in _columns(results)]
    return tabulate(rows, headers=["paper", "findings with a claim", "claims", *names], tablefmt="pipe")


def by_claim(results: Results, controls: dict[str, str]) -> str:
    """A row for each claim and subject."""
    rows = []
    for result in results:
        name = result["item"].rpartition("::")[2].partition("[")[0].replace("_", " ")
        verdict = f"**{result['verdict']}**" if result["verdict"] == "SUPPORTED" else result["verdict"]
        rows.append([result["finding"], name, result["subject"], verdict, controls.get(_claim(result), "")])
    return tabulate(rows, headers=["finding", "claim", "on", "verdict", "controls as they must"], tablefmt="pipe")


def held(results: Iterable[dict[str, Any]]) -> dict[str, str]:
    """By claim: how many of its controls came out as they must, and how many are undecided."""
    found: dict[str, Counter[bool | None]] = {}
    for result in results:
        if result["control"] is not None:
            found.setdefault(_claim(result), Counter())[result["control"]["ok"]] += 1
    return {claim: f"{n[True]} of {n.total()}" + (f", {n[None]} undecided" if n[None] else "") for claim, n in found.items()}


def put(page: Path, name: str, text: str) -> None:
    """Replace what stands between the marks of a name on a page."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, _, rest = page.read_text().partition(begin)
    page.write_text(f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}")


def main(arguments: list[str]) -> int:
    """Write both."""
    document = json.loads(Path(arguments[0]).read_text())
    results = claims_of(document)
    catalogue = json.loads((ROOT / "claims" / "catalogue.json").read_text())
    put(ROOT / "README.md", "table", by_paper(results, catalogue))
    (ROOT / "docs" / "verdicts.md").write_text("\n".join(_page(document, results)) + "\n")
    return 0


def _page(document: dict[str, Any], results: Results) -> Iterator[str]:
    yield "# Verdicts of one run\n"
    measured = f"measured on {document['created'][:10]} (profile {document['profile']}, seed {document['seed']})"
    yield f"Every claim with its controls on the small networks that ship, as {measured}; `python docs/site/tables.py"
    yield "report/results.json` writes this page. A REFUTED or INCONCLUSIVE that is committed with its reason is green; the reasons"
    yield "stand in [papers and findings](catalogue.md).\n"
    yield by_claim(results, held(document["results"]))


def _columns(results: Results) -> list[str]:
    order = ("SUPPORTED", "REFUTED", "INCONCLUSIVE", "NOT_APPLICABLE", "INVALID", "ERROR")
    here = {result["verdict"] for result in results}
    return [name for name in order if name in here]


def _claim(result: dict[str, Any]) -> str:
    return str(result["item"]).partition("[")[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
