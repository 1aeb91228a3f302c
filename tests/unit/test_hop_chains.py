"""Chains of any number of hops: rows, the network's own chain, stages on networks whose answers are known, streams."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from claimbench.measures.hop_chains import drawn_questions, own_chain, stages, walked, written
from claimbench.measures.two_hops import Words
from claimbench.running.collecting import load_all_organisms, load_module
from claimbench.training import lm_of, recipes, train
from claimbench.training.preparing import prepared_network

FILE = Path(__file__).parents[2] / "fixtures" / "organisms" / "hop_chains.py"
SEED = 71
TABLE, WORDS = np.array([[1, 0], [2, 2], [0, 1]]), Words(3, 2)  # r0 adds one, r1 doubles (modulo three)


@pytest.fixture(scope="module")
def organisms() -> ModuleType:
    load_all_organisms([], FILE.parents[2])
    return load_module(FILE)


def reads_back(places: int) -> Any:
    """A GPT-2 of one layer over eight tokens that names the token so many places before; its stream is one-hot."""
    recipe = recipes()["three-hop-untrained"].with_(
        model={"n_layer": 1, "n_head": 1, "n_embd": 64, "vocab_size": WORDS.number, "n_positions": 12}
    )
    model = prepared_network(recipe, SEED, lambda *_: None).model.eval().requires_grad_(False)
    attention = model.transformer.h[0].attn
    for name, parameter in model.named_parameters():
        if "ln_" not in name:
            parameter.zero_()
    model.transformer.wte.weight[range(8), range(8)] = 1.0
    model.transformer.wpe.weight[range(12), range(8, 20)] = 1.0
    for place in range(places, 12):
        attention.c_attn.weight[8 + place, place] = 5.0
        attention.c_attn.weight[8 + place - places, 64 + place] += 5.0
    attention.c_attn.weight[range(8), range(128, 136)] = 1.0
    attention.c_proj.weight[range(8), range(24, 32)] = 1.0
    model.lm_head.weight[range(8), range(24, 32)] = 10.0
    return lm_of(model)


def test_rows_are_written_as_described() -> None:
    questions = np.array([[0, 0, 1, 0], [2, 1, 0, 1]])
    entities = walked(TABLE, questions)
    assert entities.tolist() == [[1, 2, 0], [1, 2, 1]]
    assert written(WORDS, questions, entities).tolist() == [[0, 3, 4, 3, 5, 1, 5, 2, 5, 0], [2, 4, 3, 4, 5, 1, 5, 2, 5, 1]]


def test_questions_are_different_and_all_of_them_if_asked() -> None:
    found = drawn_questions(np.random.default_rng(3), 3, 2, 2, 12)
    assert len({tuple(row) for row in found}) == 12 and found.max(0).tolist() == [2, 1, 1]


def test_a_chain_goes_on_behind_its_own_entities(organisms: ModuleType) -> None:
    """What it names is what stands before `=`: the last relation first, then its own word again."""
    assert own_chain(reads_back(1), WORDS, np.array([[0, 0, 1], [2, 1, 0]]), 2).tolist() == [[4, 4], [3, 3]]


@pytest.mark.parametrize(("places", "screens"), [(1, True), (5, False)])
def test_stages_say_what_is_read(organisms: ModuleType, places: int, screens: bool) -> None:
    """Behind the bridge, at place 5 of `h r1 r2 = b =`, the network reads the bridge, or the head."""
    questions = drawn_questions(np.random.default_rng(3), 3, 2, 2, 12)
    found = dict(stages(reads_back(places), WORDS, questions, walked(TABLE, questions), np.random.default_rng(4)))
    assert (found["stage 2 by bridge"] > 2) == screens and (found["stage 2 by earlier tokens"] < 0.1) == screens


def test_streams_hold_what_they_say(organisms: ModuleType) -> None:
    options = {"relations": 6, "hops": 3, "trained": 500}
    table, questions, held_out = organisms.drawn(SEED, 6, 3, 500)
    few = organisms.drawn(SEED, 6, 3, 100)[1]
    assert (few == questions[:100]).all(), "more questions have fewer among them"
    assert not {tuple(row) for row in questions} & {tuple(row) for row in held_out}
    words = Words(organisms.ENTITIES, 6)
    true = {tuple(row) for row in written(words, questions, walked(table, questions))}
    batch = organisms.chains(np.random.default_rng(0), 200, SEED, **options, ratio=False)
    assert {tuple(row) for row in batch.ids[80:]} <= true and set(batch.targets[80:].sum(1)) == {3}
    assert set(batch.targets[:80].sum(1)) == {1} and (batch.ids[batch.targets] < words.entities).all()
    random = organisms.chains(np.random.default_rng(0), 200, SEED, **options, ratio=False, form="random")
    assert (random.ids[80:, [0, 1, 2, 3, 9]] == batch.ids[80:, [0, 1, 2, 3, 9]]).all()
    assert (random.ids[80:, 5] == batch.ids[80:, 5]).mean() < 0.2
    assert organisms.chains(np.random.default_rng(0), 200, SEED, **options).targets.sum(1).tolist().count(1) == round(
        200 * 240 / 740
    )


def test_a_short_training_learns_and_is_probed(organisms: ModuleType) -> None:
    run = train(recipes()["three-hop-chain"].with_(steps=30, evaluate_every=30, batch=64), SEED)
    assert run.final["facts"] > 1.5 / 40 and run.final["loss"] < np.log(49)
    assert {"held out", "stage 1 by head", "stage 3 by bridge", "stage 3 by earlier tokens"} <= set(run.final)
