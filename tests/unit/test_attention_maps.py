"""Attention of one head on one row: written-down patterns come out as they are, and heads that are not there are refused."""

from __future__ import annotations

import numpy as np
import pytest
from claimbench.errors import UsageError
from claimbench.measures.attention_maps import attention_map, token_names
from claimbench.measures.prompts import repeats
from claimbench.running.observe import Observations

from measure_fakes import FakeLM, constructed, induction, previous, story_model

LAYERS = ((previous, previous), (previous, induction))


def test_an_induction_head_looks_behind_the_earlier_occurrence() -> None:
    lm = FakeLM(LAYERS)
    row = repeats(lm, np.random.default_rng(0), n=1, lengths=(8, 8), prefix=(2, 2))
    _, query, first = row.queries()
    found = attention_map(lm, row.ordered[0], (1, 1))
    assert found.shape == (len(row.ordered[0]),) * 2
    assert np.all(found[query, first + 1] == 1)
    assert attention_map(lm, row.ordered[0], (0, 1))[query, query - 1].tolist() == [1.0] * len(query)


def test_a_real_head_is_causal_and_its_rows_sum_to_one() -> None:
    lm = constructed("constructed-induction-head")
    row = repeats(lm, np.random.default_rng(1), n=1, lengths=(8, 8)).ordered[0]
    found = attention_map(lm, row, (1, 0))
    assert found.sum(1) == pytest.approx(1.0, abs=1e-4)
    assert not np.triu(found, 1).any()


@pytest.mark.parametrize("head", [(2, 0), (0, 2), (-1, 0)])
def test_a_head_that_is_not_there_is_refused(head: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="out of range: the subject has 2 layers of 2 heads"):
        attention_map(FakeLM(LAYERS), np.arange(5), head)


def test_tokens_are_called_by_their_text_or_number() -> None:
    assert token_names(FakeLM(LAYERS), np.array([3, 14])) == ["3", "14"]
    lm = story_model()
    ids = np.array(lm.tokenizer("Once upon a time", add_special_tokens=False)["input_ids"])
    assert "".join(token_names(lm, ids)).replace(" ", "") == "Onceuponatime"


def test_what_is_kept_ends_at_the_query() -> None:
    observe = Observations()
    observe.attention("Looks", np.tri(3) / 3, ["a", "b", "c"], marked=[(np.int64(2), np.int64(0))])
    kept = observe.found["Looks"]
    assert kept["values"] == [[0.333], [0.333, 0.333], [0.333, 0.333, 0.333]]
    assert kept["marked"] == [[2, 0]] and kept["tokens"] == ["a", "b", "c"]
