"""Measures of many views at once: as in a loop over the views, on nets written by hand and trained."""

from __future__ import annotations

import numpy as np
import pytest
from claimbench.errors import InvalidMeasurement, NotApplicable, UsageError
from claimbench.measures import gains, swept
from claimbench.measures.prompts import Repeats, repeats
from claimbench.subjects.lm import LM
from claimbench.sweeps.reading import token_losses

from measure_fakes import constructed

SETS = [[(1, 0), (1, 3)], [], [(0, 2)], [(0, 1), (1, 1)]]
GAINS = {"order": gains.order_gain, "swap": gains.swap_gain, "naive": gains.naive_gain}


@pytest.fixture(scope="module", params=["constructed-induction-head", "copying"])
def lm(request: pytest.FixtureRequest) -> LM:
    return constructed(request.param)


@pytest.fixture(scope="module")
def prompts(lm: LM) -> Repeats:
    return repeats(lm, np.random.default_rng(0), n=5, lengths=(8, 12))


@pytest.mark.parametrize("mode", ["zero", "mean", "resample"])
def test_views_are_measured_as_one_by_one(lm: LM, prompts: Repeats, mode: str) -> None:
    views = swept.without_each(lm, SETS, mode, np.random.default_rng(1))
    assert views[1] is lm
    losses = swept.of_views(lm, views, prompts.ordered, token_losses())
    assert losses.shape == (4, *(prompts.ordered[:, 1:].shape))
    for view, loss in zip(views, losses, strict=True):
        np.testing.assert_allclose(loss, gains.token_loss(view, prompts.ordered), atol=2e-5)
    np.testing.assert_allclose(swept.copy_losses(lm, views, prompts), [gains.copy_loss(view, prompts) for view in views], atol=1e-5)
    named = [view.logits(prompts.ordered).argmax(-1).numpy()[:, :-1] == prompts.ordered[:, 1:] for view in views]
    assert swept.copy_accuracies(lm, views, prompts) == pytest.approx([hit[prompts.scored].mean() for hit in named])
    for name, gain in GAINS.items():
        np.testing.assert_allclose(swept.order_gains(lm, views, prompts, name), [gain(view, prompts) for view in views], atol=2e-5)


def test_the_subject_alone_needs_no_sweep(lm: LM, prompts: Repeats) -> None:
    assert swept.copy_losses(lm, [lm, lm], prompts) == pytest.approx([gains.copy_loss(lm, prompts)] * 2, abs=1e-6)


def test_shares_lost_are_of_the_same_sequences(lm: LM, prompts: Repeats) -> None:
    heads = [tuple(head) for head in lm.facts.get("induction_heads", [(1, 0)])]
    lost = swept.shares_lost(lm, [heads, []], prompts, "mean")
    whole, left = (gains.order_gain(view, prompts) for view in (lm, lm.without(heads, mode="mean")))
    assert lost == pytest.approx([1 - left / whole, 0], abs=1e-5)


def test_unknown_gains_gains_that_are_not_there_and_losses_that_are_not_finite(
    lm: LM, prompts: Repeats, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match='gain "loss" is unknown'):
        swept.order_gains(lm, [lm], prompts, "loss")
    nothing = constructed("untrained-copying")
    with pytest.raises(NotApplicable, match="no gain to lose in"):
        swept.shares_lost(nothing, [[(0, 0)]], repeats(nothing, np.random.default_rng(0), n=4, lengths=(8, 12)), "zero")
    monkeypatch.setattr(swept, "plain", lambda lm, ids, _: np.full(ids[:, 1:].shape, np.inf))
    with pytest.raises(InvalidMeasurement, match="losses were to be finite"):
        swept.copy_losses(lm, [lm], prompts)
