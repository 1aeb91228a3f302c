"""Heads of the induction layers alone, left out and added back, on nets whose heads are written by hand."""

from __future__ import annotations

import numpy as np
import pytest
from claimbench.measures.copy_heads import copy_accuracy, induction_layers, keeping, losses_keeping
from claimbench.measures.gains import copy_loss, order_gain
from claimbench.measures.prompts import Repeats, repeats
from claimbench.measures.scores import head_scores, heads_above_null
from claimbench.subjects.family import family, load_organisms
from claimbench.subjects.lm import LM
from claimbench.subjects.shipped import shipped_root


def net(name: str) -> LM:
    load_organisms([shipped_root() / "fixtures" / "organisms"])
    return family(name).subject(1)


@pytest.fixture(scope="module")
def graded() -> LM:
    return net("constructed-graded-copying")


@pytest.fixture(scope="module")
def prompts(graded: LM) -> Repeats:
    return repeats(graded, np.random.default_rng(0), n=6)


def test_the_graded_heads_are_above_null_in_the_order_in_which_they_were_written(graded: LM, prompts: Repeats) -> None:
    written = [tuple(head) for head in graded.facts["induction_heads"]]
    scores = head_scores(graded, prompts, np.random.default_rng(1))
    found = heads_above_null(scores, "induction")
    assert set(found) == set(written) and induction_layers(found) == [1]
    strengths = [scores.excess["induction"][head] for head in written]
    assert strengths == sorted(strengths, reverse=True) and strengths[0] > 0.8 and strengths[-1] < 0.55


def test_the_strongest_alone_copies_and_none_does_not(graded: LM, prompts: Repeats) -> None:
    heads = [tuple(head) for head in graded.facts["induction_heads"]]
    assert copy_accuracy(graded, prompts) == 1.0
    assert copy_accuracy(keeping(graded, heads, heads[:1], "mean"), prompts) > 0.95
    assert copy_accuracy(keeping(graded, heads, [], "mean"), prompts) < 0.1
    assert keeping(graded, heads, heads, "mean") is graded


def test_losses_fall_as_heads_are_added_back(graded: LM, prompts: Repeats) -> None:
    heads = [tuple(head) for head in graded.facts["induction_heads"]]
    losses = losses_keeping(graded, prompts, heads, [heads[:kept] for kept in range(len(heads) + 1)], "mean")
    assert (np.diff(losses) < 0).all() and losses[-1] == pytest.approx(copy_loss(graded, prompts), abs=1e-6)


def test_without_the_carrier_heads_find_the_place_and_copy_nothing() -> None:
    lm = net("constructed-carried-copying")
    prompts = repeats(lm, np.random.default_rng(0), n=4)
    whole = order_gain(lm, prompts)
    for kind, kept, lost in (("carriers", "pattern", True), ("carriers", "v", False), ("previous_token_heads", "v", True)):
        gone = lm.without([tuple(head) for head in lm.facts[kind]], mode="mean").frozen(f"L1.{kept}")
        assert (order_gain(gone, prompts) < 0.2 * whole) == lost
