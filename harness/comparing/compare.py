"""Two results documents compared: which verdicts changed and how, and by how much effects moved."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import UsageError
from ..reporting import words
from ..reporting.results import Key, key_of
from .changes import KINDS, kind, remarks
from .paired import paired

SCHEMA = "claimbench-comparison/1"


def compare(
    before: Mapping[str, Any], after: Mapping[str, Any], match: Mapping[str, str] | None = None, *, partial: bool = False
) -> dict[str, Any]:
    """The comparison of two completed results documents, plain JSON.

    Args:
        before, after: documents as `load_results` gives them.
        match: subjects of `before` by the name of the subject of `after` that takes their place; of two runs that both have
            both, the one that is replaced is left out.
        partial: `after` is one run of a selection, so what it lacks is not called gone.

    Raises:
        UsageError: a name in `match` that no document has, or documents without a single result in common.
    """
    names = dict(match or {})
    check_match(names, before, after)
    old = _by_key(before, {then: now for now, then in names.items()})
    replaced = set(names.values()) - names.keys()
    new = {key: result for key, result in _by_key(after, {}).items() if result["subject"] not in replaced}
    if old and new and not old.keys() & new.keys():
        raise UsageError(_strangers(_subjects(before), _subjects(after), "the new results"))
    changes = [_change(key, old.get(key), new[key], before["seed"] == after["seed"]) for key in new]
    if not partial:
        changes += [_change(key, old[key], None, False) for key in old if key not in new]
    changes.sort(key=lambda change: KINDS.index(change["kind"]))
    return {
        "schema": SCHEMA,
        "before": _about(before),
        "after": _about(after),
        "match": {then: now for now, then in names.items()},
        "notes": _notes(before, after),
        "counts": {name: n for name in KINDS if (n := sum(change["kind"] == name for change in changes))},
        "changes": changes,
    }


class Baseline:
    """An earlier document that results of this run are held against, one by one.

    Raises:
        UsageError: the file is no results document, or a name in `match` is of no subject of it.
    """

    def __init__(self, document: Mapping[str, Any], match: Mapping[str, str] | None = None) -> None:
        self.document = document
        self.match = dict(match or {})
        known = _subjects(document)
        for then in self.match.values():
            _check_name(then, known, "the baseline")
        self._results = _by_key(document, {then: now for now, then in self.match.items()})

    def regressed(self, result: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The baseline's result where this one is a regression from it, else None."""
        then = self._results.get(key_of(result))
        return then if then is not None and kind(then, result) == "regression" else None

    def check(self, items: Iterable[Any]) -> None:
        """Raise UsageError where the baseline has none of the items that are to be judged, or a match names no subject of them."""
        keys = [
            (item.claim.finding, item.claim_id.rpartition("/")[2], item.subject.name, item.control.name if item.control else "")
            for item in items
        ]
        judged = list(dict.fromkeys(key[2] for key in keys))
        for now in self.match:
            _check_name(now, judged, "this run")
        if self._results and not any(key in self._results for key in keys):
            raise UsageError(_strangers(_subjects(self.document), judged, "this run"))

    def against(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The comparison with a whole document."""
        judged = _subjects(document)
        match = {now: then for now, then in self.match.items() if now in judged}
        return compare(self.document, document, match, partial=True)


def _by_key(document: Mapping[str, Any], renamed: Mapping[str, str]) -> dict[Key, Mapping[str, Any]]:
    """Results by key; a subject that another takes the place of (`renamed`, old to new) stands under the new name."""
    found = {}
    for result in document["results"]:
        finding, claim, subject, control = key_of(result)
        if subject in renamed or subject not in renamed.values():
            found[(finding, claim, renamed.get(subject, subject), control)] = result
    return found


def _change(key: Key, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, seeded: bool) -> dict[str, Any]:
    result: Mapping[str, Any] = new or old or {}
    what = "new" if old is None else "gone" if new is None else kind(old, new)
    return {
        "kind": what,
        "finding": key[0],
        "claim": result["claim"],
        "subject": key[2],
        "was": None if old is None or old["subject"] == key[2] else old["subject"],
        "control": key[3] or None,
        "before": None if old is None else old["verdict"],
        "after": None if new is None else new["verdict"],
        "reason": str(result["reason"]),
        "remarks": remarks(old, new) if old and new and what != "same" else [],
        "effects": paired(old, new) if old and new and seeded else [],
    }


def _about(document: Mapping[str, Any]) -> dict[str, Any]:
    models = sorted({r["subject"] for r in document["results"] if r["subject_kind"] == "model" and not r["control"]})
    return {**{name: document[name] for name in ("created", "claimbench", "profile", "seed", "command")}, "models": models}


def _notes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What differs between the two runs as a whole."""
    said = []
    if before["profile"] != after["profile"]:
        said.append(f"profile {after['profile']}, the baseline's is {before['profile']}: another number of replicates")
    if before["seed"] != after["seed"]:
        said.append(f"root seed {after['seed']}, the baseline's is {before['seed']}: replicates do not pair")
    for name in ("torch", "transformers"):
        versions = [one["versions"].get(name) for one in (before, after)]
        if versions[0] != versions[1]:
            said.append(f"{name} {versions[1]}, the baseline's is {versions[0]}")
    if before["missing"]:
        said.append(f"the baseline is not complete: {words.count(len(before['missing']), 'item')} of it not measured")
    if not before["results"] or not after["results"]:
        said.append("the baseline is empty" if not before["results"] else "nothing was judged in this run")
    return said


def _subjects(document: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(str(result["subject"]) for result in document["results"]))


def check_match(match: Mapping[str, str], before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Raise UsageError for a name in `match` (old names by new names) that no document has."""
    for now, then in match.items():
        _check_name(then, _subjects(before), "the baseline")
        _check_name(now, _subjects(after), "the new results")


def _check_name(name: str, known: Sequence[str], where: str) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.3) or list(known[:3])
        raise UsageError(f"--match: {where} has no subject {name!r}: nearest are {', '.join(near) or 'none'}")


def _strangers(old: Sequence[str], new: Sequence[str], where: str) -> str:
    if set(old) & set(new):
        return f"the baseline has no claim in common with {where}: compare results of the same claims"
    return (
        f"the baseline has no subject in common with {where}: it is of {_few(old)}, they are of {_few(new)}; "
        f"to compare across models say which takes whose place: --match {old[0]}={new[0]}"
    )


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def parse_match(words: Iterable[str]) -> dict[str, str]:
    """`OLD=NEW` words as old names by new names; UsageError for another form or a name given twice."""
    found: dict[str, str] = {}
    for word in words:
        old, sign, new = word.partition("=")
        if not (sign and old and new):
            raise UsageError(f"--match {word!r} is no OLD=NEW: the baseline's subject, an equals sign, the new subject")
        if new in found or old in found.values():
            raise UsageError(f"--match {word!r}: each subject stands in one match only")
        found[new] = old
    return found
