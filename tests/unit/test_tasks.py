"""A user's task as JSON lines: what is refused, by file and line; what a model makes of it; how it reaches a claim."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from claimbench.errors import NotApplicable, UsageError
from claimbench.measures.tasks import (
    Prompts,
    association_prompts,
    check_tokens,
    margins,
    mean_margin,
    padded,
    read_task,
    task_accuracy,
    task_prompts,
)
from claimbench.subjects.lm import LM
from claimbench.subjects.loading import load_model

from tiny_models import tiny_lm
from word_nets import NAMES, lines, word_net, word_tokenizer

SHIPPED = Path(__file__).parents[2] / "fixtures" / "tasks"


def item(**changes: Any) -> dict[str, Any]:
    return {"prompt": "the cat saw the", "target": "dog", "distractor": "cow"} | changes


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


BAD_LINES: dict[str, tuple[Any, str]] = {
    "empty": ("", "is empty: remove the line"),
    "blank": ("   ", "is empty: remove the line"),
    "no JSON": ('{"prompt": "a",', "is no JSON"),
    "one column": ("the cat\tdog", "is no JSON"),
    "a list": (["a", "b", "c"], "is no object with prompt, target, distractor, but a JSON list"),
    "a field missing": ({"prompt": "a", "target": "b"}, "has no field 'distractor'"),
    "misspelt": ({"prompt": "a", "target": "b", "distracter": "c"}, "has no field 'distractor'"),
    "a number": (item(target=7), "target must be text; 7 was given"),
    "null": (item(prompt=None), "prompt must be text; None was given"),
    "no text": (item(distractor=" "), "distractor is empty"),
    "a space behind": (item(prompt="the cat "), "prompt ends in white space"),
    "a space before": (item(target=" dog"), "target ' dog' begins or ends in white space"),
    "the same word": (item(distractor="dog"), "target and distractor are the same word 'dog'"),
    "twice": (item(), "repeats prompt and target of .*:1: items must be independent"),
    "contradiction": (item(target="cow", distractor="pig") | {"distractor": "dog"}, "calls 'dog' wrong, and .*:1 calls it right"),
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_bad_line_is_named_with_its_file(tmp_path: Path, name: str) -> None:
    bad, told = BAD_LINES[name]
    file = write(tmp_path / "mine.jsonl", item(), bad, item(prompt="another"))
    with pytest.raises(UsageError, match=rf"mine\.jsonl:2:? .*{told}|mine\.jsonl:2:? {told}"):
        read_task(file)


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.jsonl cannot be read"):
        read_task(tmp_path / "absent.jsonl")
    with pytest.raises(UsageError, match="cannot be read"):
        read_task(tmp_path)
    for text in ("", "\n", "  \n \n"):
        (tmp_path / "empty.jsonl").write_text(text)
        with pytest.raises(UsageError, match=r"empty\.jsonl is empty: each line is"):
            read_task(tmp_path / "empty.jsonl")
    (tmp_path / "latin.jsonl").write_bytes('{"prompt": "caf\u00e9"}'.encode("latin-1"))
    with pytest.raises(UsageError, match="no UTF-8 text"):
        read_task(tmp_path / "latin.jsonl")


def test_the_digest_is_of_what_the_lines_say(tmp_path: Path) -> None:
    first = read_task(write(tmp_path / "a.jsonl", item()))
    same = read_task(write(tmp_path / "b.jsonl", '{"distractor":"cow",  "note": 1, "target":"dog","prompt":"the cat saw the"}'))
    assert first.digest == same.digest and first.name != same.name
    other = read_task(write(tmp_path / "c.jsonl", item(target="pig")))
    assert other.digest != first.digest
    (tmp_path / "d.jsonl").write_bytes(b"\xef\xbb\xbf" + json.dumps(item()).encode())  # as some editors write it
    assert read_task(tmp_path / "d.jsonl").digest == first.digest


@pytest.mark.parametrize("name", ["word_pairs", "indirect_object", "choice"])
def test_shipped_lines_are_tasks(name: str) -> None:
    task = read_task(SHIPPED / f"{name}.jsonl")
    assert len(task) >= 64
    assert name in (SHIPPED / "ORIGIN.md").read_text()


class Pieces:
    """A tokenizer from a table of pieces: words by themselves, or split; the space joined to a word, or alone."""

    unk_token_id = 0

    def __init__(self, split: int = 9, space_alone: bool = False, merges: bool = False) -> None:
        self.split, self.space_alone, self.merges = split, space_alone, merges
        self.table = ["?"]

    def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
        pieces: list[str] = []
        words = text.split(" ")
        if self.merges and len(words) > 1:
            words[-2:] = [" ".join(words[-2:])]
        for number, word in enumerate(words):
            if self.space_alone:
                pieces += [" "] * (number > 0) + [word]
            else:
                whole = (" " if number else "") + word
                pieces += [whole[at : at + self.split] for at in range(0, len(whole), self.split)]
        for piece in pieces:
            if piece not in self.table:
                self.table.append(piece)
        return {"input_ids": [self.table.index(piece) for piece in pieces]}

    def decode(self, ids: list[int]) -> str:
        return "".join(self.table[token] for token in ids)


@pytest.mark.parametrize(
    ("tokenizer", "changes", "told"),
    [
        (Pieces(split=4), {"target": "dogged", "distractor": "dogma"}, "'dogged' and distractor 'dogma' share their first token"),
        (Pieces(split=4), {"target": "elephant"}, "splits the target 'elephant' into 3 tokens"),
        (Pieces(split=4), {"distractor": "zebra"}, "splits the distractor 'zebra' into 2 tokens"),
        (Pieces(space_alone=True), {}, "no space convention"),
        (Pieces(merges=True), {}, "joins the end of the prompt with the target 'dog'"),
    ],
)
def test_words_that_do_not_suit_the_tokenizer_are_named(tmp_path: Path, tokenizer: Pieces, changes: Any, told: str) -> None:
    file = write(tmp_path / "mine.jsonl", item(prompt="an ox saw the"), item(**changes))
    if "merges" not in told and tokenizer.split < 9:
        with pytest.raises(UsageError, match=rf"mine\.jsonl:2: .*{told}"):
            check_tokens(read_task(file), tokenizer)
    else:  # the first line already is one
        with pytest.raises(UsageError, match=rf"mine\.jsonl:1: .*{told}"):
            check_tokens(read_task(file), tokenizer)


def test_unknown_words_and_empty_prompts(tmp_path: Path) -> None:
    known = word_tokenizer()
    file = write(tmp_path / "mine.jsonl", {"prompt": NAMES[0], "target": NAMES[1], "distractor": "zzzz"})
    with pytest.raises(UsageError, match="does not know the distractor 'zzzz'"):
        check_tokens(read_task(file), known)


@pytest.fixture(scope="module")
def words() -> LM:
    return word_net()


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("mine") / "mine.jsonl", *lines(20, bos=False))


def test_margins_are_those_of_single_unpadded_rows(words: LM, mine: Path) -> None:
    task = read_task(mine)
    prompts = task_prompts(words, task)
    assert not prompts.mask.all(), "lengths differ"
    for view in (words, words.without([(1, 2)], "zero"), words.scaled("L0.z@-1", 0.0)):
        found = margins(view, prompts)
        for line, margin in zip(task.lines, found, strict=True):
            ids = [126, *(NAMES.index(word) for word in line.prompt.split())]
            logits = view.logits(np.array([ids]))[0, -1]
            wanted = float(logits[NAMES.index(line.target)] - logits[NAMES.index(line.distractor)])
            assert margin == pytest.approx(wanted, abs=1e-4)
    assert mean_margin(words, prompts) == pytest.approx(margins(words, prompts).mean())
    without = task_prompts(words, task, bos=False)
    assert without.ids.shape[1] == prompts.ids.shape[1] - 1


def test_the_induction_head_does_it(words: LM, mine: Path) -> None:
    prompts = task_prompts(words, read_task(mine))
    assert task_accuracy(words, prompts) == 1.0
    gone = words.without(words.facts["induction_heads"], "mean")
    assert mean_margin(gone, prompts) < 0.1 * mean_margin(words, prompts)
    again = association_prompts(words, np.random.default_rng(0))
    assert task_accuracy(words, again) == 1.0 and len(again) == 16
    assert not (again.ids[:, 1:-1] == again.distractor[:, None]).all()


def test_a_tie_is_half_right(words: LM, mine: Path) -> None:
    prompts = task_prompts(words, read_task(mine))
    tied = Prompts(prompts.ids, prompts.mask, prompts.target, prompts.target)
    assert task_accuracy(words, tied) == 0.5


def test_draws_are_without_replacement_and_without_needless_padding(words: LM, mine: Path) -> None:
    prompts = task_prompts(words, read_task(mine))
    rng = np.random.default_rng(3)
    some = prompts.some(rng, 5)
    assert len(some) == 5 and len({row.tobytes() for row in prompts.some(rng, 99).ids}) == 20
    assert some.mask[:, -1].any()
    rows = [([1, 2, 3], 4, 5), ([1], 6, 7)]
    batch = padded(rows)
    assert batch.ids.tolist() == [[1, 2, 3], [1, 1, 1]] and batch.mask.tolist() == [[1, 1, 1], [1, 0, 0]]


def test_what_a_subject_cannot_be_asked(words: LM, tmp_path: Path, mine: Path) -> None:
    with pytest.raises(NotApplicable, match="has no tokenizer"):
        task_prompts(tiny_lm(), read_task(mine))
    long = {"prompt": " ".join(NAMES[k % 100] for k in range(words.context)), "target": "the", "distractor": "to"}
    with pytest.raises(NotApplicable, match=rf"long\.jsonl:1: the prompt has {words.context + 1} tokens; the context"):
        task_prompts(words, read_task(write(tmp_path / "long.jsonl", long)))
    with pytest.raises(NotApplicable, match="pairs of different tokens"):
        association_prompts(words, np.random.default_rng(0), pairs=100)
    with pytest.raises(UsageError, match=r"indirect_object\.jsonl:1: the tokenizer splits"):
        task_prompts(load_model("stories260K"), read_task(SHIPPED / "indirect_object.jsonl"))


def test_the_examples_of_the_documentation_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    root = Path(__file__).parents[2]
    monkeypatch.chdir(root)
    text = (root / "docs" / "tasks.md").read_text()
    blocks = [block.partition("```")[0] for block in text.split("```python\n")[1:]]
    assert len(blocks) == 2
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "without 1.2 3.0 (mean)"
    assert abs(names["paired"](names["plain"], names["other"], "margin")).max() > 0
    line = text.split("```json\n")[1].partition("\n")[0]
    assert set(json.loads(line)) == {"prompt", "target", "distractor"}


def test_a_claim_gets_the_task_of_a_given_model_only(words: LM, mine: Path, tmp_path: Path) -> None:
    from claimbench.claim import causal_lm, claim
    from claimbench.control import guard, negative, positive
    from claimbench.region import above
    from claimbench.running.item import Item, Subject
    from claimbench.running.options import checked
    from claimbench.running.session import Session

    def of_a_task(lm, task, sign=1):  # type: ignore[no-untyped-def]
        """Lines of the task."""
        return -1.0 if task is None else sign * float(len(task))

    made = claim(
        "toy/task",
        on=causal_lm(organism="constructed-induction-head"),
        holds=above(0, unit="1"),
        why="-",
        documented="-",
        controls=[positive(on="constructed-induction-head"), negative(sign=-1), guard(on="stories260K")],
    )(of_a_task)
    given = Item(made, "toy", Subject("words", "model"))
    family = Item(made, "toy", Subject("constructed-induction-head", "family"))
    other = write(tmp_path / "other.jsonl", *lines(7, seed=5, bos=False))

    def effect(item: Item, task: Path | None) -> Any:
        session = Session(checked(store=tmp_path / "store", task=task), live={"words": words})
        parts = session.measurer.replicate(item, 0)
        assert parts is not None
        body = parts.parts["effect:"]
        return body["problem"]["reason"] if body["problem"] else body["effects"]["effect"][0]

    assert [effect(given, mine), effect(given, other), effect(given, mine)] == [20.0, 7.0, 20.0]
    assert "add --task FILE" in effect(given, None)
    assert effect(family, mine) == -1.0 == effect(family, None)


def test_a_wrong_task_stops_a_session_before_anything_is_spent(tmp_path: Path) -> None:
    from claimbench.running.options import check_models, checked

    shipped = SHIPPED.parent / "models" / "stories260K"
    with pytest.raises(UsageError, match=r"bad\.jsonl:1 is no JSON"):
        checked(task=write(tmp_path / "bad.jsonl", "{"))
    good = write(tmp_path / "good.jsonl", item())
    with pytest.raises(UsageError, match="add --model PATH"):
        check_models(checked(task=good))
    with pytest.raises(UsageError, match=r"word_pairs\.jsonl:1: the tokenizer splits"):
        check_models(checked(task=SHIPPED / "word_pairs.jsonl", models=[str(shipped)]))
