"""The hand-written net of the two-pair label task in which one head does it all."""

from __future__ import annotations

import numpy as np
import pytest
from claimbench.measures.labels import episodes, label_accuracy, label_strength, without_one_accuracies
from claimbench.subjects.family import family, load_organisms
from claimbench.subjects.shipped import shipped_root


@pytest.mark.parametrize("seed", [0, 10])
def test_one_head_of_eight_does_it_all(seed: int) -> None:
    load_organisms([shipped_root() / "fixtures" / "organisms"])
    lm, rng = family("constructed-one-head").subject(seed), np.random.default_rng(0)
    shown = episodes(lm, rng, 512)
    ((layer, head),) = lm.facts["induction_heads"]
    strengths = label_strength(lm, shown)
    others = np.delete(strengths[layer], head)
    assert (layer, len(strengths[layer])) == (1, 8) and strengths[layer][head] > 0.9 and abs(others).max() < 0.1
    assert all(label_accuracy(lm, episodes(lm, rng, 512, pairs=pairs)) > 0.99 for pairs in ("train", "held_out"))
    without = without_one_accuracies(lm, shown, layer=layer, mode="zero", rng=rng)
    assert without[head] < 0.4 and np.delete(without, head).min() > 0.99
    assert set(lm.facts["bystanders"]).isdisjoint({(layer, head)})
