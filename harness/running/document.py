"""The results document: every result of a session, with the controls of each claim brought together."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from ..claim import Claim
from ..paper import Paper
from ..reporting.document import SCHEMA
from . import committed
from .suite import attach_adjusted

if TYPE_CHECKING:
    from .options import Options

_LIBRARIES = ("torch", "transformers", "numpy", "scipy", "pytest")


def document(
    results: Sequence[dict[str, Any]],
    *,
    claims: Mapping[str, Claim],
    papers: Iterable[Paper],
    options: Options,
    command: str,
    missing: Sequence[str] = (),
) -> dict[str, Any]:
    """Bring the results of a session together.

    Args:
        results: one for each item that was judged, in any order.
        claims: claims by id, for what is committed about their controls.
        papers: cards whose findings are listed.
        missing: ids of items that were collected and not judged (interrupted, deselected by -x).
    """
    attach_controls(results, claims)
    attach_adjusted(results)
    tell_apart(results)
    return {
        "schema": SCHEMA,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "claimbench": _version("claimbench"),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in _LIBRARIES}},
        "machine": {"cpu": _cpu(), "cores": os.cpu_count() or 1, "platform": platform.platform()},
        "profile": options.profile.name,
        "seed": options.seed,
        "command": command,
        "papers": [_paper(paper, results) for paper in papers],
        "results": list(results),
        "missing": list(missing),
        "complete": not missing,
    }


def attach_controls(results: Sequence[dict[str, Any]], claims: Mapping[str, Claim]) -> None:
    """Give every result the verdicts of its claim's controls: those of this run, else those of the stored calibration."""
    ran: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for result in results:
        if result["control"] is not None:
            ran.setdefault((result["claim"], result["control"]["name"]), []).append(result)
    for result in results:
        claim = claims.get(result["claim"])
        if claim is None or result["control"] is not None:
            continue
        stored = committed.read(committed.folder_of(claim), committed.CALIBRATION).get(claim.name, {})
        docs = []
        for control in claim.controls:
            here = [
                found
                for found in ran.get((result["claim"], control.name), [])
                if control.on is not None or found["subject"] == result["subject"]
            ]
            verdict, ok, source = None, None, "calibration"
            if here:
                verdict, ok, source = here[0]["verdict"], here[0]["control"]["ok"], "run"
            elif control.name in stored:
                entry = stored[control.name]
                verdict, ok = entry["verdict"], entry["verdict"] == control.expected.value
            docs.append(
                {
                    "name": control.name,
                    "kind": control.kind,
                    "expected": control.expected.value,
                    "verdict": verdict,
                    "ok": ok,
                    "source": source,
                }
            )
        result["controls"] = docs
        result["sound"] = soundness(docs)


def tell_apart(results: Sequence[dict[str, Any]]) -> None:
    """Where several claims test one finding, add each one's name to the finding's title."""
    claims: dict[str, set[str]] = {}
    for result in results:
        claims.setdefault(result["finding"], set()).add(result["claim"])
    for result in results:
        if len(claims[result["finding"]]) > 1:
            name = result["claim"].rpartition("::")[2].replace("_", " ")
            result["title"] = f"{result['title'].removesuffix(f': {name}')}: {name}"


def soundness(docs: Sequence[Mapping[str, Any]]) -> bool | None:
    """False when a control is broken, True when a positive and a negative did their work and none is broken, else None."""
    if any(doc["ok"] is False for doc in docs):
        return False
    done = {doc["kind"] for doc in docs if doc["ok"]}
    return True if {"positive", "negative"} <= done else None


def _paper(paper: Paper, results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    executed = {result["finding"] for result in results}
    return {
        "slug": paper.slug,
        "title": paper.title,
        "identifier": paper.identifier,
        "year": paper.year,
        "url": paper.url,
        "authors": paper.authors,
        "findings": [
            {
                "finding": finding.id,
                "statement": finding.statement,
                "status": "executable" if finding.id in executed or not finding.reason else "registered",
                "reason": finding.reason,
            }
            for finding in paper.findings
        ],
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def _cpu() -> str:
    if sys.platform == "linux":
        try:
            with open("/proc/cpuinfo") as file:
                for line in file:
                    if line.startswith("model name"):
                        return line.partition(":")[2].strip()
        except OSError:
            pass
    return platform.processor() or platform.machine()
