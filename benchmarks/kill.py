"""SIGKILL at random moments of a real run, then finishing it: the same verdicts and replicates as an undisturbed run.

    python benchmarks/kill.py [--kills 20] [--seed 0] [claims and other words for `claimbench run`]

Two stores are filled, one in peace and one under fire. Prints what was compared; exit code 1 on any difference.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from claimbench.running.store import Store


def command(folder: Path, words: list[str]) -> list[str]:
    place = [f"--store={folder / 'store'}", f"--report={folder / 'report'}", "-q", "-p", "no:cacheprovider"]
    return [sys.executable, "-m", "claimbench", "run", *words, *place]


def finish(folder: Path, words: list[str]) -> tuple[dict[str, Any], float]:
    """Run to the end; verdicts and replicates by item, and the seconds it took."""
    started = time.perf_counter()
    done = subprocess.run(command(folder, words), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode not in (0, 1):
        sys.exit(f"the run itself failed ({done.returncode}):\n{done.stderr}")
    results = json.loads((folder / "report" / "results.json").read_text())["results"]
    found = {r["item"]: {name: r[name] for name in ("verdict", "reason", "replicates", "effects")} for r in results}
    return found, time.perf_counter() - started


def kill(folder: Path, words: list[str], after: float) -> bool:
    """Start a run and SIGKILL it after so many seconds; whether it was still running."""
    process = subprocess.Popen(command(folder, words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def entries(folder: Path) -> list[str]:
    """Keys of the store; each entry is read, so a torn one is an error."""
    store = Store(folder / "store")
    keys = [path.stem for path in (store.folder / "entries").rglob("*.json") if not path.name.startswith(".")]
    return sorted(key for key in keys if store.get(key) is not None)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    asked, words = parser.parse_known_args()
    words = words or ["claims", "--with-controls", "--profile", "smoke"]
    moments = random.Random(asked.seed)
    folder = Path(tempfile.mkdtemp(prefix="claimbench-kill-"))
    peace, fire = folder / "peace", folder / "fire"
    try:
        whole, seconds = finish(peace, words)
        print(f"undisturbed: {len(whole)} items, {len(entries(peace))} entries, {seconds:.0f} s")
        killed, stored = 0, 0
        for number in range(asked.kills):
            # Each start takes a few seconds before it measures; a share of the rest is left to each of the kills.
            if kill(fire, words, moments.uniform(0.5, max(8.0, 2.5 * seconds / asked.kills))):
                killed += 1
            stored = len(entries(fire)) if (fire / "store").is_dir() else 0
            print(f"kill {number + 1}: {stored} whole entries")
        resumed, rest = finish(fire, words)
        print(f"killed while running: {killed} of {asked.kills}; the rest took {rest:.0f} s")
        differing = [name for name in {*whole, *resumed} if whole.get(name) != resumed.get(name)]
        same = set(entries(peace)) == set(entries(fire))
        print(
            f"items that differ: {differing or 'none'}; stores hold "
            f"{'the same' if same else 'different'} keys ({len(entries(peace))} and {len(entries(fire))})"
        )
        return 1 if differing else 0
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
