"""Several labelling tasks that demonstrations tell apart, asked of an organism or, as labelled text, of a given model.

An answer is right where the label's (first) token has the largest logit of the whole vocabulary, so that a model which does
not know what it is asked for is wrong. Labels of different tasks are different words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from ..errors import NotApplicable
from .tasks import padded

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from ..subjects.lm import LM

    Ids = NDArray[np.int64]
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

Part = Literal["fit", "choose", "test", "all"]
Shown = Literal["any", "seen", "unseen"]
#: Of every four items two fit filters and probes, one chooses (layers, heads), one tests.
PARTS: dict[str, tuple[int, ...]] = {"fit": (0, 1), "choose": (2,), "test": (3,), "all": (0, 1, 2, 3)}


@dataclass(frozen=True)
class Asked:
    """Prompts that end where a label is due. ids, mask: int64 [n, t], 1 where a token stands; answer: label token [n]."""

    ids: Ids
    mask: Ids
    answer: Ids

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def given(self) -> Any:
        """What a subject takes: ids alone where all are of one length."""
        return self.ids if self.mask.all() else {"input_ids": self.ids, "attention_mask": self.mask}


class Tasks(Protocol):
    """Labelling tasks, numbered from 0; the first is the one that is asked for where only one is."""

    number: int
    shots: int  # most demonstrations
    judged: range  # the tasks whose answers are judged; the others are there to compare with

    def rows(self, part: Part) -> int:
        """Prompts that a part can give, as many as are worth asking."""
        ...

    def asked(self, rng: Generator, n: int, task: int, shots: int, part: Part, shown: Shown = "any") -> Asked:
        """n prompts behind `shots` demonstrations of a task. The query is of `part`, so fitting never sees what tests.

        shown: whether the query's label occurs among the demonstrations.
        """
        ...


class TokenTasks:
    """Tasks of an organism: its facts hold, for each task, the label token of every item."""

    def __init__(self, maps: Any, shots: int, bos: int | None) -> None:
        self.maps = np.asarray(maps, dtype=np.int64)
        self.number, self.shots, self.bos = len(self.maps), shots, bos
        self.judged = range(self.number)

    def rows(self, part: Part) -> int:
        """All items of a part."""
        return len(self.items(part))

    def items(self, part: Part) -> Ids:
        """The items whose label is asked in this part."""
        every = np.arange(self.maps.shape[1])
        return every[np.isin(every % 4, PARTS[part])]

    def asked(self, rng: Generator, n: int, task: int, shots: int, part: Part, shown: Shown = "any") -> Asked:
        """Rows [BOS, x1, y1, ..., x], items of a row all different; each item of the part in turn is the query."""
        label, queries = self.maps[task], self.items(part)
        chosen = np.resize(rng.permutation(queries), n)
        rows = [self._row(rng, int(item), label, shots, shown) for item in chosen]
        begin = [] if self.bos is None else [self.bos]
        ids = np.array([[*begin, *row, item] for row, item in zip(rows, chosen, strict=True)], dtype=np.int64)
        return Asked(ids, np.ones_like(ids), label[chosen])

    @staticmethod
    def _row(rng: Generator, item: int, label: Ids, shots: int, shown: Shown) -> list[int]:
        every = np.arange(len(label))
        same = label == label[item]
        free = every[(every != item) & ~same] if shown == "unseen" else every[every != item]
        demonstrations = rng.choice(free, shots, replace=False)
        if shown == "seen" and shots and not same[demonstrations].any():
            demonstrations[rng.integers(shots)] = rng.choice(every[same & (every != item)])
        return [int(token) for each in demonstrations for token in (each, label[each])]


@dataclass(frozen=True)
class LabelledText:
    """One text and the word that labels it."""

    text: str
    label: str


class TextTasks:
    """Labelled texts in a model's tokens: `text`, a line `Label: word`, and an empty line between demonstrations.

    The first set is the one asked for; the others are there to compare with.
    """

    def __init__(self, lm: LM, sets: Sequence[Sequence[LabelledText]], shots: int) -> None:
        self.lm, self.sets, self.number, self.judged = lm, sets, len(sets), range(1)
        self._begin = [] if lm.tokens.bos is None else [lm.tokens.bos]
        self._label = {text.label: self._answer(text.label) for texts in sets for text in texts}
        if len(set(self._label.values())) < len(self._label):
            raise NotApplicable(f"two labels of {', '.join(self._label)} begin with the same token of {lm.name}")
        self._tokens = [[self._ids(f"{text.text}\nLabel:") for text in texts] for texts in sets]
        self._between = {label: self._ids(f" {label}\n\n") for label in self._label}
        longest = max(int(np.quantile([len(ids) for ids in tokens], 0.9)) for tokens in self._tokens)
        room = (lm.context - len(self._begin)) // (longest + 4)
        if room < 3:
            need = f"two demonstrations and a question need about {3 * (longest + 4)} tokens"
            raise NotApplicable(f"{need}; the context of {lm.name} holds {lm.context}")
        self.shots = min(shots, room - 1)

    def rows(self, part: Part) -> int:
        """512 texts to fit filters with, 128 to choose and to test with; fewer where a set is small."""
        fewest = min(len(texts) for texts in self.sets)
        return min(512 if part == "fit" else 128, len(PARTS[part]) * fewest // 4)

    def _ids(self, text: str) -> list[int]:
        return list(self.lm.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def _answer(self, label: str) -> int:
        """The first token of a label behind its question."""
        before, whole = self._ids("Label:"), self._ids(f"Label: {label}")
        if whole[: len(before)] != before or len(whole) == len(before):
            raise NotApplicable(
                f"the tokenizer of {self.lm.name} joins 'Label:' with {label!r}, so nothing asks for the label alone"
            )
        if not self.lm.tokenizer.decode(whole[len(before) : len(before) + 1]).strip():
            raise NotApplicable(
                f"the tokenizer of {self.lm.name} has no space convention: the space before a word is a token of its own"
            )
        return whole[len(before)]

    def asked(self, rng: Generator, n: int, task: int, shots: int, part: Part, shown: Shown = "any") -> Asked:
        """Prompts that fit the context; texts of a row all different, demonstrations drawn from those that fit filters."""
        texts, tokens = self.sets[task], self._tokens[task]
        every = np.arange(len(texts))
        queries, shots = rng.permutation(every[np.isin(every % 4, PARTS[part])]), min(shots, self.shots)
        rows = list(self._rows(rng, np.resize(queries, 4 * n), texts, tokens, shots, shown, n))
        if len(rows) < n:
            raise NotApplicable(
                f"too few texts with {shots} demonstrations fit into the {self.lm.context} tokens of {self.lm.name}"
            )
        found = padded(rows)
        return Asked(found.ids, found.mask, found.target)

    def _rows(
        self, rng: Generator, queries: Ids, texts: Any, tokens: Any, shots: int, shown: Shown, n: int
    ) -> Iterator[tuple[list[int], int, int]]:
        labels = np.array([text.label for text in texts])
        pool = np.flatnonzero(np.isin(np.arange(len(texts)) % 4, PARTS["fit"]))
        made = 0
        for query in queries:
            same = labels[pool] == labels[query]
            free = pool[(pool != query) & ~(same & (shown == "unseen"))]
            chosen = rng.choice(free, shots, replace=False)
            if shown == "seen" and shots and not (labels[chosen] == labels[query]).any():
                chosen[rng.integers(shots)] = rng.choice(pool[same & (pool != query)])
            ids = [*self._begin]
            for each in chosen:
                ids += [*tokens[each], *self._between[labels[each]]]
            ids += tokens[query]
            if len(ids) <= self.lm.context and made < n:
                made += 1
                yield ids, self._label[str(labels[query])], 0


def label_tasks(lm: LM, task: Any, shots: int = 8) -> Tasks:
    """The labelling tasks of a subject: an organism's own, or the labelled sets that the user names with --task.

    Args:
        task: what `task` is in a claim: None on the suite's own subjects.
        shots: most demonstrations of a text task; fewer where the context is short.
    """
    facts: Any = lm.facts
    if task is None:
        if "label maps" not in facts:
            raise NotApplicable(f"several labelling tasks are needed; {lm.name} has {facts.get('task') or 'no such task'}")
        return TokenTasks(facts["label maps"], int(facts["shots"]), lm.tokens.bos)
    sets = getattr(task, "sets", ())
    if not sets:
        raise NotApplicable(f"labelled texts are needed, and the task {task.name} has none: name a set that ships (docs/tasks.md)")
    if lm.tokenizer is None:
        raise NotApplicable(f"the task {task.name} is text, and {lm.name} has no tokenizer")
    return TextTasks(lm, sets, shots)


def open_accuracy(lm: LM, asked: Asked) -> float:
    """Share of prompts whose label has the largest logit of the whole vocabulary behind the last token; subject or view."""
    last = asked.mask.sum(1) - 1
    logits = lm.logits(asked.given)
    return float((logits[np.arange(len(asked)), last].argmax(-1).numpy() == asked.answer).mean())
