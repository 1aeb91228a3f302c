"""The command `claimbench`: list and show findings, run and measure claims, and keep what is committed beside them."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from .commands import Commands
from .errors import ClaimbenchError, UsageError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code. A user's mistake is one line, never a traceback."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        parser = _parser()
        parser.check(words)
        if words[:1] and words[0] in ("run", "measure"):  # everything behind these belongs to pytest, but --jobs
            from .commands import run_help
            from .running import command

            if {"-h", "--help"} & set(words[1:]):
                print(run_help.text(words[0]), end="")
                return 0
            return command.run(words[1:]) if words[0] == "run" else command.measure(words[1:])
        asked = parser.parse_args(words)
        if asked.command is None:
            parser.print_help()
            return 0
        return int(asked.do(asked))
    except ClaimbenchError as error:
        print(f"claimbench: {error}", file=sys.stderr)
        return 4
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("claimbench: interrupted; what is measured stays measured", file=sys.stderr)
        return 130


def _parser() -> Commands:
    parser = Commands()
    parser.add_argument("--version", action="version", version=f"claimbench {version('claimbench')}")
    add = parser.add
    listing = add("list", "list every finding: executable or only registered", _list)
    form = listing.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="as a JSON array")
    form.add_argument("--names", action="store_true", help="only the names, one a line")
    form.add_argument("--rates", action="store_true", help="the calibration of every claim, and what of it is stale")
    show = add("show", "show one finding: statement, protocol, region, controls, committed verdicts", _show)
    show.add_argument("finding", metavar="FINDING", help="as `claimbench list` shows it")
    add("run", "measure in parallel, then judge and report; takes pytest's options", None)
    add("measure", "measure in parallel and judge nothing; takes pytest's options", None)
    lock = add("lock", "fix regions and protocols of claims as they stand (before measuring them)", _lock)
    lock.add_argument("folder", nargs="*", type=Path, help="claims folders or files (default: claims)")
    lock.add_argument("--reason", default="", help="why a locked claim changes")
    lock.add_argument("--measured-before", action="store_true", help="say that a measurement existed before this lock")
    lock.add_argument("--store", type=Path, help="where measurements would be, which the lock then says of itself")
    catalogue = add("catalogue", "generate the catalogue that `list` reads", _catalogue)
    catalogue.add_argument("folder", nargs="?", type=Path, default=Path("claims"))
    families = add("families", "run every kind of instrument on a tiny network of each model family: a table", _families)
    families.add_argument("family", nargs="*", help="some families only, like llama gpt2")
    families.add_argument("--json", action="store_true", help="as a JSON array, with what was measured")
    families.add_argument("--write", type=Path, metavar="FILE", help="write the page of the documentation")
    fresh = add("new", "write a claim that runs, its card and a test for a finding, to start from", _new)
    fresh.add_argument("finding", metavar="PAPER/FINDING", help="as it is to be called, or as `list` shows it")
    fresh.add_argument("--root", type=Path, default=Path("."), help="folder with claims/ and tests/ (default: this one)")
    record = add("record", "commit costs and control verdicts from a results.json beside the claims", _record)
    record.add_argument("results", type=Path)
    from .commands import completion
    from .comparing import command as compare_command
    from .publishing import command as publish_command
    from .running import rate_commands, store_command, trends, trust_commands

    for room in (trends, compare_command, publish_command, trust_commands, rate_commands, store_command):
        room.add_to(add)
    completion.add_to(add, parser)
    return parser


def _list(asked: argparse.Namespace) -> int:
    from .running.catalogue import read
    from .running.collecting import claims_root

    if asked.rates:
        from .running.rate_commands import listed

        print(listed())
        return 0
    entries = read(claims_root())
    if asked.json:
        print(json.dumps(entries, indent=1))
        return 0
    if asked.names:
        print("\n".join(entry["finding"] for entry in entries))
        return 0
    from tabulate import tabulate

    from .running.rate_commands import in_short

    rates = in_short(entries, claims_root())
    rows = [[e["finding"], e["status"], e["evidence"] or "", rates[e["finding"]], e["title"]] for e in entries]
    widths = None
    if sys.stdout.isatty() and (columns := shutil.get_terminal_size().columns) < 130:  # in a file or a pipe a row is a line
        widths = [None, None, 10, 10, max(20, columns - 87)]
    print(tabulate(rows, headers=["finding", "status", "evidence", "rates", "title"], tablefmt="simple", maxcolwidths=widths))
    ready = sum(e["status"] == "executable" for e in entries)
    print(f"\n{len(entries)} findings, {ready} executable; `claimbench show FINDING` tells more")
    return 0


def _show(asked: argparse.Namespace) -> int:
    from .running.show import show

    print(show(asked.finding))
    return 0


def _lock(asked: argparse.Namespace) -> int:
    from .running.collecting import load_all_organisms, load_claims
    from .running.committed import lock
    from .running.options import DEFAULT_STORE
    from .running.trust import in_store

    load_all_organisms([], Path.cwd())
    claims = load_claims(asked.folder or [Path("claims")], Path.cwd())
    store = asked.store or Path(os.environ.get("CLAIMBENCH_STORE") or DEFAULT_STORE)
    changed = [
        claim.name
        for identity, claim in claims.items()
        if lock(claim, measured_before=asked.measured_before or in_store(claim, identity, store), reason=asked.reason)
    ]
    print(f"{len(changed)} of {len(claims)} claims locked" + (": " + ", ".join(changed) if changed else ""))
    return 0


def _new(asked: argparse.Namespace) -> int:
    from .authoring.new import new

    written = new(asked.finding, asked.root)
    print("\n".join([*(f"wrote {path}" for path in written.files), "", *written.next_steps]))
    return 0


def _catalogue(asked: argparse.Namespace) -> int:
    from .paper import read_cards
    from .running.catalogue import build, write
    from .running.collecting import load_all_organisms, load_claims

    load_all_organisms([], Path.cwd())
    entries = build(read_cards([asked.folder]), load_claims([asked.folder], Path.cwd()))
    print(f"{write(asked.folder, entries)}: {len(entries)} findings")
    return 0


def _families(asked: argparse.Namespace) -> int:
    from .reporting.families import markdown, write
    from .subjects.bearing import bearings

    if asked.write and asked.family:
        raise UsageError("--write FILE is the whole table: name no families with it")
    found = bearings(asked.family)
    if asked.json:
        print(json.dumps([one.to_json() for one in found], indent=1))
    elif asked.write:
        print(f"{write(asked.write, found)}: {len(found)} families")
    else:
        print(markdown(found))
    return 0


def _record(asked: argparse.Namespace) -> int:
    from .reporting import load_results
    from .running.collecting import claims_in_results, load_all_organisms
    from .running.keep import record

    load_all_organisms([], Path.cwd())
    results = load_results(asked.results)["results"]
    for path in record(results, claims_in_results(results, Path.cwd())):
        print(path)
    return 0
