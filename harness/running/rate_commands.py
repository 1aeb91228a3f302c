"""The commands `calibrate` and `power`: words, tables and exit codes. What they do lies beside this."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Add = Callable[..., argparse.ArgumentParser]


def add_to(add: Add) -> None:
    """Add the commands to the parser."""
    found = add("calibrate", "measure how often claims support what is absent, at the edge and what is planted", _calibrate)
    found.add_argument("claims", nargs="*", metavar="CLAIM", help="findings, claims, papers, files or folders (default: all)")
    found.add_argument("--json", action="store_true", help="as JSON")
    found.add_argument("--jobs", type=int, default=2, metavar="N", help="processes (default: 2)")
    found.add_argument("--verdicts", type=int, default=36, metavar="N", help="whole verdicts for each direct rate (default: 36)")
    found.add_argument("--record", action="store_true", help="commit the rates beside the claims, in calibration.json")
    found.add_argument("--store", metavar="PATH", help="where measurements are kept")
    found.add_argument("--seed", default="0", metavar="N", help="root of all random streams (default: 0)")

    found = add("power", "from pilot replicates, how many replicates a claim needs to see an effect at a distance", _power)
    found.add_argument("claim", metavar="CLAIM", help="a finding or a claim")
    found.add_argument("--at", type=float, metavar="D", help="distance inside the region's edge, on its scale")
    found.add_argument("--pilot", type=int, default=6, metavar="N", help="pilot replicates, burned (default: 6)")
    found.add_argument("--on", metavar="SUBJECT", help="a family, a shipped model or a path (default: the claim's first subject)")
    found.add_argument("--json", action="store_true", help="as JSON")
    found.add_argument("--store", metavar="PATH", help="where measurements are kept")
    found.add_argument("--seed", default="0", metavar="N", help="root of all random streams (default: 0)")
    found.add_argument("--profile", default="standard", metavar="NAME", help="smoke, standard or full (default: standard)")


def _calibrate(asked: argparse.Namespace) -> int:
    from ..errors import UsageError
    from .calibrate_run import calibrate
    from .options import checked
    from .selecting import selected

    if asked.jobs < 1:
        raise UsageError(f"--jobs {asked.jobs} is no number of processes: use 1 or more")
    options = checked(store=asked.store, seed=asked.seed)
    claims = selected(asked.claims)
    found = calibrate(claims, options, verdicts=asked.verdicts, jobs=asked.jobs, root=Path.cwd(), record=asked.record)
    print(json.dumps(found, indent=1) if asked.json else rates_text(found))
    return 0


def rates_text(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Rows of calibration as text, a table a claim."""
    from tabulate import tabulate

    from ..reporting import words

    said = []
    for identity, rows in found.items():
        table = [[words.RATES[row["what"]], row["of"], row["on"], words.rate(row), row["tier"], words.met(row)] for row in rows]
        heads = ["support rate", "of", "on", "share [interval]", "tier", "bound"]
        said.append(f"{identity}\n{tabulate(table, headers=heads, tablefmt='simple', disable_numparse=True)}\n")
    return "\n".join(said)


def in_short(entries: Sequence[Mapping[str, Any]], root: Path) -> dict[str, str]:
    """By finding of the catalogue how many direct rates of its claims meet their bound, as committed; imports no claim."""
    from .keep import rates_of_all

    kept, found = rates_of_all(root), {}
    for entry in entries:
        names = [f"{Path(file).parent.name}/{name}" for file, _, name in (identity.partition("::") for identity in entry["claims"])]
        rows = [row for name in names for row in (kept[name]["rows"] if name in kept else ())]
        counted = [row for row in rows if row["tier"] in ("direct", "exact")]
        met = f"{sum(bool(row['meets']) for row in counted)} of {len(counted)} met" if counted else "none direct"
        found[entry["finding"]] = met if rows else "none" if names else ""
    return found


def listed() -> str:
    """The calibration of every claim in one line, with what of it is stale."""
    from ..reporting import words
    from .keep import calibration_of
    from .selecting import selected

    found = {identity: calibration_of(claim) for identity, claim in selected([]).items()}
    return "\n".join(f"{identity}: {words.calibration(entry) if entry else 'not calibrated'}" for identity, entry in found.items())


def _power(asked: argparse.Namespace) -> int:
    from .options import checked
    from .power import power, power_text
    from .selecting import one

    identity, claim = one(asked.claim)
    options = checked(store=asked.store, seed=asked.seed, profile=asked.profile)
    found = power(claim, identity, options, at=asked.at, pilot=asked.pilot, on=asked.on)
    print(json.dumps(found, indent=1) if asked.json else power_text(found))
    return 0
