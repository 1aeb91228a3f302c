"""Tasks by name: word pairs and labelled texts that ship, and a user's own word pairs as two columns.

Both are made into the lines of `claimbench.measures.tasks`: some demonstrations, then a question, the right answer and one that a
demonstration gave. Pairs of words are written `word: partner`; texts are followed by a line `Label: word`.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import NotApplicable, UsageError
from ..subjects.shipped import shipped_root
from .labelled import LabelledText
from .tasks import Line, Task, check_tokens, read_task

SHOTS = 5
TEXT_SHOTS = 3
MOST = 200  # items of one set
FEWEST = 24  # items that must suit a tokenizer
FEWEST_PAIRS = SHOTS + 2


@dataclass(frozen=True)
class TaskSet(Task):
    """A task made from pairs or labelled texts; `dropped` says in one line which items were left out, and why.

    sets: labelled texts, those asked for first; empty for word pairs.
    """

    sets: tuple[tuple[LabelledText, ...], ...] = ()
    dropped: str = ""


class Unreadable(tuple[Line, ...]):
    """Lines of which none can be read by a tokenizer: who asks for them is NotApplicable."""

    def __new__(cls, why: str) -> Unreadable:
        made = super().__new__(cls)
        made.why = why
        return made

    why: str

    def __iter__(self) -> Iterator[Line]:
        raise NotApplicable(self.why)


def shipped_tasks() -> dict[str, Path]:
    """Name -> file of two columns, of all sets that ship."""
    folder = shipped_root() / "fixtures" / "tasks"
    return {path.stem: path for kind in ("pairs", "labelled") for path in sorted((folder / kind).glob("*.tsv"))}


def find_task(asked: str | Path) -> Task:
    """The task that --task means: JSON lines, a file of two columns (.tsv), or the name of a set that ships.

    Raises:
        UsageError: one line that names the file, the line of it, or the nearest name.
    """
    path, shipped = Path(asked), shipped_tasks()
    if path.suffix == ".tsv":
        return pair_task(str(asked), read_pairs(path))
    if path.is_file() or path.suffix or len(path.parts) > 1:
        return read_task(path)
    name = str(asked)
    if name not in shipped:
        near = difflib.get_close_matches(name, shipped, 3) or sorted(shipped)[:3]
        raise UsageError(
            f"--task {name}: no such file, and no set of this name ships; nearest are {', '.join(near)} (docs/tasks.md)"
        )
    if shipped[name].parent.name == "labelled":
        return text_task(name, {each: read_pairs(file) for each, file in shipped.items() if file.parent.name == "labelled"})
    return pair_task(name, read_pairs(shipped[name]))


def read_pairs(path: Path) -> list[tuple[str, str]]:
    """The rows of a file of two columns with a tab between them; UsageError naming the line for whatever is wrong."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"task file {path} cannot be read ({error.strerror}): give two columns with a tab between them") from None
    except UnicodeDecodeError:
        raise UsageError(f"task file {path} is no UTF-8 text: give two columns with a tab between them") from None
    if not text.strip():
        raise UsageError(f"task file {path} is empty: each line is a word, a tab and its partner")
    found: dict[str, tuple[str, int]] = {}
    for number, raw in enumerate(text.removesuffix("\n").split("\n"), 1):
        where, cells = f"{path}:{number}", [cell.strip() for cell in raw.rstrip("\r").split("\t")]
        if not raw.strip():
            raise UsageError(f"{where} is empty: remove the line")
        if len(cells) != 2:
            columns = "one column" if len(cells) == 1 else f"{len(cells)} columns"
            raise UsageError(f"{where} has {columns}: each line is a word, a tab and its partner")
        if not all(cells):
            raise UsageError(f"{where} has an empty column: each line is a word, a tab and its partner")
        if cells[0] in found:
            partner, first = found[cells[0]]
            same = "repeats the pair" if partner == cells[1] else f"gives {cells[0]!r} another partner than that"
            raise UsageError(f"{where} {same} of line {first}: items must be independent, remove one")
        found[cells[0]] = (cells[1], number)
    return [(word, partner) for word, (partner, _) in found.items()]


def pair_task(name: str, pairs: Sequence[tuple[str, str]], shots: int = SHOTS) -> TaskSet:
    """Prompts `word: partner` five times and a word; the wrong answer is the partner of a shown word."""
    if len(pairs) < FEWEST_PAIRS or len({partner for _, partner in pairs}) < 2:
        raise UsageError(
            f"task {name} has {len(pairs)} pairs: {shots} are shown and one asked, so {FEWEST_PAIRS} are needed at least"
        )
    rng, lines = np.random.default_rng(0), []
    for at in rng.permutation(len(pairs))[:MOST]:
        word, partner = pairs[int(at)]
        shown = [pairs[int(other)] for other in rng.permutation(len(pairs)) if other != at][:shots]
        wrong = [other for _, other in shown if other != partner]
        if wrong:
            prompt = "\n".join([*(f"{a}: {b}" for a, b in shown), f"{word}:"])
            lines.append(Line(prompt, partner, wrong[-1], f"{name}, {word!r}"))
    return TaskSet(name, tuple(lines), _digest(lines))


def text_task(name: str, sets: Mapping[str, Sequence[tuple[str, str]]], shots: int = TEXT_SHOTS) -> TaskSet:
    """Prompts of three labelled texts and one to label; the wrong answer is another label of the set."""
    texts = {each: tuple(LabelledText(*row) for row in rows) for each, rows in sets.items()}
    rng, asked, lines = np.random.default_rng(0), texts[name], []
    labels = sorted({text.label for text in asked})
    for at in rng.permutation(len(asked))[:MOST]:
        item = asked[int(at)]
        shown = [asked[int(other)] for other in rng.permutation(len(asked)) if other != at][:shots]
        prompt = "\n\n".join([*(f"{text.text}\nLabel: {text.label}" for text in shown), f"{item.text}\nLabel:"])
        wrong = next(label for label in labels if label != item.label)
        lines.append(Line(prompt, item.label, wrong, f"{name}, {item.text[:30]!r}"))
    ordered = (asked, *(rows for each, rows in texts.items() if each != name))
    return TaskSet(name, tuple(lines), _digest(lines), sets=ordered)


def suited(task: Task, tokenizers: Iterable[tuple[str, Any]]) -> Task:
    """A set without the items that some tokenizer (by model name) splits or joins; a user's own JSON lines as they are.

    Labelled texts of which fewer than 24 are left keep no line: their labels can still be read by their first tokens.

    Raises:
        UsageError: a line of a user's own that does not suit, or word pairs of which fewer than 24 are left.
    """
    for model, tokenizer in tokenizers:
        if not isinstance(task, TaskSet):
            check_tokens(task, tokenizer)
            continue
        kept, reasons = [], Counter[str]()
        for line in task.lines:
            try:
                check_tokens(Task(task.name, (line,), ""), tokenizer)
                kept.append(line)
            except UsageError as error:
                reasons[str(error)] += 1
        left_out = len(task.lines) - len(kept)
        if not left_out:
            continue
        said = f"{left_out} of {len(task.lines)} items of {task.name} are left out for the tokenizer of {model}"
        if len(kept) < FEWEST:
            if not task.sets:
                first = next(iter(reasons))
                raise UsageError(
                    f"--task {task.name}: {left_out} of {len(task.lines)} items do not suit the tokenizer of {model}: {first}"
                )
            said = f"the tokenizer of {model} splits the labels of {task.name}: claims that read their first token are asked"
            none = Unreadable(f"no item of {task.name} has answers of one token for {model}")
            task = replace(task, lines=none, dropped=said)
        else:
            task = replace(task, lines=tuple(kept), digest=_digest(kept), dropped=said)
    return task


def _digest(lines: Sequence[Line]) -> str:
    said = json.dumps([[line.prompt, line.target, line.distractor] for line in lines])
    return hashlib.sha256(said.encode()).hexdigest()
