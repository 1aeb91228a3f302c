"""A screened sweep: estimates order, exact runs decide, and what was missed is said."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from claimbench.errors import DeclarationError
from claimbench.sweeps import edges, heads, loss, loss_at, precision, screened, sweep
from claimbench.sweeps.attribution import estimates
from claimbench.sweeps.exact import levers_of
from claimbench.sweeps.reading import Reading
from claimbench.sweeps.screening import _limit
from claimbench.sweeps.variants import variants_of

from tiny_models import some_ids, tiny_lm


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("mode", ["zero", "mean", "resample"])
def test_the_leaders_are_those_of_the_exact_sweep(family: str, mode: str) -> None:
    lm, ids = tiny_lm(family), some_ids(6, 10)
    exact = sweep(lm, heads(lm), ids, loss(), mode, np.random.default_rng(1))
    found = screened(lm, heads(lm), ids, loss(), 2, np.random.default_rng(1), mode, sample=2)
    assert found.how.startswith("attribution patching")
    for at, number in enumerate(found.confirmed):
        np.testing.assert_allclose(found.exact.values[at], exact.values[number], atol=1e-5)
    assert set(found.top) <= set(found.confirmed) and found.sampled == 2
    if len(found.confirmed) == len(heads(lm)):  # then nothing can be missed
        assert list(found.top) == exact.top(2)


def test_estimates_are_the_slope_of_the_exact_effect() -> None:
    """A change that is small enough does what its gradient says."""
    lm, ids = tiny_lm("llama"), some_ids(4, 8)
    views = [lm.scaled(site, 1 - 1e-3) for site in ("L0.H1.z", "L1.mlp", "L0.pre", "L1.H2.q", "L0.N3.neurons")]
    made = variants_of(lm, views, "zero", None)
    levers = levers_of(lm)
    levers.lower = False
    guess = estimates(lm, levers, made, Reading(loss_at([3, -1]), lm._batch(ids).compact()))
    exact = sweep(lm, [lm.scaled(view.changes[0].sites, 1 + 0.05) for view in views], ids, loss_at([3, -1])).means
    back = sweep(lm, [lm.scaled(view.changes[0].sites, 1 - 0.05) for view in views], ids, loss_at([3, -1])).means
    np.testing.assert_allclose(guess * 1e3, (back - exact) / 0.1, rtol=0.05, atol=2e-4)


def test_a_blind_estimate_is_found_out_by_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    lm, ids = tiny_lm("gpt2"), some_ids(6, 10)
    exact = sweep(lm, heads(lm), ids, loss())
    worst = exact.top(1)[0]
    lying = exact.means.copy()
    lying[worst] = 0.0  # the estimate is blind to the most important head, and right of all others

    monkeypatch.setattr("claimbench.sweeps.screening.estimates", lambda *args: lying)
    found = screened(lm, heads(lm), ids, loss(), 1, np.random.default_rng(0), sample=6)
    assert found.missed == 1 and found.miss_rate == pytest.approx(1 / 6) and found.top == (worst,)


@pytest.mark.parametrize("family", ["gpt2", "llama", "gpt_neox"])
@pytest.mark.parametrize("mode", ["zero", "mean"])
def test_lower_precision_orders_as_well(family: str, mode: str) -> None:
    """Estimates in bfloat16 are those in float32 but for its digits, and what is exact stays exact."""
    lm, ids = tiny_lm(family), some_ids(8, 16)
    levers, guesses = levers_of(lm), {}
    for levers.lower in (False, True):
        found = screened(lm, heads(lm), ids, loss(), 2, np.random.default_rng(1), mode, sample=2)
        guesses[levers.lower] = found.estimates
        assert found.how.endswith("in bfloat16") == levers.lower and lm.dtype == torch.float32
        exact = sweep(lm, [heads(lm)[number] for number in found.confirmed], ids, loss(), mode)
        np.testing.assert_allclose(found.exact.values, exact.values, atol=1e-5)
    assert not np.array_equal(guesses[True], guesses[False])
    np.testing.assert_allclose(guesses[True], guesses[False], atol=0.05 * float(np.abs(guesses[False]).max()))


def test_lower_precision_is_taken_only_where_it_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    modules = [torch.nn.Linear(8, 16), torch.nn.Linear(8, 16), torch.nn.Embedding(10, 8), torch.nn.LayerNorm(8)]
    times: list[float] = []
    monkeypatch.setattr(precision, "_seconds", lambda function, device: times.pop(0))
    for planned, wanted in (([3.0, 1.0], False), ([1.0, 2.0, 0.7, 1.0], True), ([1.0, 2.0, 0.9, 1.0], False)):
        times[:] = planned  # a small product in bfloat16 and in float32; then the shape that there is, in both
        assert precision.faster(modules) == wanted and not times
    assert not precision.faster([torch.nn.LayerNorm(8)]) and not precision.faster([torch.nn.Linear(8, 16).bfloat16()])
    monkeypatch.undo()
    assert precision.faster([torch.nn.Linear(8, 16)]) in (True, False)


def test_edges_are_screened_by_a_part_of_the_sequences() -> None:
    lm, ids = tiny_lm("gpt2"), some_ids(8, 6)
    found = screened(lm, edges(lm, [(4, 1), (5, 0)]), ids, loss(), 2, np.random.default_rng(0), sample=3)
    assert "2 of 8 sequences" in found.how and len(found.top) == 2


def test_limits_of_a_share() -> None:
    assert _limit(0, 8) == pytest.approx(1 - 0.05 ** (1 / 8)) and _limit(8, 8) == 1.0 and np.isnan(_limit(0, 0))


def test_more_leaders_than_variants_are_refused() -> None:
    with pytest.raises(DeclarationError, match="9 most important of 8"):
        screened(lm := tiny_lm("gpt2"), heads(lm), some_ids(), loss(), 9, np.random.default_rng(0))
