"""What sweeps cost beside every peer, in one run: `make bench`, or `python -P benchmarks/bench.py [--quick] [ROW ...]`.

Each side runs in a process of its own (`side.py`) and they take turns within every repeat, so that a disturbance meets all.
A ratio is that of processor seconds, of one repeat; the median, the least and the largest of the repeats are given.
Then the trainer (`training.py`). Writes benchmarks/results.json and the table of docs/benchmarks.md after each group of
rows; groups that are named are measured anew, and the rows of the others stay. A side that is not installed is left out
by name.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PEERS = ("hooks", "nnsight", "transformer_lens")

FULL = {
    "gpt2": {"family": "gpt2", "layers": 12, "heads": 12, "groups": 12, "width": 768, "vocab": 50257, "rows": 8, "length": 64},
    "llama": {"family": "llama", "layers": 12, "heads": 12, "groups": 4, "width": 768, "vocab": 32000, "rows": 8, "length": 64},
}
#: A twelfth of the work; the unembedding has the same share of a forward pass.
QUICK = {
    "gpt2": {"family": "gpt2", "layers": 6, "heads": 6, "groups": 6, "width": 384, "vocab": 12500, "rows": 4, "length": 64},
    "llama": {"family": "llama", "layers": 6, "heads": 6, "groups": 2, "width": 384, "vocab": 12500, "rows": 4, "length": 64},
}
#: Repeats of a row; and, unless they are asked for, of rows that take a minute, and of those that take minutes.
REPEATS, LONG, LONGEST = 5, 3, 2
Row = dict[str, Any]


class Side:
    """A worker process that answers requests."""

    def __init__(self, name: str, shape: Row, threads: int) -> None:
        self.name = name
        command = [sys.executable, "-P", str(Path(__file__).with_name("side.py")), name, json.dumps(shape), str(threads)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.missing: str | None = self._read().get("missing")

    def ask(self, **request: Any) -> Row:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._read()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def _read(self) -> Row:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            return {"missing": f"the process ended with exit code {self.process.wait()}"}
        found: Row = json.loads(line)
        return found


class Bench:
    """The rows of one run."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.shapes = QUICK if options.quick else FULL
        self.rows: list[Row] = []
        self.left_out: dict[str, str] = {}
        self.group = ""

    def add(
        self, name: str, ratios: list[float], against: str, unit: str = "processor seconds", reach: str = "", **more: Any
    ) -> None:
        ratios = sorted(ratios)
        row = {"name": name, "ratio": ratios[len(ratios) // 2], "low": ratios[0], "high": ratios[-1], "against": against}
        row = {key: round(v, 4) if isinstance(v, float) else v for key, v in row.items()}
        self.rows.append({**row, "unit": unit, "reach": reach, "repeats": len(ratios), "group": self.group, **more})
        print(f"{name}: {row['ratio']} ({row['low']} to {row['high']}) of {against} {reach}", flush=True)

    def sides(self, names: tuple[str, ...], shape: Row) -> dict[str, Side]:
        found = {}
        for name in names:
            side = Side(name, shape, self.options.threads)
            if side.missing is None:
                found[name] = side
            else:
                self.left_out[name] = side.missing
                print(f"left out: {name}: {side.missing}", flush=True)
        return found

    def repeats(self, most: int) -> int:
        """Repeats of a row: as many as asked; if nothing was, no more than `most` on the full shapes. Every row says how many."""
        return self.options.repeats or (REPEATS if self.options.quick else min(REPEATS, most))

    # ---- rows

    def gpt2(self) -> None:
        """All heads of the GPT-2 shape, exactly: full logits, then the last token."""
        self._exact("gpt2")

    def llama(self) -> None:
        """All heads of the Llama shape with grouped queries, exactly: full logits, then the last token."""
        self._exact("llama")

    def _exact(self, family: str) -> None:
        shape = self.shapes[family]
        step = 1 if self.options.quick else self.options.every
        every = [[[at, head]] for at in range(shape["layers"]) for head in range(0, shape["heads"], step)]
        for last in (False, True):
            sides = self.sides(("claimbench", *PEERS, "matmuls"), shape)
            costs, error = self._rounds(sides, every, last)
            peers = {name: _median(costs[name]) for name in PEERS if name in costs}
            fastest = min(peers, key=lambda name: peers[name])
            what = f"exact sweep of {len(every)} heads, {family} shape, {'last token' if last else 'full logits'}"
            reach = "<= 0.45" if last else "<= 0.60"
            per = {name: round(_median(found), 4) for name, found in costs.items()}
            ours = costs["claimbench"]
            for name in peers:
                ratios = [mine / theirs for mine, theirs in zip(ours, costs[name], strict=True)]
                best = f"{name}{' (fastest peer)' if name == fastest else ''}"
                self.add(what, ratios, best, reach=reach if name == fastest else "", seconds_per_head=per, largest_difference=error)
            floor = [mine / least for mine, least in zip(ours, costs["matmuls"], strict=True)]
            self.add(what, floor, "bare matmuls that cannot be avoided", reach="" if last else "<= 1.25")
            for side in sides.values():
                side.close()

    def _rounds(self, sides: dict[str, Side], every: list[Any], last: bool) -> tuple[dict[str, list[float]], float]:
        """Processor seconds a head by side and repeat, and the largest difference of any value from that of the hooks."""
        costs: dict[str, list[float]] = {name: [] for name in sides}
        rng, error = random.Random(0), 0.0
        for repeat in range(-1, self.repeats(LONGEST)):  # the first one warms up
            some = sorted(rng.sample(range(len(every)), self.options.heads))
            values: dict[str, list[float]] = {}
            for name, side in sides.items():
                asked = every if name == "claimbench" and repeat >= 0 else [every[number] for number in some]
                found = side.ask(do="sweep", sets=asked, last=last)
                if repeat >= 0:
                    costs[name].append(found["seconds"] / (1 if name == "matmuls" else len(asked)))
                if "values" in found and repeat >= 0:
                    values[name] = [found["values"][number] for number in some] if name == "claimbench" else found["values"]
            for name, mine in values.items():
                worst = max(abs(one - other) for one, other in zip(mine, values["hooks"], strict=True))
                if worst > 1e-5:
                    print(f"{name} differs from plain hooks by {worst:.2g}", flush=True)
                error = max(error, worst)
        return costs, error

    def screened(self) -> None:
        """The twelve most important heads; a peer would need its exact loop over all heads."""
        shape = self.shapes["gpt2"]
        sides = self.sides(("claimbench", *PEERS), shape)
        every = [[[at, head]] for at in range(shape["layers"]) for head in range(shape["heads"])]
        top = 12 * len(every) // 144
        ratios: dict[str, list[float]] = {name: [] for name in PEERS if name in sides}
        told = []
        for side in sides.values():  # to warm up; the levers are tried too, once for a model
            side.ask(do="sweep", sets=every[:2])
        for repeat in range(self.repeats(LONG)):
            mine = sides["claimbench"].ask(do="screen", top=top, seed=repeat)
            for name in ratios:
                theirs = sides[name].ask(do="sweep", sets=every[repeat :: len(every) // 2][:2])
                ratios[name].append(mine["seconds"] / (theirs["seconds"] / 2 * len(every)))
            told.append((mine["confirmed"], mine["seconds"]))
        fastest = max(ratios, key=lambda name: _median(ratios[name]))
        what = f"the {top} most important of {len(every)} heads, screened"
        more = {"confirmed": [confirmed for confirmed, _ in told], "seconds": [round(seconds, 2) for _, seconds in told]}
        self.add(what, ratios[fastest], f"{fastest}, exact (fastest peer)", reach="<= 0.15", **more)
        for side in sides.values():
            side.close()

    def agreement(self) -> None:
        """Whether screening finds the heads of the exact sweep, on many prompt sets; a narrow shape of as many heads."""
        shape = {**self.shapes["gpt2"], "width": 16 * self.shapes["gpt2"]["heads"], "vocab": 8000, "rows": 4}
        sides = self.sides(("claimbench",), shape)
        every = [[[at, head]] for at in range(shape["layers"]) for head in range(shape["heads"])]
        top = 12 * len(every) // 144
        same, sets = 0, self.options.prompt_sets
        for seed in range(100, 100 + sets):
            mine = sides["claimbench"].ask(do="screen", top=top, seed=seed)
            exact = sides["claimbench"].ask(do="sweep", sets=every, seed=seed, top=top)
            same += [name.removeprefix("ablated ").removesuffix(" (zero)") for name in mine["top"]] == exact["top"]
        what = f"the {top} most important of {len(every)} heads, screened, width {shape['width']}: those of the exact sweep"
        self.add(what, [same / sets], f"{sets} prompt sets", "share of sets", ">= 0.95")
        for side in sides.values():
            side.close()

    def sets(self) -> None:
        """Random head sets against one target set: as many heads, anywhere."""
        shape = {**self.shapes["gpt2"], "rows": 2}
        sides, rng = self.sides(("claimbench", "hooks"), shape), random.Random(1)
        every = [[at, head] for at in range(shape["layers"]) for head in range(shape["heads"])]
        size = max(2, len(every) // 24)
        chosen = [rng.sample(every, size) for _ in range(25 if self.options.quick else 100)]
        ratios = []
        for side in sides.values():  # to warm up; the levers are tried too, once for a model
            side.ask(do="sweep", sets=chosen[:3])
        for repeat in range(self.repeats(LONG)):
            mine = sides["claimbench"].ask(do="sweep", sets=chosen)
            theirs = sides["hooks"].ask(do="sweep", sets=chosen[repeat::10][:6])
            ratios.append(theirs["seconds"] / len(chosen[repeat::10][:6]) * len(chosen) / mine["seconds"])
        what = f"{len(chosen)} random sets of {size} heads on 2 sequences, times faster"
        self.add(what, ratios, "one forward pass each (plain hooks)", "times", ">= 1.2")
        for side in sides.values():
            side.close()

    def late(self) -> None:
        """Single late positions, for which keys and values of the positions before them are kept; the last token's loss."""
        shape = self.shapes["gpt2"]
        sides, positions = self.sides(("claimbench", "hooks"), shape), range(shape["length"] - 4, shape["length"])
        sites = [[at, position] for at in range(shape["layers"]) for position in positions]
        ratios, error = [], 0.0
        for repeat in range(-1, self.repeats(REPEATS)):  # the first one warms up
            mine, some = sides["claimbench"].ask(do="late", sites=sites), sites[(repeat + 1) :: len(sites) // 2][:2]
            theirs = sides["hooks"].ask(do="late", sites=some)
            if repeat >= 0:
                ratios.append(mine["seconds"] / len(sites) / (theirs["seconds"] / len(some)))
            pairs = [(mine["values"][sites.index(at)], value) for at, value in zip(some, theirs["values"], strict=True)]
            error = max(error, *(abs(one - other) for one, other in pairs))
        what = f"exact sweep of {len(sites)} MLP outputs at the last 4 of {shape['length']} positions, last token"
        self.add(what, ratios, "hooks", largest_difference=error)
        for side in sides.values():
            side.close()

    def memory(self) -> None:
        """What a sweep adds to a process, over numbers of heads and over sequences in a pass; small shapes."""
        many = {}
        for layers, heads in ((6, 6), (12, 12), (24, 24)):
            many[layers * heads] = self._grown({**QUICK["gpt2"], "width": 192, "layers": layers, "heads": heads}, batch=4)
        self._curve("memory that a sweep adds, 4 sequences in a pass: 576 heads", many, "36 heads", "about 1")
        batches = {batch: self._grown({**QUICK["gpt2"], "width": 192, "rows": 32}, batch) for batch in (4, 8, 16, 32)}
        self._curve("memory that a sweep adds, 36 heads: 32 sequences in a pass", batches, "4 sequences", "")

    def _grown(self, shape: Row, batch: int) -> float:
        side = self.sides(("claimbench",), shape)["claimbench"]
        every = [[[at, head]] for at in range(shape["layers"]) for head in range(shape["heads"])]
        grown: float = side.ask(do="sweep", sets=every, memory=True, batch=batch)["grown_mb"]
        side.close()
        return grown

    def _curve(self, name: str, grown: dict[int, float], against: str, reach: str) -> None:
        first, *_, last = grown.values()
        curve = {str(key): round(megabytes, 1) for key, megabytes in grown.items()}
        self.add(name, [last / max(first, 1e-9)], against, "peak memory", reach, megabytes=curve)

    def cost(self) -> None:
        """Processor seconds a head over depth, width and length, with the exponent of a line through their logarithms."""
        base = {**QUICK["gpt2"], "layers": 4, "heads": 4, "width": 256, "vocab": 8000}
        for name, values in (("layers", (3, 6, 12)), ("width", (128, 256, 512)), ("length", (32, 64, 128, 256))):
            seconds = {}
            for value in values:
                shape = {**base, name: value}
                side = self.sides(("claimbench",), shape)["claimbench"]
                every = [[[at, head]] for at in range(shape["layers"]) for head in range(shape["heads"])]
                times = [side.ask(do="sweep", sets=every)["seconds"] / len(every) for _ in range(3)]
                seconds[value] = min(times)
                side.close()
            curve = {str(value): round(cost, 5) for value, cost in seconds.items()}
            self.add(f"cost of a head over {name}, exponent", [_slope(seconds)], "itself", "exponent", seconds_per_head=curve)

    def tasks(self) -> None:
        """A task of lm-eval under an intervention, beside lm-eval's own run of it."""
        side = self.sides(("tasks",), QUICK["gpt2"]).get("tasks")
        if side is None:
            return
        self._task(side, 1, ("own", "zero", "mean"), self.repeats(LONGEST))
        if not self.options.quick:
            self._task(side, 3, ("zero",), self.repeats(LONG), reach="<= 1.05")
        side.close()

    def _task(self, side: Side, times: int, arms: tuple[str, ...], repeats: int, reach: str = "") -> None:
        asked = {"times": times, "heads": [[0, 0], [1, 1], [2, 2]]}
        seconds: dict[str, list[float]] = {name: [] for name in ("stock", *arms)}
        for repeat in range(-1 if times == 1 else 0, repeats):  # the first one warms up
            for name, found in seconds.items():
                took = side.ask(do=name, **asked)["seconds"]
                found += [took] if repeat >= 0 else []
        for name, what, reached in (
            ("own", "without an intervention", ""),
            ("zero", "three heads write zeros", reach),
            ("mean", "three heads write their means (which take a pass over all items)", ""),
        ):
            if name not in arms:
                continue
            ratios = [mine / stock for mine, stock in zip(seconds[name], seconds["stock"], strict=True)]
            self.add(f"lm-eval task of {96 * times} items, {what}", ratios, "plain lm-eval", reach=reached)

    def claims(self) -> None:
        """A claim with prompts, two passes each replicate, receipts, store and verdict, beside the passes that it makes."""
        side = self.sides(("claims",), self.shapes["gpt2"])["claims"]
        made = [side.ask(do="claim", seed=repeat) for repeat in range(self.repeats(LONG) + 1)][1:]  # the first one warms up
        told = {key: made[0][key] for key in ("verdict", "replicates", "sequences", "asked")}
        what = "a claim, from prompts to verdict"
        self.add(what, [one["seconds"] / one["bare"] for one in made], "its forward passes, bare", reach="<= 1.05", **told)
        asked = [one["seconds"] / (one["bare"] * one["asked"] / one["sequences"]) for one in made]
        self.add(what, asked, "those that its lines ask for, without receipts and checks", **told)
        side.close()

    def training(self) -> None:
        """The trainer beside a bare loop, and seeds together: `training.py`, whose rows are taken over."""
        command = [sys.executable, "-P", str(Path(__file__).with_name("training.py"))]
        subprocess.run([*command, *(["--quick"] if self.options.quick else [])], check=True)
        found = json.loads(Path(__file__).with_name("training.json").read_text())
        self.rows += [{**row, "reach": row.get("reach", ""), "group": self.group} for row in found["rows"]]


def _median(numbers: list[float]) -> float:
    return sorted(numbers)[len(numbers) // 2]


def _slope(points: dict[int, float]) -> float:
    x, y = [math.log(value) for value in points], [math.log(cost) for cost in points.values()]
    a, b = sum(x) / len(x), sum(y) / len(y)
    return sum((p - a) * (q - b) for p, q in zip(x, y, strict=True)) / sum((p - a) ** 2 for p in x)


def machine() -> Row:
    """What the figures were measured on."""
    cpu = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), platform.machine()
    )
    return {"cpu": cpu, "cores": os.cpu_count(), "python": platform.python_version(), "load": round(os.getloadavg()[0], 1)}


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def table(found: Row) -> str:
    head = "| what | ratio | least to largest | against | reach |\n| --- | --: | --- | --- | --- |"
    lines = [
        f"| {r['name']} | {r['ratio']:.3g} | {r['low']:.3g} to {r['high']:.3g} | {r['against']} | {r['reach']} |"
        for r in found["rows"]
    ]
    notes = [f"Left out: {name} ({why})." for name, why in found["left_out"].items()]
    where = ", ".join(f"{key} {value}" for key, value in found["machine"].items())
    return "\n".join([head, *lines, "", f"{found['mode']} run, {found['threads']} thread; {where}.", *notes])


ROWS: dict[str, Callable[[Bench], None]] = {
    "screened": Bench.screened,
    "sets": Bench.sets,
    "tasks": Bench.tasks,
    "claims": Bench.claims,
    "gpt2": Bench.gpt2,
    "llama": Bench.llama,
    "late": Bench.late,
    "memory": Bench.memory,
    "cost": Bench.cost,
    "agreement": Bench.agreement,
    "training": Bench.training,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="smaller shapes: a few minutes in place of forty")
    parser.add_argument("--repeats", type=int, help=f"of a row; by default {REPEATS}, {LONG} or {LONGEST} of a long one")
    parser.add_argument("--heads", type=int, default=3, help="heads that a naive peer runs in each repeat; each costs it the same")
    parser.add_argument("--every", type=int, default=2, help="of the full shapes our exact sweeps take every so-manieth head")
    parser.add_argument("--prompt-sets", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if unknown := [name for name in options.rows if name not in ROWS]:
        parser.error(f"unknown row {unknown[0]}; choose from {', '.join(ROWS)}")
    bench = Bench(options)
    names, began = options.rows or list(ROWS), time.monotonic()
    for number, name in enumerate(names, 1):
        print(f"[{number}/{len(names)}, {(time.monotonic() - began) / 60:.0f} min] {name}: {ROWS[name].__doc__}", flush=True)
        bench.group = name
        try:
            ROWS[name](bench)
        except (KeyError, subprocess.CalledProcessError) as error:  # a side that broke off gives no seconds
            bench.left_out[f"rows {name}"] = f"a side broke off: {error!r}"
            print(f"left out: rows {name}: {error!r}", flush=True)
        write(
            {
                "mode": "quick" if options.quick else "full",
                "threads": options.threads,
                "machine": machine(),
                "left_out": bench.left_out,
                "rows": [{"machine": machine()["cpu"], **row} for row in bench.rows],
            },
            names[:number],
        )


def write(found: Row, measured: Sequence[str]) -> None:
    """results.json, and the table in the documentation. Rows of groups that were not measured stay.

    Some groups of one mode do not take the place of a run of the other mode.
    """
    file = ROOT / "benchmarks" / "results.json"
    if len(measured) < len(ROWS) and file.exists():
        before = json.loads(file.read_text())
        if before["mode"] != found["mode"]:
            return
        kept = [row for row in before["rows"] if row.get("group", "") in ROWS and row["group"] not in measured]
        found["rows"] = sorted([*kept, *found["rows"]], key=lambda row: list(ROWS).index(row["group"]))
    file.write_text(json.dumps(found, indent=1) + "\n")
    page = ROOT / "docs" / "benchmarks.md"
    text = page.read_text(encoding="utf-8")
    before, rest = text.split("<!-- begin results -->\n")
    after = rest.split("<!-- end results -->")[1]
    page.write_text(f"{before}<!-- begin results -->\n{table(found)}\n<!-- end results -->{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
