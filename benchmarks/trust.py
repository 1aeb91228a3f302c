"""The state of audits and calibration, as committed: `python -P benchmarks/trust.py [--write]`.

Prints the tables of docs/trust.md (audit) and docs/statistics.md (calibration); with --write they are replaced there.
Measures nothing: `claimbench audit --record` and `claimbench calibrate --record` do.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from claimbench.claim import Claim
from claimbench.running.collecting import claims_root, load_all_organisms, load_claims
from claimbench.running.keep import calibration_of
from claimbench.running.trust import AUDIT, kept

DOCS = Path(__file__).resolve().parents[1] / "docs"
COUNTED = ("direct", "exact")
TOGETHER = {"null": "where it is absent", "edge": "moved to the edge", "power": "where it is planted"}


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Markdown; columns after the first are set to the right."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def audits(papers: Mapping[str, Sequence[Claim]]) -> str:
    """By paper: claims, those audited as their code is now, what came of the faults, and what cards explain."""
    rows, explained, whole = [], [], Counter[str]()
    for paper, claims in papers.items():
        entries = [(claim, entry) for claim in claims if (entry := kept(claim, AUDIT)) is not None]
        current = [(claim, entry) for claim, entry in entries if not entry["stale"]]
        came = Counter(fault["outcome"] for _, entry in current for fault in entry["faults"].values())
        came["claims"], came["audited"], came["stale"] = len(claims), len(current), len(entries) - len(current)
        came["nowhere"] = sum(not entry["faults"] for _, entry in current)
        whole += came
        rows.append([paper, *_cells(came)])
        for claim, entry in current:
            for name, fault in entry["faults"].items():
                if fault["outcome"] in ("exempt", "unnoticed"):
                    said = fault["reason"] if fault["outcome"] == "exempt" else f"UNNOTICED: {fault['reason']}"
                    explained.append(f"- `{claim.name}`, {fault['title']} ({name}): {said}")
    head = [
        *("paper", "claims", "audited", "stale", "noticed", "outlier turned nothing", "card says why not", "unnoticed"),
        *("does not apply", "SUPPORTED nowhere"),
    ]
    text = table(head, [*rows, ["all", *_cells(whole)]])
    return text + ("\n\nWhat cards explain:\n\n" + "\n".join(explained) if explained else "")


def _cells(came: Mapping[str, int]) -> list[int]:
    names = ("claims", "audited", "stale", "noticed", "kept", "exempt", "unnoticed", "absent", "nowhere")
    return [came.get(name, 0) for name in names]


def calibration(papers: Mapping[str, Sequence[Claim]]) -> str:
    """By paper: claims by the best tier of their rates, how many direct rates meet their bound; all direct verdicts together."""
    rows, whole, verdicts, supported = [], Counter[str](), Counter[str](), Counter[str]()
    for paper, claims in papers.items():
        came = Counter(claims=len(claims))
        for claim in claims:
            entry = calibration_of(claim)
            tiers = {row["tier"] for row in entry["rows"]} if entry else set()
            best = next((tier for tier in ("direct", "exact", "resampled", "borrowed", "none") if tier in tiers), "not calibrated")
            came[best] += 1
            came["stale"] += bool(entry and entry["stale"])
            counted = [row for row in entry["rows"] if row["tier"] in COUNTED] if entry else []
            came["rates"] += len(counted)
            came["met"] += sum(bool(row["meets"]) for row in counted)
            for row in counted:
                verdicts[row["what"]] += row["independent"]
                supported[row["what"]] += round(row["share"] * row["independent"])
        whole += came
        rows.append([paper, *_tiers(came)])
    head = ["paper", "claims", "direct", "exact", "resampled", "none", "not calibrated", "direct rates met", "stale"]
    said = (f"{name} {supported[what]} of {verdicts[what]}" for what, name in TOGETHER.items())
    return table(head, [*rows, ["all", *_tiers(whole)]]) + f"\n\nSUPPORTED, all direct verdicts together: {', '.join(said)}."


def _tiers(came: Mapping[str, int]) -> list[Any]:
    none = came.get("none", 0) + came.get("borrowed", 0)
    return [
        *(came.get(name, 0) for name in ("claims", "direct", "exact", "resampled")),
        *(none, came.get("not calibrated", 0), f"{came.get('met', 0)} of {came.get('rates', 0)}", came.get("stale", 0)),
    ]


def put(file: str, section: str, text: str) -> None:
    """Replace a marked section of a page."""
    path, (begin, end) = DOCS / file, (f"<!-- begin {section} -->", f"<!-- end {section} -->")
    found, count = re.subn(f"{begin}.*?{end}", lambda _: f"{begin}\n{text}\n{end}", path.read_text(), flags=re.DOTALL)
    assert count == 1, f"{path} has no section {section}"
    path.write_text(found)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--write", action="store_true", help="replace the tables in docs/")
    write = asked.parse_args().write
    root = claims_root().parent
    load_all_organisms([], root)
    papers: dict[str, list[Claim]] = {}
    for claim in load_claims([claims_root()], root).values():
        papers.setdefault(claim.paper, []).append(claim)
    for file, section, text in (("trust.md", "audits", audits(papers)), ("statistics.md", "calibration", calibration(papers))):
        print(f"{section}\n\n{text}\n")
        if write:
            put(file, section, text)


if __name__ == "__main__":
    main()
