"""Which results of a document are published."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import UsageError


def select(document: Mapping[str, Any], findings: Sequence[str] = (), subjects: Sequence[str] = ()) -> dict[str, Any]:
    """The document with the results of these findings on these subjects, controls among them; all where none is named.

    Raises:
        UsageError: a name that the document does not have, with the nearest; or nothing that was judged.
    """
    judged = [result for result in document["results"] if not result["control"]]
    for names, field, what in ((findings, "finding", "finding"), (subjects, "subject", "subject")):
        known = list(dict.fromkeys(str(result[field]) for result in judged))
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=3, cutoff=0.3) or known[:3]
                raise UsageError(f"the results have no {what} {name!r}: nearest are {', '.join(near) or 'none'}")
    kept = [r for r in judged if (not findings or r["finding"] in findings) and (not subjects or r["subject"] in subjects)]
    if not kept:
        raise UsageError("there is no verdict to publish: give the results.json of a run that judged something")
    claims = {result["claim"] for result in kept}
    kept += [result for result in document["results"] if result["control"] and result["claim"] in claims]
    return {**document, "results": kept}
