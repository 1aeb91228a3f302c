"""`claimbench new`: what it writes where something is there already, and what it refuses. docs/tutorial.md runs what it writes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from claimbench.authoring.new import new
from claimbench.errors import UsageError
from claimbench.paper import read_card

CARD = """slug = "some-paper"
title = "T"
authors = "A"
identifier = "arXiv:1"
year = 2020

[[finding]]
id = "first"
title = "The first"
statement = "S."
reason = "registered: no time"
protocol = "P"

[[finding]]
id = "second"
title = "The second"
statement = "S."
reason = "registered: no model"
"""


def test_a_new_paper_gets_a_card_and_every_file_is_valid(tmp_path: Path) -> None:
    written = new("some-paper/heads-matter", tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in written.files] == [
        "claims/some_paper/paper.toml",
        "claims/some_paper/test_heads_matter.py",
        "tests/test_some_paper_heads_matter.py",
        "claims/some_paper/expected.json",
    ]
    (finding,) = read_card(written.files[0]).findings
    assert finding.id == "some-paper/heads-matter" and not finding.reason
    for path in written.files[1:3]:
        compile(path.read_text(), str(path), "exec")
        assert "$" not in path.read_text()


def test_a_registered_finding_becomes_executable_and_the_others_stay(tmp_path: Path) -> None:
    card = tmp_path / "claims" / "some_paper" / "paper.toml"
    card.parent.mkdir(parents=True)
    card.write_text(CARD)
    assert "The first" in new("some-paper/first", tmp_path).claim.read_text()
    first, second = read_card(card).findings
    assert not first.reason and first.protocol == "P" and second.reason == "registered: no model"
    new("some-paper/third", tmp_path)
    assert [finding["id"] for finding in tomllib.loads(card.read_text())["finding"]] == ["first", "second", "third"]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    claim = new("some-paper/first", tmp_path).claim
    claim.write_text("mine")
    with pytest.raises(UsageError, match=r"test_first\.py exists: nothing was written"):
        new("some-paper/first", tmp_path)
    assert claim.read_text() == "mine"


@pytest.mark.parametrize("finding", ["heads", "paper/", "Some Paper/x", "a/b/c", "../up/x", "a/B"])
def test_what_is_no_finding_is_said(tmp_path: Path, finding: str) -> None:
    with pytest.raises(UsageError, match="is no finding: write paper/finding in lower case"):
        new(finding, tmp_path)
    assert not list(tmp_path.iterdir())
