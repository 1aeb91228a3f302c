"""A user's own task as JSON lines, and what a model makes of it: the margin of the right word over the wrong one.

Each line is an object with `prompt`, `target` and `distractor`. One space joins a prompt and its answers; both answers
must be single tokens there, so that the logits behind the prompt's last token tell them apart.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import NotApplicable, UsageError

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from ..subjects.lm import LM

    Ids = NDArray[np.int64]

FIELDS = ("prompt", "target", "distractor")


@dataclass(frozen=True)
class Line:
    """One item; `where` is its file and line, for messages."""

    prompt: str
    target: str
    distractor: str
    where: str


@dataclass(frozen=True)
class Task:
    """Items of a file, called as it was given; `digest` covers what they say and nothing else."""

    name: str
    lines: tuple[Line, ...]
    digest: str

    def __len__(self) -> int:
        return len(self.lines)


@dataclass(frozen=True)
class Prompts:
    """Prompts as tokens, padded behind, with the ids of the right and the wrong answer.

    ids, mask: int64 [n, t], 1 where a token stands. target, distractor: [n].
    """

    ids: Ids
    mask: Ids
    target: Ids
    distractor: Ids

    def __len__(self) -> int:
        return len(self.ids)

    def some(self, rng: Generator, n: int) -> Prompts:
        """n of the prompts, or all where there are fewer, drawn without replacement and without needless padding."""
        chosen = np.sort(rng.permutation(len(self))[:n])
        width = int(self.mask[chosen].sum(1).max())
        return Prompts(self.ids[chosen, :width], self.mask[chosen, :width], self.target[chosen], self.distractor[chosen])


def read_task(path: str | Path) -> Task:
    """The task in a file of JSON lines; UsageError naming file and line for whatever is wrong with it."""
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"task file {file} cannot be read ({error.strerror}): give a file of JSON lines") from None
    except UnicodeDecodeError:
        raise UsageError(f"task file {file} is no UTF-8 text: give a file of JSON lines") from None
    if not text.strip():
        raise UsageError(f'task file {file} is empty: each line is {{"prompt": ..., "target": ..., "distractor": ...}}')
    lines = [_line(raw, f"{file}:{number}") for number, raw in enumerate(text.removesuffix("\n").split("\n"), 1)]
    _check_distinct(lines)
    said = json.dumps([[line.prompt, line.target, line.distractor] for line in lines])
    return Task(str(path), tuple(lines), hashlib.sha256(said.encode()).hexdigest())


def _line(raw: str, where: str) -> Line:
    if not raw.strip():
        raise UsageError(f"{where} is empty: remove the line")
    try:
        found = json.loads(raw)
    except ValueError as error:
        raise UsageError(f"{where} is no JSON ({str(error).partition(':')[0]}): write one object a line") from None
    if not isinstance(found, dict):
        raise UsageError(f"{where} is no object with {', '.join(FIELDS)}, but a JSON {type(found).__name__}")
    for name in FIELDS:
        if name not in found:
            raise UsageError(f"{where} has no field {name!r}: each line needs {', '.join(FIELDS)}")
        value = found[name]
        if not isinstance(value, str):
            raise UsageError(f"{where}: {name} must be text; {value!r:.40} was given")
        if not value.strip():
            raise UsageError(f"{where}: {name} is empty")
    if found["prompt"] != found["prompt"].rstrip():
        raise UsageError(f"{where}: the prompt ends in white space: leave it out, one space is put before the answers")
    for name in FIELDS[1:]:
        if found[name] != found[name].strip():
            raise UsageError(f"{where}: {name} {found[name]!r} begins or ends in white space: leave it out")
    if found["target"] == found["distractor"]:
        raise UsageError(f"{where}: target and distractor are the same word {found['target']!r}")
    return Line(found["prompt"], found["target"], found["distractor"], where)


def _check_distinct(lines: Sequence[Line]) -> None:
    seen: dict[tuple[str, str], Line] = {}
    for line in lines:
        if (line.prompt, line.target) in seen:
            first = seen[line.prompt, line.target].where
            raise UsageError(f"{line.where} repeats prompt and target of {first}: items must be independent, remove one")
        if (line.prompt, line.distractor) in seen:
            raise UsageError(
                f"{line.where} calls {line.distractor!r} wrong, and {seen[line.prompt, line.distractor].where} calls it right"
            )
        seen[line.prompt, line.target] = line


def check_tokens(task: Task, tokenizer: Any) -> list[tuple[list[int], int, int]]:
    """By line the ids of the prompt, of the target and of the distractor.

    Raises:
        UsageError: naming file and line, where the answers do not stand as single tokens that differ.
    """
    return [_tokens(line, tokenizer) for line in task.lines]


def _tokens(line: Line, tokenizer: Any) -> tuple[list[int], int, int]:
    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    prompt = ids(line.prompt)
    if not prompt:
        raise UsageError(f"{line.where}: the tokenizer makes no token of the prompt")
    answers = []
    for name, word in (("target", line.target), ("distractor", line.distractor)):
        whole = ids(f"{line.prompt} {word}")
        if whole[: len(prompt)] != prompt or len(whole) == len(prompt):
            raise UsageError(
                f"{line.where}: the tokenizer joins the end of the prompt with the {name} {word!r}, so the prompt alone "
                "does not lead to it: end the prompt with a whole word"
            )
        answers.append(whole[len(prompt) :])
    if answers[0][0] == answers[1][0]:
        if not tokenizer.decode(answers[0][:1]).strip() and tokenizer.unk_token_id != answers[0][0]:
            raise UsageError(
                f"{line.where}: the tokenizer has no space convention, the space before a word is a token of its own: use "
                "an lm-eval task instead, which compares whole answers"
            )
        raise UsageError(
            f"{line.where}: target {line.target!r} and distractor {line.distractor!r} share their first token: choose words "
            "that differ in it"
        )
    for name, word, found in zip(FIELDS[1:], (line.target, line.distractor), answers, strict=True):
        if len(found) > 1:
            raise UsageError(
                f"{line.where}: the tokenizer splits the {name} {word!r} into {len(found)} tokens: choose words of one token, "
                "or write an lm-eval task, which compares whole answers"
            )
        if found[0] == tokenizer.unk_token_id:
            raise UsageError(f"{line.where}: the tokenizer does not know the {name} {word!r}")
    return prompt, answers[0][0], answers[1][0]


def task_prompts(lm: LM, task: Task, bos: bool = True) -> Prompts:
    """The task in a model's tokens, each prompt behind its BOS token where it has one.

    Raises:
        UsageError: a line that does not suit the tokenizer; see `check_tokens`.
        NotApplicable: the subject has no tokenizer, or a prompt is longer than its context.
    """
    if lm.tokenizer is None:
        raise NotApplicable(f"the task {task.name} is text, and {lm.name} has no tokenizer")
    begin = [lm.tokens.bos] if bos and lm.tokens.bos is not None else []
    found = [(begin + prompt, target, distractor) for prompt, target, distractor in check_tokens(task, lm.tokenizer)]
    for line, (prompt, _, _) in zip(task.lines, found, strict=True):
        if len(prompt) > lm.context:
            raise NotApplicable(f"{line.where}: the prompt has {len(prompt)} tokens; the context of {lm.name} holds {lm.context}")
    return padded(found)


def association_prompts(lm: LM, rng: Generator, n: int = 16, pairs: int = 6) -> Prompts:
    """The same for a subject without words: [BOS, a1, b1, a2, b2, ..., ai], where bi is right and another b wrong.

    All tokens of a row differ but for the last, which is drawn among the first of each pair.
    """
    frequent = np.asarray(lm.tokens.frequent, dtype=np.int64)
    frequent = frequent[frequent != lm.tokens.bos]
    if len(frequent) < 2 * pairs or pairs < 2:
        raise NotApplicable(f"{pairs} pairs of different tokens are needed; {lm.name} has {len(frequent)} ordinary tokens")
    begin = [] if lm.tokens.bos is None else [lm.tokens.bos]
    rows = []
    for _ in range(n):
        row = rng.choice(frequent, 2 * pairs, replace=False).tolist()
        right, wrong = rng.choice(pairs, 2, replace=False)
        rows.append(([*begin, *row, row[2 * right]], row[2 * right + 1], row[2 * wrong + 1]))
    return padded(rows)


def padded(rows: Sequence[tuple[Sequence[int], int, int]]) -> Prompts:
    """Prompts of unequal lengths as one batch; behind the end stands a row's own first token, which nothing sees."""
    width = max(len(prompt) for prompt, _, _ in rows)
    ids = np.array([[*prompt, *[prompt[0]] * (width - len(prompt))] for prompt, _, _ in rows], dtype=np.int64)
    mask = np.array([[1] * len(prompt) + [0] * (width - len(prompt)) for prompt, _, _ in rows], dtype=np.int64)
    target, distractor = (np.array([row[k] for row in rows], dtype=np.int64) for k in (1, 2))
    return Prompts(ids, mask, target, distractor)


def margins(lm: LM, prompts: Prompts) -> NDArray[np.float64]:
    """Logit of the target minus that of the distractor behind each prompt's last token, [n]; of a subject or a view."""
    last = prompts.mask.sum(1) - 1
    padding = {} if prompts.mask.all() else {"attention_mask": prompts.mask}
    logits = lm.logits({"input_ids": prompts.ids, **padding} if padding else prompts.ids)
    row = np.arange(len(prompts))
    return np.asarray(logits[row, last, prompts.target] - logits[row, last, prompts.distractor], dtype=np.float64)


def mean_margin(lm: LM, prompts: Prompts) -> float:
    """Mean margin, logits."""
    return float(margins(lm, prompts).mean())


def task_accuracy(lm: LM, prompts: Prompts) -> float:
    """Share of prompts whose target has the larger logit; a tie counts half."""
    found = margins(lm, prompts)
    return float(((found > 0) + 0.5 * (found == 0)).mean())
