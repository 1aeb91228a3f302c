"""The catalogue: what `claimbench list` reads is what the cards and claims say."""

from __future__ import annotations

from pathlib import Path

import pytest
from claimbench.errors import UsageError
from claimbench.paper import read_cards
from claimbench.running import catalogue
from claimbench.running.collecting import claims_root, load_all_organisms, load_claims


def test_the_shipped_catalogue_is_up_to_date() -> None:
    """When it fails: `claimbench catalogue`."""
    load_all_organisms([], claims_root().parent)
    claims = load_claims([claims_root()], claims_root().parent)
    assert catalogue.read(claims_root()) == catalogue.build(read_cards([claims_root()]), claims)


def test_every_claim_executes_a_finding_of_its_own_card() -> None:
    cards = read_cards([claims_root()])
    known = {finding.id: finding for paper in cards.values() for finding in paper.findings}
    claims = load_claims([claims_root()], claims_root().parent)
    assert {claim.finding for claim in claims.values()} <= set(known)
    executed = {claim.finding for claim in claims.values()}
    for finding in known.values():
        assert bool(finding.reason) == (finding.id not in executed), f"{finding.id}: executed, or a reason why not"


@pytest.mark.parametrize(("content", "told"), [(None, "is missing"), ("{", "is corrupt")])
def test_a_catalogue_that_cannot_be_read_is_named(tmp_path: Path, content: str | None, told: str) -> None:
    if content is not None:
        (tmp_path / catalogue.NAME).write_text(content)
    with pytest.raises(UsageError, match=told):
        catalogue.read(tmp_path)


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    entries = [{"finding": "toy/large", "status": "executable"}]
    catalogue.write(tmp_path, entries)
    assert catalogue.read(tmp_path) == entries
