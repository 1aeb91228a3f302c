"""lm-eval under interventions: its numbers are those of plain passes written out here, and items pair."""

from __future__ import annotations

import copy
import json
import random
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from claimbench.errors import DeclarationError, InvalidMeasurement, NotApplicable, UsageError
from claimbench.lm_eval import evaluate, paired, task_effect, task_files
from claimbench.subjects.lm import LM
from claimbench.subjects.loading import load_model

from tiny_models import some_ids, tiny_lm, untouched
from word_nets import lines, word_net

SHIPPED = ("claimbench_word_pairs", "claimbench_indirect_object", "claimbench_choice")
LINES = lines(12)


@pytest.fixture(scope="module")
def words() -> LM:
    return word_net()


@pytest.fixture(scope="module")
def stories() -> LM:
    return load_model("stories260K")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tasks of every kind of request over the same lines."""
    folder = tmp_path_factory.mktemp("own_tasks")
    (folder / "lines.json").write_text(json.dumps(LINES))
    (folder / "own.py").write_text(
        textwrap.dedent("""
        import json, pathlib
        import datasets

        def items(**_):
            return {"test": datasets.Dataset.from_list(json.loads((pathlib.Path(__file__).parent / "lines.json").read_text()))}
        """)
    )
    shared = 'custom_dataset: !function own.items\ntest_split: test\ndoc_to_text: "{{prompt}}"\n'
    for name, rest in {
        "own_choice": 'output_type: multiple_choice\ndoc_to_choice: "{{[target, distractor]}}"\ndoc_to_target: 0\n'
        "metric_list: [{metric: acc}]\n",
        "own_target": 'output_type: loglikelihood\ndoc_to_target: " {{target}} {{distractor}}"\nmetric_list: [{metric: acc}]\n',
        "own_text": 'output_type: generate_until\ndoc_to_target: "{{target}}"\nmetric_list: [{metric: exact_match}]\n'
        'generation_kwargs: {until: ["|"], max_gen_toks: 2, do_sample: false}\n',
        "own_rolling": 'output_type: loglikelihood_rolling\ndoc_to_target: "{{prompt}}"\n'
        "metric_list: [{metric: word_perplexity}]\n",
    }.items():
        (folder / f"{name}.yaml").write_text(f"task: {name}\n{shared}{rest}")
    return folder


def encoded(lm: LM, text: str) -> list[int]:
    return list(lm.tokenizer.encode(text))


def answer(view: LM, context: str, continuation: str) -> float:
    """Log-likelihood of a continuation from one unpadded pass of one row."""
    before, whole = encoded(view, context), encoded(view, context + continuation)
    loss = view.nll(np.array([whole]))[0]
    return -float(loss[len(before) - 1 :].sum())


VIEWS: dict[str, Callable[[LM], LM]] = {
    "plain": lambda lm: lm,
    "zero": lambda lm: lm.without(lm.facts["induction_heads"], "zero"),
    "scaled": lambda lm: lm.scaled("L0.H1.z", 2.0),
    "last position": lambda lm: lm.scaled("L1.z@-1", 0.0),
    "some positions": lambda lm: lm.scaled("L0.z@1,2", 0.0),
    "a token": lambda lm: lm.added("L0.post@bos", 0.3),
    "edges": lambda lm: lm.knocked_out("L1.pattern", queries=-1, keys="1:3"),
    "from a view": lambda lm: lm.patched("L1.H1.q", lm.without([(0, 0), (0, 1)], "zero")),
}


@pytest.mark.parametrize("name", VIEWS)
def test_every_likelihood_is_that_of_one_unpadded_row(words: LM, own: Path, name: str) -> None:
    """Rows of unequal lengths in batches of five: positions mean tokens, and padding is never seen."""
    view = VIEWS[name](words)
    # HFLM runs all but the last token of an item: for the oracle, pass the same, so that @-1 means the same place.
    found = evaluate(view, ["own_choice", "own_target"], include=own, batch_size=5)
    by_task = {task: [item for item in found.items if item.task == task] for task in ("own_choice", "own_target")}
    for line, item in zip(LINES, by_task["own_choice"], strict=True):
        wanted = [last_logits(view, line["prompt"], line[kind]) for kind in ("target", "distractor")]
        assert [said for said, _ in item.answers] == pytest.approx(wanted, abs=1e-4)
        assert item.scores["margin"] == pytest.approx(wanted[0] - wanted[1], abs=1e-4)
        assert item.scores["acc"] == float(wanted[0] > wanted[1])
    for line, item in zip(LINES, by_task["own_target"], strict=True):
        whole = encoded(words, f"{line['prompt']} {line['target']} {line['distractor']}")
        log_p = view.logits(np.array([whole[:-1]]))[0].log_softmax(-1)
        wanted = float(log_p[-2, whole[-2]] + log_p[-1, whole[-1]])
        assert item.scores["loglikelihood"] == pytest.approx(wanted, abs=1e-4)
    assert untouched(words.model) == []
    held = [receipt for receipt in words.recorder.receipts if receipt.intervention.endswith("(held)")]
    assert name == "plain" or (held and all(receipt.wired and receipt.fired >= len(LINES) for receipt in held[-1:]))


def last_logits(view: LM, prompt: str, word: str) -> float:
    log_p = view.logits(np.array([encoded(view, prompt)]))[0, -1].log_softmax(-1)
    return float(log_p[encoded(view, word)[-1]])


def test_a_whole_document_and_what_is_written_on_it(words: LM, own: Path) -> None:
    for view in (words, VIEWS["zero"](words), VIEWS["some positions"](words)):
        found = evaluate(view, ["own_rolling", "own_text"], include=own, batch_size=7)
        items = {task: [item for item in found.items if item.task == task] for task in ("own_rolling", "own_text")}
        for line, item in zip(LINES, items["own_rolling"], strict=True):
            ids = encoded(words, line["prompt"])
            wanted = view.logits(np.array([[words.tokenizer.bos_token_id, *ids][:-1]]))[0].log_softmax(-1)
            total = float(wanted[torch.arange(len(ids)), torch.tensor(ids)].sum())
            assert item.scores["loglikelihood"] == pytest.approx(total, abs=1e-3)
        for line, item in zip(LINES, items["own_text"], strict=True):
            ids = torch.tensor([encoded(words, line["prompt"])])
            alone = view.generate(ids, max_new_tokens=2, do_sample=False, pad_token_id=127, eos_token_id=127)
            text = words.tokenizer.decode(alone[0, ids.shape[1] :], skip_special_tokens=True)
            assert item.answers[0] == text
        assert untouched(words.model) == []
    acc = evaluate(words, "own_text", include=own).results["own_text"]["exact_match"]
    assert 0 <= acc <= 1


def test_means_are_over_the_tokens_of_the_whole_task(words: LM, own: Path) -> None:
    """Each sequence once, whatever shares a batch; against passes with that constant written in by hand."""
    heads = [(1, 0), *words.facts["induction_heads"]]
    rows = list(dict.fromkeys(tuple(encoded(words, line["prompt"])) for line in LINES))
    outputs = [words.activations(np.array([row]), "L1.z") for row in rows]
    mean = torch.cat([next(iter(found.values()))[0].double() for found in outputs]).mean(0).float()
    by_hand = words
    for _, head in heads:
        by_hand = by_hand.replaced(f"L1.H{head}.z", mean[head])
    view = words.without(heads, "mean")
    results = [evaluate(view, "own_choice", include=own, batch_size=size) for size in (1, 5)]
    for found in results:
        for line, item in zip(LINES, found.items, strict=True):
            wanted = [last_logits(by_hand, line["prompt"], line[kind]) for kind in ("target", "distractor")]
            assert [said for said, _ in item.answers] == pytest.approx(wanted, abs=1e-4)
    assert results[0].view == str(view.removals[0])
    mlp = words.ablated("L0.attn@-1", "mean")
    sizes = [evaluate(mlp, "own_choice", include=own, batch_size=size).scores("margin") for size in (1, 9)]
    np.testing.assert_allclose(sizes[0], sizes[1], atol=1e-4)


def test_the_head_that_does_the_task_is_needed_and_items_pair(words: LM, own: Path) -> None:
    plain = evaluate(words, "own_choice", include=own)
    view = words.without(words.facts["induction_heads"], "mean")
    other = evaluate(view, "own_choice", include=own)
    bystander = evaluate(words.without(words.facts["bystanders"][-1:], "mean"), "own_choice", include=own)
    assert plain.results["own_choice"]["acc"] == 1.0
    lost = paired(plain, other, "margin")
    assert lost.shape == (len(LINES),) and lost.max() < -5
    assert abs(paired(plain, bystander, "margin")).max() < 0.5
    assert task_effect(words, view, "own_choice", include=own) == pytest.approx(float(lost.mean()))
    assert task_effect(words, words.scaled("L0.H0.z", 1.0), "own_choice", "acc", include=own) == 0.0
    with pytest.raises(InvalidMeasurement, match="12 and 3, the first difference at place 3"):
        paired(plain, evaluate(words, "own_choice", include=own, limit=3), "margin")
    with pytest.raises(UsageError, match=r"no item of task any has the score 'margn': known are acc, margin"):
        plain.scores("margn")


@pytest.mark.parametrize("task", SHIPPED)
def test_shipped_tasks_are_lm_eval_s_own_numbers(stories: LM, task: str) -> None:
    """Without an intervention, item by item what lm-eval itself says; under one, what plain passes say."""
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    import lm_eval

    folder = Path(__file__).parents[2] / "fixtures" / "tasks"
    stock = lm_eval.simple_evaluate(
        model=HFLM(pretrained=stories.model, tokenizer=copy.deepcopy(stories.tokenizer), batch_size=8, max_length=stories.context),
        tasks=[task],
        task_manager=TaskManager(include_path=str(folder), include_defaults=False),
        limit=6,
        bootstrap_iters=0,
    )
    found = evaluate(stories, task, limit=6)
    assert found.results[task]["acc"] == stock["results"][task]["acc,none"]
    for item, sample in zip(found.items, stock["samples"][task], strict=True):
        assert item.scores["acc"] == sample["acc"]
        assert [a for a, _ in item.answers] == pytest.approx([a for a, _ in sample["filtered_resps"]], abs=1e-4)
    view = stories.without([(1, 2), (3, 0)], "zero")
    altered = evaluate(view, task, limit=6)
    for item, sample in zip(altered.items, stock["samples"][task], strict=True):
        wanted = [answer(view, *arguments) for arguments in sample["arguments"]]
        assert [a for a, _ in item.answers] == pytest.approx(wanted, abs=2e-3)
    assert abs(paired(found, altered, "margin")).max() > 1e-2
    assert stories.tokenizer.pad_token is None, "the subject's tokenizer is left alone"


def test_nothing_global_is_touched(words: LM, own: Path) -> None:
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state()
    evaluate(VIEWS["zero"](words), ["own_choice", "own_text"], include=own, limit=4)
    assert random.getstate() == states[0]
    assert np.random.get_state()[1].tolist() == states[1]
    assert torch.equal(torch.random.get_rng_state(), states[2])


REFUSED: dict[str, tuple[Callable[[LM], LM], str]] = {
    "resample": (lambda lm: lm.without([(1, 0)], "resample", np.random.default_rng(0)), "come from other rows of the same run"),
    "position mean": (lambda lm: lm.without([(1, 0)], "position mean"), "come from other rows of the same run"),
    "rows": (lambda lm: lm.without_by_row(np.ones((3, lm.layers, lm.heads), bool), "zero"), "values are for 3 rows"),
    "ids": (lambda lm: lm.patched("L0.post", some_ids(1, 5)), "a run on sequences of its own"),
    "length": (lambda lm: lm.added("L0.post", torch.ones(5, 1)), "for sequences of one length"),
    "pairs": (lambda lm: lm.knocked_out("L0.pattern", pairs=np.tri(5, dtype=bool)), "edges are for sequences of one length"),
    "inside": (lambda lm: lm.patched("L1.z", lm.without([(0, 1)], "mean")), "its source takes a mean"),
    "path": (lambda lm: lm.path_patched("L0.H1.z", "L1.H0.q", some_ids(1, 5)), "a run on sequences of its own"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_belongs_to_one_run_is_refused_by_name(words: LM, own: Path, name: str) -> None:
    make, told = REFUSED[name]
    view = make(words)
    with pytest.raises(UsageError, match=told) as error:
        evaluate(view, "own_choice", include=own)
    assert str((*view.removals, *view.changes)[-1]).split(" ")[0] in str(error.value) or name in ("inside", "path")


def test_bad_input(words: LM, own: Path) -> None:
    with pytest.raises(NotApplicable, match="has no tokenizer"):
        evaluate(tiny_lm(), SHIPPED[0])
    for value in (0, True, "auto", 2.5):
        with pytest.raises(UsageError, match="batch_size must be a whole number"):
            evaluate(words, SHIPPED[0], batch_size=value)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="limit must be a whole number"):
        evaluate(words, SHIPPED[0], limit=0)
    with pytest.raises(UsageError, match="no folder"):
        evaluate(words, SHIPPED[0], include=own / "absent")
    with pytest.raises(UsageError, match=r"no lm-eval task 'claimbench_wordpairs'.*claimbench_word_pairs"):
        evaluate(words, "claimbench_wordpairs")
    with pytest.raises(DeclarationError, match="'every step' or 'prompt'"):
        evaluate(VIEWS["zero"](words), "own_text", include=own, when="always", limit=2)


def test_the_digest_of_task_files_follows_their_content(own: Path, tmp_path: Path) -> None:
    first = task_files("own_choice", own)
    (tmp_path / "a.yaml").write_text("task: a")
    one = task_files("a", tmp_path).digest
    (tmp_path / "a.jsonl").write_text("{}")
    assert len({first.digest, one, task_files("a", tmp_path).digest}) == 3
    assert task_files("own_choice", own) == first
    with pytest.raises(UsageError, match="no task files"):
        task_files("a", tmp_path / "absent")


def test_a_task_by_its_files(words: LM, own: Path) -> None:
    found: Any = evaluate(words, task_files("own_choice", own), limit=2)
    assert [item.id for item in found.items] == ["0", "1"]
