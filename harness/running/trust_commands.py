"""The commands `audit`, `robust`, `check` and `replay`: words, progress and exit codes. What they do lies beside this."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Add = Callable[..., argparse.ArgumentParser]
CLAIMS = "findings, claims, papers, files or folders (default: all)"


def add_to(add: Add) -> None:
    """Add the commands to the parser."""
    found = add("audit", "plant faults in claims and list which are noticed, and how", _audit)
    found.add_argument("claims", nargs="*", metavar="CLAIM", help=CLAIMS)
    found.add_argument("--json", action="store_true", help="as JSON")
    found.add_argument("--record", action="store_true", help="commit the outcome beside the claims, in audit.json")
    found.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (default: 1)")
    _measuring(found)

    found = add("robust", "measure a claim under every reasonable combination of its choices", _robust)
    found.add_argument("claim", metavar="CLAIM", help="a finding or a claim")
    found.add_argument("--model", metavar="PATH", help="on this model; by default on the claim's first family")
    found.add_argument("--dtypes", metavar="LIST", help="precisions (default: float32, on a given model float32,bfloat16)")
    found.add_argument("--most", type=int, default=64, metavar="N", help="specifications, fewest changes first (default: 64)")
    found.add_argument("--json", action="store_true", help="as JSON")
    found.add_argument("--record", action="store_true", help="commit the curve beside the claim, in robust.json")
    _measuring(found, "smoke")

    found = add("check", "check claims for their author: purity, controls, audit, lock, length, and what a reviewer asks", _check)
    found.add_argument("claims", nargs="+", metavar="FILE", help="claim files, findings or claims")
    found.add_argument("--no-measure", action="store_true", help="only what can be read from the files")
    found.add_argument(
        "--minutes", type=float, default=10.0, metavar="N", help="for measuring each claim; the rest is skipped (default: 10)"
    )
    _measuring(found)

    found = add("replay", "measure one replicate of a result again and show the difference", _replay)
    found.add_argument("replicate", metavar="RESULT#REPLICATE", help="a result's item id or finding, and the index")
    found.add_argument("--results", type=Path, default=Path("report/results.json"), metavar="FILE", help="a results.json")
    found.add_argument("--store", metavar="PATH", help="where its measurements are kept, for the receipts")


def _measuring(found: argparse.ArgumentParser, profile: str = "standard") -> None:
    found.add_argument("--store", metavar="PATH", help="where measurements are kept")
    found.add_argument("--seed", default="0", metavar="N", help="root of all random streams (default: 0)")
    found.add_argument("--profile", default=profile, metavar="NAME", help=f"smoke, standard or full (default: {profile})")


def _options(asked: argparse.Namespace, **more: Any) -> Any:
    from .options import checked

    return checked(store=asked.store, seed=asked.seed, profile=asked.profile, **more)


def _audit(asked: argparse.Namespace) -> int:
    from .audit_run import audit_all
    from .selecting import selected
    from .trust import AUDIT, keep

    claims = selected(asked.claims)

    def done(identity: str, entry: dict[str, Any]) -> None:
        if asked.record:
            keep(claims[identity], AUDIT, entry)

    found = audit_all(claims, _options(asked), jobs=asked.jobs, root=Path.cwd(), done=done)
    if asked.json:
        print(json.dumps(found, indent=1))
    else:
        print(audit_text(found))
    return 1 if any(speaks_against(entry) for entry in found.values()) else 0


def _robust(asked: argparse.Namespace) -> int:
    from ..reporting import words
    from .audit_run import finding_of
    from .item import model_subject
    from .progress import Bar
    from .robust import DTYPES, each, robust
    from .selecting import one
    from .session import Session
    from .trust import ROBUST, keep

    identity, claim = one(asked.claim)
    model = model_subject(asked.model) if asked.model else None
    dtypes = asked.dtypes.split(",") if asked.dtypes else DTYPES if model else DTYPES[:1]
    sessions = {dtype: Session(_options(asked, dtype=dtype)) for dtype in dtypes}
    card = finding_of(claim)
    with Bar(unit="specification") as bar:
        entry = robust(
            claim, identity, sessions, subject=model, most=asked.most,
            unreasonable=card.unreasonable if card else {}, say=bar.show,
        )  # fmt: skip
    if asked.record:
        keep(claim, ROBUST, entry)
    if asked.json:
        print(json.dumps(entry, indent=1))
    else:
        print("\n".join(f"{verdict:15} {what}" for what, verdict in each(entry)) + f"\n\n{words.trust(entry)}")
    return 1 if entry["counts"]["opposite verdict"] else 0


def _check(asked: argparse.Namespace) -> int:
    from ..reporting import words
    from .check import check
    from .progress import Bar
    from .selecting import selected
    from .session import Session

    session, states = Session(_options(asked)), Counter[str]()
    for identity, claim in selected(asked.claims).items():
        print(identity)
        with Bar(unit="second") as bar:

            def say(gone: float, all_of: float, what: str, bar: Bar = bar) -> None:
                bar.show(int(gone), int(all_of), what)

            measure = not asked.no_measure
            for line in check(claim, identity, session, Path.cwd(), measure=measure, minutes=asked.minutes, say=say):
                print(f"  {line.state:4}  {line.name:16} {line.text}", flush=True)
                states[line.state] += 1
    print(f"\n{states['FAIL']} to mend" if states["FAIL"] else "\nnothing to mend; the questions are the reviewer's")
    if states["skip"]:
        lacking = words.count(states["skip"], "check")
        print(f"{lacking} not made for lack of time: give more --minutes, or run this again, what was measured is kept")
    return 1 if states["FAIL"] or states["skip"] else 0


def _replay(asked: argparse.Namespace) -> int:
    from tabulate import tabulate

    from ..reporting import load_results
    from .replay import replay

    found = replay(load_results(asked.results), asked.replicate, asked.store, Path.cwd())
    told = {True: "same", False: "DIFFERS"}
    rows = [[*row[:3], told.get(row[3], "" if row[1] == row[2] or not row[2] else "other")] for row in found.rows]  # type: ignore[arg-type]
    print(f"{found.item}, replicate {found.index}")
    print(tabulate(rows, headers=["", "stored", "now", ""], tablefmt="simple", disable_numparse=True))
    print("the same within the tolerance of a rerun" if found.same else "NOT the same")
    return 0 if found.same else 1


def speaks_against(entry: Mapping[str, Any]) -> bool:
    """Whether an audit found a defect: a fault that leaves SUPPORTED standing, an outlier that turns it, or no SUPPORTED."""
    return not entry["faults"] or any(found["outcome"] == "unnoticed" for found in entry["faults"].values())


def audit_text(entries: Mapping[str, Mapping[str, Any]]) -> str:
    """Audits as text, one line for each fault."""
    from tabulate import tabulate

    from ..reporting import words

    said = []
    for identity, entry in entries.items():
        said.append(f"{identity}: {entry['verdict']} as {entry['as']} on {entry['subject']} without a fault")
        rows = [
            [found["title"], _OUTCOMES[found["outcome"]], found["by"], found["reason"][:90]] for found in entry["faults"].values()
        ]
        said += [tabulate(rows, headers=["fault", "outcome", "by", "what was said"], tablefmt="simple")] if rows else []
        said.append(words.trust(entry) + "\n")
    return "\n".join(said)


_OUTCOMES = {
    "noticed": "noticed",
    "kept": "turned nothing",
    "unnoticed": "UNNOTICED",
    "exempt": "explained on the card",
    "absent": "does not apply",
}
