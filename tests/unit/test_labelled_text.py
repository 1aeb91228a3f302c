"""Labelled texts as a model's prompts: what they hold, what is refused, and that filters are trained through them."""

from __future__ import annotations

import dataclasses
import zlib
from typing import Any

import numpy as np
import pytest
from claimbench.errors import NotApplicable
from claimbench.measures.filters import cut_accuracy
from claimbench.measures.labelled import LabelledText, TextTasks, label_tasks
from claimbench.measures.steering import filters_of, layers_looked_at, zero_shot
from claimbench.measures.task_sets import TaskSet
from claimbench.measures.tasks import Task
from claimbench.subjects.lm import LM

from tiny_models import VOCAB, tiny_lm

SETS = tuple(
    tuple(
        LabelledText(f"text{which}{number}", f"{label}{which}")
        for number in range(80)
        for label in [("yes", "no")[number % 3 == 0]]
    )
    for which in "ab"
)


class Words:
    """Words are tokens, together with a line before them; template and labels have ids of their own, texts share the rest."""

    unk_token_id = -1
    known = ("?", " ", "", "\n", "Label:", "\nLabel:", "yesa", "noa", "yesb", "nob")

    def __init__(self, space_alone: bool = False) -> None:
        self.space_alone = space_alone

    def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
        words = text.replace("\n", " \n").split(" ")
        pieces = [piece for word in words for piece in (" ", word)][1:] if self.space_alone else words
        return {"input_ids": [self._id(piece) for piece in pieces]}

    def _id(self, piece: str) -> int:
        return self.known.index(piece) if piece in self.known else 12 + zlib.crc32(piece.encode()) % (VOCAB - 12)

    def decode(self, ids: list[int]) -> str:
        return "".join(self.known[token] if token < len(self.known) else "word" for token in ids)


@pytest.fixture
def lm() -> LM:
    lm = tiny_lm("gpt2")
    lm.tokenizer = Words()
    return lm


def test_prompts_are_demonstrations_and_a_question_with_the_query_of_its_part(lm: LM) -> None:
    tasks = TextTasks(lm, SETS, shots=3)
    rng = np.random.default_rng(0)
    for shown in ("seen", "unseen"):
        asked = tasks.asked(rng, 12, 0, 2, "test", shown)
        for ids, mask, answer in zip(asked.ids, asked.mask, asked.answer, strict=True):
            row = ids[: mask.sum()].tolist()
            assert row.count(Words.known.index("\nLabel:")) == 3 and row[0] == lm.tokens.bos
            assert (answer in row) == (shown == "seen")
    assert tasks.judged == range(1) and tasks.number == 2 and tasks.rows("fit") == 40


def test_a_context_that_holds_no_two_demonstrations_is_named(lm: LM) -> None:
    long = tuple(tuple(LabelledText(" ".join([row.text] * 30), row.label) for row in rows) for rows in SETS)
    with pytest.raises(NotApplicable, match=r"two demonstrations and a question need about \d+ tokens; the context of .* holds"):
        TextTasks(lm, long, shots=3)


def test_a_tokenizer_without_a_space_convention_is_named(lm: LM) -> None:
    lm.tokenizer = Words(space_alone=True)
    with pytest.raises(NotApplicable, match="no space convention"):
        TextTasks(lm, SETS, shots=2)


def test_who_has_no_labelled_texts_or_no_tokenizer_is_told(lm: LM) -> None:
    plain = Task("mine.jsonl", (), "")
    with pytest.raises(NotApplicable, match=r"labelled texts are needed, and the task mine\.jsonl has none"):
        label_tasks(lm, plain)
    named = TaskSet("subj", (), "", sets=SETS)
    assert isinstance(label_tasks(lm, named, shots=2), TextTasks)
    lm.tokenizer = None
    with pytest.raises(NotApplicable, match="has no tokenizer"):
        label_tasks(lm, dataclasses.replace(named))


def test_filters_are_trained_through_a_given_model(lm: LM) -> None:
    tasks, rng = TextTasks(lm, SETS, shots=2), np.random.default_rng(0)
    layer = layers_looked_at(lm)[-1]
    filters = filters_of(lm, tasks, rng, rank=8, layers=[layer])[layer]
    states, answers = zero_shot(lm, tasks, np.random.default_rng(0), layer, "fit")[0]
    assert cut_accuracy(lm, layer, filters[0](states), answers) > cut_accuracy(lm, layer, states, answers) + 0.15
