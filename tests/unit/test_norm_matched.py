"""Heads matched on the norm of what they add to the residual stream, on numbers and on networks whose norms are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from claimbench.errors import NotApplicable, UsageError
from claimbench.measures.labelled import label_tasks
from claimbench.measures.norm_matched import norm_matched_heads, norm_ratio, output_norms
from claimbench.subjects.family import family, load_organisms
from claimbench.subjects.lm import LM
from claimbench.subjects.shipped import shipped_root

from tiny_models import FALLBACK, INTERFACE, projection, some_ids, tiny_lm

NORMS = np.array([[1.0, 2.0, 4.0, 8.0, 1.9, 0.9], [5.0, 1.0, 1.0, 1.0, 0.0, 0.0]])


def test_each_target_gets_the_nearest_of_its_layer_and_none_twice() -> None:
    assert norm_matched_heads(NORMS, [(0, 1)]) == [(0, 4)]
    assert norm_matched_heads(NORMS, [(0, 0), (0, 1)]) == [(0, 5), (0, 4)]
    assert norm_matched_heads(NORMS, [(0, 1), (1, 0), (0, 0)]) == [(0, 4), (1, 1), (0, 5)]
    assert norm_matched_heads(NORMS, [(0, 1), (0, 1)]) == [(0, 4)]


def test_near_means_in_log() -> None:
    """4 is 1.5 from 2.5 and a factor of 1.6; 1.2 is nearer in size and a factor of 2.1 away."""
    assert norm_matched_heads(np.array([[2.5, 4.0, 1.2]]), [(0, 0)]) == [(0, 1)]


def test_the_whole_set_is_matched_not_the_first_target_best() -> None:
    """The first target alone would take 1.4, and leave a factor of four to the second."""
    norms = np.array([[2.0, 1.0, 1.4, 4.0]])
    assert norm_matched_heads(norms, [(0, 0)]) == [(0, 2)]
    assert norm_matched_heads(norms, [(0, 0), (0, 1)]) == [(0, 3), (0, 2)]


def test_of_equal_heads_the_first_is_taken_and_silent_heads_are_matched_with_silent_ones() -> None:
    assert norm_matched_heads(NORMS, [(1, 0)]) == [(1, 1)]
    assert norm_matched_heads(NORMS, [(1, 2)]) == [(1, 1)]
    assert norm_matched_heads(NORMS, [(1, 4)]) == [(1, 5)]
    assert norm_matched_heads(np.zeros((1, 3)), [(0, 1)]) == [(0, 0)]


def test_forbidden_heads_are_left_out() -> None:
    assert norm_matched_heads(NORMS, [(0, 1)], [(0, 4)]) in ([(0, 0)], [(0, 2)])  # both a factor of two away
    assert norm_matched_heads(NORMS, [(0, 1)], [(0, 4), (0, 2)]) == [(0, 0)]


def test_heads_that_fill_their_layer_have_no_match() -> None:
    with pytest.raises(NotApplicable, match="needs 4 other heads of layer 0, which has 2 left"):
        norm_matched_heads(NORMS, [(0, 0), (0, 1), (0, 2), (0, 3)])
    with pytest.raises(NotApplicable, match="needs 1 other heads of layer 1, which has 0 left"):
        norm_matched_heads(NORMS, [(0, 0), (1, 0)], [(1, head) for head in range(1, 6)])


def test_bad_heads_and_unknown_norms_are_named() -> None:
    with pytest.raises(UsageError, match="2 layers of 6 heads"):
        norm_matched_heads(NORMS, [(2, 0)])
    with pytest.raises(UsageError, match="0 heads to match"):
        norm_matched_heads(NORMS, [])
    with pytest.raises(UsageError, match="norms of layer 1 are not known"):
        norm_matched_heads(np.array([[1.0, 2.0], [np.nan, np.nan]]), [(1, 0)])


def test_the_ratio_is_of_geometric_means() -> None:
    assert norm_ratio(NORMS, [(0, 0), (0, 2)], [(0, 3), (0, 1)]) == pytest.approx(0.5)


@pytest.mark.parametrize("kind", INTERFACE + FALLBACK)
def test_norms_are_those_behind_the_output_projection(kind: str) -> None:
    """Against each head's own columns of the projection, on every family without a norm behind attention."""
    lm, ids = tiny_lm(kind), some_ids(3, 9)
    found = output_norms(lm, ids, [1])
    assert np.isnan(found[0]).all()
    if kind in ("gemma2", "gemma3", "olmo2"):  # a norm behind attention: no linear map of the head's output alone
        assert (found[1] > 0).all()
        return
    (z,) = lm.activations(ids, "L1.z").values()
    weight = projection(lm, kind, 1).weight.detach().float()
    weight = weight.T if kind == "gpt2" else weight  # Conv1D holds the transpose
    each = torch.einsum("bshd,whd->bshw", z.float(), weight.reshape(len(weight), lm.heads, -1))
    np.testing.assert_allclose(found[1], each.norm(dim=-1).mean((0, 1)).numpy(), rtol=1e-3)


def test_padding_does_not_count() -> None:
    lm, ids = tiny_lm(), some_ids(4, 10)
    padded = {"input_ids": np.pad(ids, ((0, 0), (0, 5))), "attention_mask": np.pad(np.ones_like(ids), ((0, 0), (0, 5)))}
    np.testing.assert_allclose(output_norms(lm, padded, [0, 1]), output_norms(lm, ids, [0, 1]), rtol=1e-4)


@pytest.fixture(scope="module")
def planted() -> LM:
    load_organisms([shipped_root() / "fixtures" / "organisms"])
    return family("constructed-task-codes").subject(3)


def test_a_bystander_written_louder_is_matched_with_the_loudest_head(planted: LM) -> None:
    """Its norm grows as its part of the projection does, and what it is matched with changes."""
    tasks = label_tasks(planted, None)
    ids = tasks.asked(np.random.default_rng(0), 16, 0, tasks.shots, "choose").given
    norms = output_norms(planted, ids, [0])[0]
    ((_, reader),) = planted.facts["reader"]
    bystanders = sorted((head for head in range(planted.heads) if head != reader), key=lambda head: norms[head])
    assert norms[reader] > 2 * norms[bystanders[-1]]
    quiet = bystanders[0]
    assert norm_matched_heads(norms[None], [(0, quiet)]) == [(0, bystanders[1])]
    projection = planted.model.transformer.h[0].attn.c_proj
    each, louder = len(projection.weight) // planted.heads, 1.1 * norms[reader] / norms[quiet]
    before = projection.weight.detach().clone()
    projection.weight.data[quiet * each : (quiet + 1) * each] *= louder
    try:
        after = output_norms(planted, ids, [0])[0]
    finally:
        projection.weight.data = before
    assert after[quiet] == pytest.approx(louder * norms[quiet], rel=1e-3)
    assert norm_matched_heads(after[None], [(0, quiet)]) == [(0, reader)]
