"""The table of tasks in docs/real-run.md, every set that ships asked of models: `python docs/site/asked.py MODEL ...`."""

from __future__ import annotations

import sys
from statistics import median

from claimbench.errors import NotApplicable, UsageError
from claimbench.measures.task_sets import find_task, shipped_tasks, suited
from claimbench.measures.tasks import margins, task_prompts
from claimbench.subjects.lm import LM
from claimbench.subjects.loading import load_model
from tables import ROOT, put
from tabulate import tabulate

#: What the claims on a task require of a model: accuracy, and logits between the right answer and the wrong one.
ACCURACY, MARGIN = 0.75, 1.0


def answered(lm: LM, name: str) -> tuple[int, float, float] | None:
    """Items of a set that suit the model, accuracy among the two answers, mean margin in logits; None where it cannot be asked."""
    try:
        task = suited(find_task(name), [(lm.name, lm.tokenizer)])
        found = margins(lm, task_prompts(lm, task))
    except (NotApplicable, UsageError):
        return None
    return len(found), float((found > 0).mean() + 0.5 * (found == 0).mean()), float(found.mean())


def row(lm: LM) -> list[str]:
    """What a model makes of all sets, in numbers, and of the set that it does best."""
    asked = {name: answered(lm, name) for name in shipped_tasks()}
    found = {name: each for name, each in asked.items() if each is not None}
    able = sum(accuracy >= ACCURACY and margin >= MARGIN for _, accuracy, margin in found.values())
    if not found:
        return [lm.name, "0", "–", "–", "–"]
    best = max(found, key=lambda name: found[name][1])
    items, accuracy, margin = found[best]
    half = median(each[1] for each in found.values())
    return [lm.name, f"{len(found)} of {len(asked)}", f"{half:.2f}", f"{best}: {accuracy:.2f} of {items}, {margin:+.2f}", str(able)]


def main(models: list[str]) -> int:
    """Write the table into the page."""
    columns = ["model", "sets that suit its words", "median accuracy", "its best, and the margin there", "sets that it can do"]
    rows = [row(load_model(name)) for name in models]
    put(ROOT / "docs" / "real-run.md", "asked", tabulate(rows, headers=columns, tablefmt="pipe", disable_numparse=True))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
