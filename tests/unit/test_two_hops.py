"""Two-hop questions: facts and their splits, rows, and measures on networks whose answers are known."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from claimbench.errors import EffectError
from claimbench.measures.two_hops import Facts, Words, draw_facts, lens_ranks, moved_by_patch, own_answers, replaced_at
from claimbench.running.collecting import load_all_organisms, load_module
from claimbench.training import lm_of, recipes, train
from claimbench.training.preparing import prepared_network

FILE = Path(__file__).parents[2] / "fixtures" / "organisms" / "two_hop_chains.py"
SEED = 71


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.fixture(scope="module")
def organisms() -> ModuleType:
    load_all_organisms([], FILE.parents[2])
    return load_module(FILE)


def small() -> tuple[Facts, Words]:
    """Three entities, two relations: r0 adds one, r1 doubles (modulo three)."""
    table = np.array([[1, 0], [2, 2], [0, 1]])
    none = np.zeros((0, 3), np.int64)
    return Facts(table, np.zeros((3, 2), bool), none, none, none), Words(3, 2)


def network(attends_back: int | None) -> Any:
    """A GPT-2 of one layer over seven tokens: its stream is one-hot; the logits are those of the token so many places before."""
    recipe = recipes()["two-hop-untrained"].with_(
        model={"n_layer": 1, "n_head": 1, "n_embd": 64, "vocab_size": 8, "n_positions": 8}
    )
    model = prepared_network(recipe, SEED, lambda *_: None).model.eval().requires_grad_(False)
    attention = model.transformer.h[0].attn
    for name, parameter in model.named_parameters():
        if "ln_" not in name:
            parameter.zero_()
    model.transformer.wte.weight[range(8), range(8)] = 1.0
    model.transformer.wpe.weight[range(8), range(8, 16)] = 1.0
    if attends_back is not None:
        for place in range(attends_back, 8):
            attention.c_attn.weight[8 + place, place] = 5.0
            attention.c_attn.weight[8 + place - attends_back, 64 + place] += 5.0
        attention.c_attn.weight[range(8), range(128, 136)] = 1.0
        attention.c_proj.weight[range(8), range(16, 24)] = 1.0
        model.lm_head.weight[range(8), range(16, 24)] = 10.0
    else:
        model.lm_head.weight[range(8), range(8)] = 10.0
    return lm_of(model)


def test_rows_are_written_as_described() -> None:
    facts, words = small()
    asked = np.array([[0, 0, 1], [2, 1, 0]])
    assert facts.bridges(asked).tolist() == [1, 1] and facts.answers(asked).tolist() == [2, 2]
    assert words.fact_rows(facts, np.array([[2, 1]])).tolist() == [[2, 4, 5, 1]]
    assert words.direct_rows(facts, asked).tolist() == [[0, 3, 4, 5, 2], [2, 4, 3, 5, 2]]
    assert words.chain_rows(facts, asked).tolist() == [[0, 3, 4, 5, 1, 5, 2], [2, 4, 3, 5, 1, 5, 2]]
    assert words.chain_rows(facts, asked, np.array([6, 6]))[:, 4].tolist() == [6, 6] and words.number == 8


def test_facts_apart_stand_in_no_trained_composition() -> None:
    facts = draw_facts(rng(), 30, 5, 0.2, 0.1)
    assert facts.apart.sum() == 30
    for kind, apart in ((facts.trained, False), (facts.held_out, False), (facts.apart_pairs, True)):
        assert (facts.apart[kind[:, 0], kind[:, 1]] == apart).all() and (
            facts.apart[facts.bridges(kind), kind[:, 2]] == apart
        ).all()
    trained, held_out = ({tuple(row) for row in kind} for kind in (facts.trained, facts.held_out))
    assert not trained & held_out and len(held_out) == round(0.1 * (len(trained) + len(held_out)))
    with pytest.raises(EffectError, match="make no composition"):
        draw_facts(rng(), 30, 5, 0.0, 0.1)


def test_another_token_stands_at_one_place_alone() -> None:
    rows = np.tile([0, 3, 4, 5], (500, 1))
    found = replaced_at(rng(), rows, 1, 3, 6)
    assert set(found[:, 1]) == {4, 5} and (found[:, [0, 2, 3]] == rows[:, [0, 2, 3]]).all()


def test_patches_move_what_is_read_and_nothing_else(organisms: ModuleType) -> None:
    """The network names the token two places before the last: only a patch there moves it, by its whole margin."""
    lm = network(attends_back=1)
    rows = np.array([[0, 3, 4, 1, 5, 1], [2, 4, 3, 0, 5, 0]])
    assert moved_by_patch(lm, rows, replaced_at(rng(), rows, 3, 0, 3), 3) > 10
    assert moved_by_patch(lm, rows, replaced_at(rng(), rows, 0, 0, 3), 0) < 1e-4
    with pytest.raises(EffectError, match="another token there"):
        moved_by_patch(lm, rows, rows, 3)


def test_answers_follow_the_networks_own_first_token(organisms: ModuleType) -> None:
    _, words = small()
    questions = np.array([[0, 3, 4, 5], [2, 4, 3, 5]])
    first, answer = own_answers(network(attends_back=1), words, questions, chain=True)
    assert first.tolist() == [4, 3] and answer.tolist() == [4, 3], "names what stands before `=`: r2, then its own word"
    assert [each.tolist() for each in own_answers(network(attends_back=1), words, questions, chain=False)] == [[4, 3], [4, 3]]


def test_the_lens_reads_what_stands_in_the_stream(organisms: ModuleType) -> None:
    rows = np.array([[0, 3, 4, 5], [2, 4, 3, 5]])
    ranks = lens_ranks(network(attends_back=None), rows, rows[:, 1], (1, 2))
    assert ranks.shape == (1, 2) and ranks[0, 0] == 0 and ranks[0, 1] > 0


def test_streams_hold_what_they_say(organisms: ModuleType) -> None:
    facts, words = organisms.facts_of(SEED), organisms.WORDS
    for form, ends in (("chain", 2), ("direct", 1), ("filler", 2), ("random", 2)):
        batch = organisms.two_hops(rng(), 200, SEED, form)
        assert batch.ids.shape == (200, 7) and set(batch.targets[:80].sum(1)) == {1} and set(batch.targets[80:].sum(1)) == {ends}
        assert (batch.ids[batch.targets] < words.entities).all() or form == "filler"
    chains = {tuple(row) for row in words.chain_rows(facts, facts.trained)}
    for share, place in (("bridge_noise", 4), ("answer_noise", 6)):
        _, whole = organisms.rows_of(SEED, "chain", **{share: 0.2})
        wrong = [row for row in map(tuple, whole.ids) if row not in chains]
        assert len(wrong) == pytest.approx(0.2 * len(whole.ids), rel=0.25)
        clean = {row[:place] + row[place + 1 :] for row in chains}
        assert all(row[:place] + row[place + 1 :] in clean for row in wrong), "nothing else is wrong"


def test_a_short_training_learns_and_is_probed(organisms: ModuleType) -> None:
    run = train(recipes()["two-hop-chain"].with_(steps=30, evaluate_every=30, batch=64), SEED)
    assert run.final["facts"] > 1.5 / 40 and run.final["loss"] < np.log(organisms.WORDS.number)
    assert {"apart", "answer by head", "bridge by head", "bridge rank at separator, layer 1"} <= set(run.final)
    assert torch.is_grad_enabled()
