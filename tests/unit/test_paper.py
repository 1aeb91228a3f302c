"""Paper cards: every finding with an id of its own, found by id, the nearest named where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from claimbench.errors import DeclarationError, UsageError
from claimbench.paper import card_beside, find_finding, read_card, read_cards
from claimbench.running.collecting import claims_root

CARD = """
slug = "toy"
title = "A toy paper"
authors = "A. Nobody"
identifier = "toy:1"
year = 2025
[[finding]]
id = "large"
title = "It is large"
statement = "The effect is large."
[[finding]]
id = "later"
title = "Not yet"
statement = "Something else."
reason = "registered: needs a night"
"""


def written(folder: Path, text: str = CARD) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "paper.toml").write_text(text)
    return folder / "paper.toml"


def test_a_card_is_read_whole(tmp_path: Path) -> None:
    paper = read_card(written(tmp_path))
    assert (paper.slug, paper.year, paper.url, paper.folder) == ("toy", 2025, "", tmp_path)
    assert [(f.id, f.reason) for f in paper.findings] == [("toy/large", ""), ("toy/later", "registered: needs a night")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("slug = ", "no valid TOML"),
        (CARD.replace("year = 2025\n", ""), "lacks 'year'"),
        (CARD.replace('title = "It is large"\n', ""), "lacks 'title'"),
        (CARD.partition("[[finding]]")[0], "lacks 'finding'"),
        (CARD.replace('id = "later"', 'id = "large"'), "lists the finding 'toy/large' twice"),
        (CARD.replace("year = 2025", 'year = "soon"'), "year"),
        (CARD.replace("[[finding]]", "[finding]", 1).partition("[[finding]]")[0], "finding"),
    ],
)
def test_a_malformed_card_is_named_with_its_file(tmp_path: Path, text: str, told: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(DeclarationError, match=told) as caught:
        read_card(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_two_cards_of_one_slug_are_refused(tmp_path: Path) -> None:
    written(tmp_path / "one")
    written(tmp_path / "two")
    with pytest.raises(DeclarationError, match="both describe 'toy'"):
        read_cards([tmp_path])


def test_the_card_of_a_file_lies_beside_it_or_above(tmp_path: Path) -> None:
    written(tmp_path / "toy")
    for name in ("test_a.py", "deeper/test_a.py"):
        found = card_beside(tmp_path / "toy" / name)
        assert found is not None and found.slug == "toy"
    assert card_beside(tmp_path / "test_a.py") is None


def test_the_nearest_findings_are_named(tmp_path: Path) -> None:
    cards = read_cards([written(tmp_path).parent])
    assert find_finding(cards, "toy/large")[1].title == "It is large"
    with pytest.raises(UsageError, match="unknown finding 'toy/lage': nearest are toy/large"):
        find_finding(cards, "toy/lage")


def test_shipped_cards_are_complete() -> None:
    for paper in read_cards([claims_root()]).values():
        assert paper.findings and paper.url and 2000 < paper.year < 2100
        for finding in paper.findings:
            assert finding.title and finding.statement.endswith("."), finding.id
            assert not finding.reason.startswith("registered") or (finding.protocol and finding.cost), finding.id
