"""Selecting claims by what a person calls them: a finding, a claim's name or id, a paper, a file or a folder."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..claim import Claim
from ..errors import UsageError
from .collecting import claims_root, load_all_organisms, load_claims


def selected(words: Sequence[str], root: Path | None = None) -> dict[str, Claim]:
    """The claims that the words name, by id, in the order of the words; without words those of `run`.

    Args:
        words: finding ids, claim names, claim ids (`file.py::name`), slugs of papers, files or folders.
        root: the folder that ids are relative to; the working directory by default.

    Raises:
        UsageError: a word that names no claim, with the nearest that do.
    """
    root = Path.cwd() if root is None else root
    load_all_organisms([], root)
    here = root / "claims"
    known = load_claims([here if here.is_dir() else claims_root()], root)
    if not words:
        return known
    found: dict[str, Claim] = {}
    for word in words:
        found |= _named(word, known, root)
    return found


def one(word: str, root: Path | None = None) -> tuple[str, Claim]:
    """The one claim that a word names; UsageError where there are several."""
    found = selected([word], root)
    if len(found) > 1:
        raise UsageError(f"{word!r} names {len(found)} claims: choose one of {_list(found)}")
    return next(iter(found.items()))


def _named(word: str, known: Mapping[str, Claim], root: Path) -> dict[str, Claim]:
    file, _, name = word.partition("::")
    if (root / file).exists():
        there = load_claims([root / file], root)
        found = {identity: claim for identity, claim in there.items() if name in ("", claim.name)}
        if not found:
            raise UsageError(f"{file} has no claim {name or 'at all'!r}: it has {_list(c.name for c in there.values())}")
        return found
    names = {identity: (claim.finding, claim.name, identity, claim.paper) for identity, claim in known.items()}
    found = {identity: known[identity] for identity, called in names.items() if word in called}
    if not found:
        near = difflib.get_close_matches(word, sorted({each for called in names.values() for each in called}), n=3, cutoff=0.4)
        raise UsageError(
            f"no claim is called {word!r}, and there is no such file: nearest are {_list(near)}; see `claimbench list`"
        )
    return found


def _list(names: object) -> str:
    return ", ".join(map(str, names)) or "none"  # type: ignore[call-overload]
