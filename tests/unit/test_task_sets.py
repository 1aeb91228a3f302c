"""Tasks by name and in two columns: what is refused by line, what a tokenizer leaves of a set, what the prompts say."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from claimbench.errors import NotApplicable, UsageError
from claimbench.measures.task_sets import TaskSet, find_task, pair_task, read_pairs, shipped_tasks, suited
from claimbench.measures.tasks import task_prompts

from word_nets import NAMES

PAIRS = [f"{a}\t{b}" for a, b in zip(NAMES[::2], NAMES[1::2], strict=False)]

BAD: dict[str, tuple[str, str]] = {
    "one column": ("a\tb\nword\n", ":2 has one column"),
    "three columns": ("a\tb\tc\n", ":1 has 3 columns"),
    "an empty line": ("a\tb\n\nc\td\n", ":2 is empty: remove the line"),
    "an empty column": ("a\t \n", ":1 has an empty column"),
    "a pair twice": ("a\tb\nc\td\na\tb\n", ":3 repeats the pair of line 1"),
    "two partners": ("a\tb\na\tc\n", ":2 gives 'a' another partner than that of line 1"),
    "an empty file": (" \n", "is empty"),
    "too few pairs": ("a\tb\nc\td\n", "has 2 pairs: 5 are shown and one asked, so 7 are needed"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_of_two_columns_is_one_line_that_says_where(tmp_path: Path, name: str) -> None:
    text, told = BAD[name]
    file = tmp_path / "mine.tsv"
    file.write_text(text)
    with pytest.raises(UsageError, match=told) as found:
        find_task(file)
    assert "\n" not in str(found.value) and "mine.tsv" in str(found.value)


def test_a_set_that_does_not_ship_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="no set of this name ships; nearest are antonym"):
        find_task("antonyms")


def test_every_shipped_set_is_a_task_whose_answers_can_be_read_off_its_prompts() -> None:
    shipped = shipped_tasks()
    assert len(shipped) == 53
    for name in ("antonym", "country_capital", "choose_first_of_3"):
        task = find_task(name)
        known = dict(read_pairs(shipped[name]))
        for line in task.lines:
            *shown, asked = line.prompt.split("\n")
            assert known[asked.removesuffix(":")] == line.target
            assert line.distractor in {each.split(": ")[-1] for each in shown} - {line.target}
            assert len(shown) == 5 and all(not each.startswith(f"{asked} ") for each in shown)


def test_labelled_sets_bring_the_other_for_comparison() -> None:
    task = find_task("subj")
    assert isinstance(task, TaskSet)
    first, other = task.sets
    assert {text.label for text in first} == {"objective", "subjective"} and {text.label for text in other} == {
        "positive",
        "negative",
    }
    assert {line.target for line in task.lines} == {"objective", "subjective"}
    assert all(line.prompt.count("Label:") == 4 and line.prompt.endswith("Label:") for line in task.lines)


class Splitting:
    """Words are whole up to a length; longer ones fall into pieces; the space belongs to the word behind it."""

    unk_token_id = -1

    def __init__(self, most: int) -> None:
        self.most, self.table = most, dict[str, int]()

    def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
        pieces = []
        for number, word in enumerate(text.split(" ")):
            whole = (" " if number else "") + word
            pieces += [whole] if len(word) <= self.most or "\n" in word else [whole[:2], whole[2:]]
        return {"input_ids": [self.table.setdefault(piece, len(self.table)) for piece in pieces]}

    def decode(self, ids: list[int]) -> str:
        return "".join(piece for token in ids for piece, known in self.table.items() if known == token)


def test_words_that_a_tokenizer_splits_are_left_out_and_counted() -> None:
    task = find_task("antonym")
    found = suited(task, [("mine", Splitting(7))])
    assert isinstance(found, TaskSet) and 24 <= len(found) < len(task)
    assert all(len(line.target) <= 7 and len(line.distractor) <= 7 for line in found.lines)
    assert found.dropped == f"{len(task) - len(found)} of {len(task)} items of antonym are left out for the tokenizer of mine"
    assert found.digest != task.digest


def test_a_set_of_which_too_little_is_left_is_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match=r"--task antonym: \d+ of 150 items do not suit the tokenizer of mine: antonym, '"):
        suited(find_task("antonym"), [("mine", Splitting(2))])


def test_labels_that_are_split_are_left_to_claims_that_read_first_tokens() -> None:
    task = find_task("subj")
    found = suited(task, [("mine", Splitting(2))])
    assert isinstance(task, TaskSet) and isinstance(found, TaskSet) and found.sets == task.sets and not found.lines
    assert found.digest == task.digest
    assert found.dropped == "the tokenizer of mine splits the labels of subj: claims that read their first token are asked"
    with pytest.raises(NotApplicable, match="no item of subj has answers of one token for"):
        task_prompts(SimpleNamespace(tokenizer=Splitting(2), name="mine", tokens=SimpleNamespace(bos=None)), found)


def test_a_set_in_words_that_are_known_is_kept_whole(tmp_path: Path) -> None:
    file = tmp_path / "names.tsv"
    file.write_text("\n".join(PAIRS) + "\n")
    task = find_task(file)
    assert len(task) == len(PAIRS) and isinstance(task, TaskSet) and not task.sets
    assert task.digest == pair_task("another name", read_pairs(file)).digest
