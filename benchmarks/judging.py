"""Seconds to judge what a store already holds: `python -P benchmarks/judging.py [--items 1667] [--json]`.

Each item is a claim on a simulation with six stored replicates and a rerun, 1,667 of them hold 10,000 results. All is done
that a run does for an item: keys, reading, checksums, verdict, result, history. Processor seconds of the first judging,
which writes the history, and of a repeat. The store is made here, without measuring, in a temporary folder.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from claimbench import above, claim, negative, positive, simulation, step
from claimbench.running.item import Item, items_of
from claimbench.running.measure import parts_of
from claimbench.running.options import checked
from claimbench.running.session import Session


@step
def size(rng: Any) -> float:
    """How large it is."""
    return float(rng.normal())


@step
def none(rng: Any) -> float:
    """Nothing."""
    return 0.0


@claim(
    "bench/judging",
    on=simulation("numbers"),
    holds=above(0.1),
    why="a benchmark",
    documented="nothing",
    controls=[positive(scale=3.0), negative(size=none)],
)
def judged(size: float, scale: float = 1.0) -> float:
    """The size of a number.

    Drawn from a normal distribution.
    """
    return size * scale


def items(count: int) -> list[Item]:
    """As many items, each of a finding of its own."""
    made = (dataclasses.replace(judged, finding=f"bench/judging-{i}") for i in range(count))
    return [next(iter(items_of(one, f"bench.py::{one.finding}"))) for one in made]


def bodies(item: Item, rng: np.random.Generator) -> Iterator[tuple[dict[str, Any], dict[str, Any], int]]:
    """(part, body, index) of six replicates, as a measurement would have stored them."""
    at = rng.choice([-2.0, 0.1, 2.0])
    for index in range(6):
        value = float(at + 0.3 * rng.normal())
        body = {
            "index": index, "problem": None, "effects": {"effect": [value, value]}, "drawn": f"{item.id}{index}",
            "observations": {}, "receipts": [], "forward_passes": 0, "seconds": 0.1, "peak_memory_mb": 100.0,
        }  # fmt: skip
        for part in parts_of(item, index):
            yield part, body, index


def fill(session: Session, mine: list[Item], rng: np.random.Generator) -> None:
    """Store every replicate; not waiting for the disk, since the store is thrown away."""
    waiting = os.fsync
    os.fsync = lambda _: None
    try:
        for item in mine:
            for part, body, index in bodies(item, rng):
                session.store.put(session.measurer.keys.of(item, part, index), body)
    finally:
        os.fsync = waiting


def timed(session: Session, mine: list[Item]) -> dict[str, Any]:
    """Judge the items; seconds and how many came out as what."""
    wall, processor = time.perf_counter(), time.process_time()
    verdicts = Counter(session.run(item)["verdict"] for item in mine)
    used = {"processor_seconds": time.process_time() - processor, "seconds": time.perf_counter() - wall}
    return {**{name: round(value, 2) for name, value in used.items()}, "verdicts": dict(verdicts)}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--items", type=int, default=1667)
    asked.add_argument("--json", action="store_true", help="as one line of JSON")
    found = asked.parse_args()
    mine, rng = items(found.items), np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        options = checked(store=folder, profile="smoke")
        fill(Session(options), mine, rng)
        rows = {name: timed(Session(options), mine) for name in ("first", "repeat")}
    if found.json:
        print(json.dumps(rows))
    else:
        for name, row in rows.items():
            print(f"{name}: {row}; {found.items} items, {6 * found.items} replicates")


if __name__ == "__main__":
    main()
