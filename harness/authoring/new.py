"""`claimbench new PAPER/FINDING`: a claim that runs, its entry in the paper's card, and a test of its measure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from string import Template

from ..errors import UsageError
from ..paper import CARD, Paper, read_card
from ..running.committed import EXPECTED, read, write

TEMPLATES = Path(__file__).parent / "templates"
#: The part that both halves of a finding's id consist of.
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Written:
    """Files that were written or changed, and what to do with them."""

    claim: Path
    files: tuple[Path, ...]

    @property
    def next_steps(self) -> list[str]:
        folder = self.claim.parent
        return [
            f"pytest {self.claim} --with-controls --profile smoke   # runs as it stands; now make it your finding",
            f"claimbench lock {folder}   # before it is measured in earnest",
            f"claimbench check {self.claim}   # what a reviewer would ask",
        ]


def new(finding: str, root: Path) -> Written:
    """Write the files of a finding's first claim below `root`.

    A paper without a card gets one. A finding that its card registers as not executable loses its `reason`. Nothing is
    overwritten.

    Args:
        finding: "paper/finding", lower-case words joined by hyphens.
        root: the folder that holds, or will hold, `claims/` and `tests/`.

    Raises:
        UsageError: the id is malformed, or a file that would be written exists.
    """
    paper, _, own = finding.partition("/")
    if not (_SLUG.fullmatch(paper) and _SLUG.fullmatch(own)):
        raise UsageError(f"{finding!r} is no finding: write paper/finding in lower case with hyphens, as adopt/optimal-rate")
    folder = root / "claims" / _name(paper)
    claim = folder / f"test_{_name(own)}.py"
    test = root / "tests" / f"test_{_name(paper)}_{_name(own)}.py"
    for path in (claim, test):
        if path.exists():
            raise UsageError(f"{path} exists: nothing was written")
    card = folder / CARD
    text, title = _card(card, paper, own)
    words = {
        "paper": paper,
        "finding": finding,
        "function": _name(own) if own[0].isalpha() else f"finding_{_name(own)}",
        "title": title,
        "file": claim.relative_to(root).as_posix(),
    }
    expected = folder / EXPECTED
    verdicts = dict(read(folder, EXPECTED))
    verdicts[words["function"]] = {"copying": {"any": {"verdict": "SUPPORTED", "reason": "why it is expected to hold here"}}}
    contents = {
        card: text,
        claim: _filled("claim.py", words),
        test: _filled("test.py", words),
    }
    for path, content in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    write(folder, EXPECTED, verdicts)
    return Written(claim, (*contents, expected))


def _card(path: Path, paper: str, own: str) -> tuple[str, str]:
    """The text of the paper's card with an executable entry for the finding, and the finding's title."""
    title = own.replace("-", " ").capitalize()
    entry = _filled("finding.toml", {"id": own, "title": title})
    if not path.exists():
        return _filled("paper.toml", {"paper": paper, "year": str(date.today().year)}) + entry, title
    text = path.read_text()
    known: Paper = read_card(path)
    found = next((finding for finding in known.findings if finding.id == f"{known.slug}/{own}"), None)
    if found is None:
        return text.rstrip("\n") + "\n" + entry, title
    return _without_reason(text, own), found.title


def _without_reason(text: str, own: str) -> str:
    """The card with the finding's entry no longer calling it only registered."""
    entries = re.split(r"(?m)^(?=\[\[finding\]\])", text)
    return "".join(
        re.sub(r"(?m)^reason = .*\n", "", entry) if re.search(rf'(?m)^id = "{re.escape(own)}"', entry) else entry
        for entry in entries
    )


def _filled(template: str, words: dict[str, str]) -> str:
    return Template((TEMPLATES / f"{template}.txt").read_text()).substitute(words)


def _name(slug: str) -> str:
    return slug.replace("-", "_")
