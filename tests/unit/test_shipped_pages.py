"""Pages that are written from measurements say what is committed: audits, rates, verdicts of a run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from claimbench.running.collecting import claims_root, load_all_organisms, load_claims
from claimbench.running.committed import expected
from claimbench.running.item import items_of

ROOT = Path(__file__).parents[2]
ROW = re.compile(
    r"^\| (?P<finding>[\w-]+/[\w-]+) +\| (?P<claim>[\w ]+?) +\| (?P<on>[^|]+?) +\| \**(?P<verdict>[A-Z_]+)\**", re.MULTILINE
)


def test_the_tables_of_audits_and_rates_are_those_of_the_committed_files() -> None:
    told = subprocess.run(
        [sys.executable, "-P", "benchmarks/trust.py"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    ).stdout
    audits, rates = (part.strip() for part in told.removeprefix("audits").split("\n\ncalibration\n\n"))
    assert audits in (ROOT / "docs" / "trust.md").read_text(), "run: python -P benchmarks/trust.py --write"
    assert rates in (ROOT / "docs" / "statistics.md").read_text(), "run: python -P benchmarks/trust.py --write"


def test_the_page_of_verdicts_has_every_claim_with_the_verdict_that_is_committed() -> None:
    page = (ROOT / "docs" / "verdicts.md").read_text()
    shown = {(row["finding"], row["claim"], row["on"]): row["verdict"] for row in ROW.finditer(page)}
    load_all_organisms([], ROOT)
    own = {}
    for identity, claim in load_claims([claims_root()], ROOT).items():
        for item in items_of(claim, identity):
            committed = expected(item, "standard")
            own[claim.finding, claim.name.replace("_", " "), item.subject.name] = committed["verdict"] if committed else "SUPPORTED"
    assert "profile standard" in page and shown == own, "run: make claims; python docs/site/tables.py report/results.json"
