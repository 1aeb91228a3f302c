"""The documents of the repeated-data organism: what comes back in them, what must be inferred, and what is seen again."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from claimbench.running.collecting import load_all_organisms, load_module
from claimbench.training import recipes
from claimbench.training.preparing import prepared_network

FILE = Path(__file__).parents[2] / "fixtures" / "organisms" / "document_language.py"


@pytest.fixture(scope="module")
def made() -> ModuleType:
    load_all_organisms([], FILE.parents[2])
    return load_module(FILE)


def test_what_is_marked_as_recalled_followed_its_token_before(made: ModuleType) -> None:
    ids, marks = made.documents(np.random.default_rng(0), 200)
    rows, places = np.nonzero(marks["recall"])
    lags = []
    for row, place in zip(rows, places, strict=True):
        token, before = ids[row, place], ids[row, place - 1]
        earlier = np.flatnonzero(ids[row, : place - 1] == before)
        assert made.FIRST_NAME <= token < made.FIRST_CUE
        assert len(earlier) and token in ids[row, earlier + 1]
        lags.append(place - 1 - earlier[-1])
    assert len(set(lags)) > 15 and 0.15 < marks["recall"].mean() < 0.4


def test_what_is_marked_as_few_shot_is_in_no_earlier_pair_and_in_the_document_s_dialect(made: ModuleType) -> None:
    ids, marks = made.documents(np.random.default_rng(1), 200)
    answer = ids >= made.FIRST_ANSWER
    answer[:, 0] = False
    for row, place in zip(*np.nonzero(marks["few-shot"]), strict=True):
        assert ids[row, place] not in ids[row, :place]
        shown = ids[row, :place][answer[row, :place]]
        assert len(shown) and set((shown - made.FIRST_ANSWER) // made.CUES) == {(ids[row, place] - made.FIRST_ANSWER) // made.CUES}
        assert (ids[row, place] - made.FIRST_ANSWER) % made.CUES == ids[row, place - 1] - made.FIRST_CUE


def test_repeated_documents_are_the_share_that_was_asked_for_and_none_of_what_is_held_out(made: ModuleType) -> None:
    again = {row.tobytes() for row in made.subset(3, 5)}
    batch = made.stream_of_documents(np.random.default_rng(2), 400, seed=3, distinct=5, share=0.5)
    assert 0.4 < np.mean([row.tobytes() in again for row in batch.ids]) < 0.6
    held = made.held_out(np.random.default_rng(2), 160, seed=3, distinct=5, share=0.5)
    seen = np.array([row.tobytes() in again for row in held.ids])
    assert seen.sum() == 20 and np.array_equal(held.marks["repeated"].any(1), seen)
    assert not (held.targets.any(1) & seen).any()


def test_arms_see_the_same_new_documents(made: ModuleType) -> None:
    plain = made.stream_of_documents(np.random.default_rng(4), 64)
    half = made.stream_of_documents(np.random.default_rng(4), 64, distinct=5, share=0.5)
    same = (plain.ids == half.ids).all(1)
    assert 0.3 < same.mean() < 0.7


def test_a_snippet_is_its_span_twice(made: ModuleType) -> None:
    rows = made.snippets(np.random.default_rng(5), 8)
    assert rows.shape == (8, made.WIDTH)
    assert np.array_equal(rows[:, 1 : 1 + made.SNIPPET], rows[:, 2 + made.SNIPPET : 2 + 2 * made.SNIPPET])
    assert all(len(set(row[1 : 1 + made.SNIPPET])) == made.SNIPPET for row in rows)


def test_the_longer_twins_differ_in_their_snippets_alone(made: ModuleType) -> None:
    natural, snippets = (recipes()[name] for name in ("documents-longer", "documents-longer-snippets"))
    assert [stage.options.get("copies", 0.0) for stage in snippets.stages] == [0.5, 0.35, 0.2, 0.0]
    assert snippets.with_(name=natural.name, stages=natural.stages).digest() == natural.digest()
    assert sum(stage.steps for stage in natural.stages) == natural.steps == 1200


def test_the_first_head_looks_at_the_token_before_training(made: ModuleType) -> None:
    model = prepared_network(recipes()["documents"], 0, lambda recipe, seed: None).model.eval()
    model.set_attn_implementation("eager")
    ids = torch.from_numpy(made.documents(np.random.default_rng(6), 4)[0])
    with torch.no_grad():
        pattern = model(input_ids=ids, output_attentions=True).attentions[0]
    behind = torch.diagonal(pattern, -1, 2, 3)[..., 5:].mean((0, 2))
    assert behind[0] > 0.8 > 0.3 > behind[1:].max()
