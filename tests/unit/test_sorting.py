"""Sorting: rows, temperatures of attention, what the probe counts as sorted."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from claimbench.running.collecting import load_all_organisms, load_module
from claimbench.training import recipes
from claimbench.training.preparing import prepared_network

FILE = Path(__file__).parents[2] / "fixtures" / "organisms" / "sorting.py"


@pytest.fixture(scope="module")
def organism() -> ModuleType:
    load_all_organisms([], FILE.parents[2])
    return load_module(FILE)


def test_rows_are_lists_and_the_same_values_in_order(organism: ModuleType) -> None:
    batch = organism.sorting(np.random.default_rng(0), 300, lengths=(2, 5))
    lengths = batch.targets.sum(1)
    assert batch.ids.shape == (300, 11) and set(lengths) == {2, 3, 4, 5}
    for row, length in zip(batch.ids, lengths, strict=True):
        values, answer = row[:length].tolist(), row[length + 1 : 2 * length + 1].tolist()
        assert len(set(values)) == length and answer == sorted(values) and row[length] == organism.EQUALS
        assert (row[2 * length + 1 :] == organism.PADDING).all()


def test_temperatures_multiply_what_they_say(organism: ModuleType) -> None:
    """At the typical number of visible keys all arms attend alike; with more, the log arm attends more sharply, as by hand."""
    model = prepared_network(recipes()["sorting-log-temperature"], 3, lambda *_: None).model
    plain = prepared_network(recipes()["sorting-constant"], 3, lambda *_: None).model
    with torch.no_grad():
        for name, parameter in plain.named_parameters():
            assert torch.equal(parameter, model.get_parameter(name)), "the arms of a seed begin alike"
        ids = torch.arange(20)[None]
        (_, constant), (_, log) = (
            organism.sorted_logits(each, ids, 1, 2, how) for each, how in ((plain, "constant"), (model, "log"))
        )
    typical = int(organism.TYPICAL)
    torch.testing.assert_close(log[0][:, :, typical - 1], constant[0][:, :, typical - 1])
    weights = constant[0][0, 0, 19]
    factor = np.log(20) / np.log(organism.TYPICAL)
    torch.testing.assert_close(log[0][0, 0, 19], weights**factor / (weights**factor).sum())


def test_the_probe_counts_whole_lists(organism: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that is right but for the last value of half of the lists."""
    recipe = recipes()["sorting-constant"]

    def logits_of(weights: object, ids: torch.Tensor, **_: object) -> tuple[torch.Tensor, list[torch.Tensor]]:
        length = ids.shape[1] // 2
        named = torch.zeros(*ids.shape, dtype=torch.long)
        named[:, length:] = ids[:, :length].sort(1).values
        named[::2, -1] = organism.PADDING
        return torch.nn.functional.one_hot(named, organism.VALUES + 2).double(), [torch.ones(1, 2, ids.shape[1], ids.shape[1])]

    monkeypatch.setattr(organism, "sorted_logits", logits_of)
    found = organism.in_order(None, np.random.default_rng(0), recipe)
    assert found["exact at 10"] == 0.5 and found["values at 10"] == pytest.approx(0.95) and found["entropy at 10, layer 0"] == 0
