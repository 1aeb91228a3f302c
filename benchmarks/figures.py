"""Seconds and memory of the commands that people wait for, measured in one run: `python benchmarks/figures.py`.

Writes `benchmarks/figures.json`. A cold store is a new folder; the repeat uses the same one. Figures are wall time on this
machine, once each, since a run takes minutes; compare them with those of the same file on the same machine only.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
RUN = [sys.executable, "-m", "claimbench", "run", "claims", "--with-controls", "-q", "-p", "no:cacheprovider"]


def timed(name: str, command: list[str], **environment: str) -> dict[str, object]:
    """Run a command; its seconds, its exit code, and the peak memory of it and its children together, MB."""
    print(f"{name} ...", end=" ", flush=True)
    started = time.perf_counter()
    process = psutil.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdout=-3, stderr=-3)
    peak = [0.0]

    def watch() -> None:
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            try:
                family = [process, *process.children(recursive=True)]
                peak[0] = max(peak[0], sum(one.memory_info().rss for one in family) / 2**20)
            except psutil.Error:
                pass
            time.sleep(0.2)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    code = process.wait()
    watcher.join(timeout=1)
    seconds = time.perf_counter() - started
    print(f"{seconds:.1f} s, {peak[0]:.0f} MB, exit code {code}")
    return {"name": name, "seconds": round(seconds, 1), "peak_memory_mb": round(peak[0]), "exit_code": code}


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for profile in ("smoke", "standard"):
            command = [*RUN, "--profile", profile, "--store", f"{folder}/{profile}", "--report", f"{folder}/report"]
            rows.append(timed(f"make claims, {profile}, cold store", command))
            rows.append(timed(f"make claims, {profile}, repeated", command))
        pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        rows.append(timed("pytest claims --collect-only", [*pytest, "claims", "--collect-only"]))
        rows.append(timed("claimbench list", [sys.executable, "-m", "claimbench", "list"]))
        judging = [sys.executable, "-P", str(ROOT / "benchmarks" / "judging.py"), "--json"]
        for name, row in json.loads(subprocess.run(judging, capture_output=True, check=True, text=True).stdout).items():
            rows.append({"name": f"judging 10,000 stored results, {name}", **row})
        models = sorted(str(path) for path in (ROOT / "fixtures" / "models").iterdir() if path.is_dir())
        given = [word for path in models for word in ("--model", path)]
        rows.append(timed("pytest claims --model (shipped)", [*pytest, "claims", *given, "--store", f"{folder}/model"]))
    machine = {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}
    target = ROOT / "benchmarks" / "figures.json"
    target.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")
    print(target)


if __name__ == "__main__":
    main()
