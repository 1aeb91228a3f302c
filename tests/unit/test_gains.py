"""Gains of models whose losses are written down."""

from __future__ import annotations

import numpy as np
import pytest
from claimbench.errors import InvalidMeasurement, UsageError
from claimbench.measures import gains as g
from claimbench.measures.prompts import Repeats, repeats, reversed_copies

from measure_fakes import FakeLM, bag_loss, constructed, copying_loss, drift_loss


def prompts(lm: FakeLM, seed: int = 0, **options: object) -> Repeats:
    return repeats(lm, np.random.default_rng(seed), n=12, lengths=(8, 20), **options)


def test_a_copier_gains_from_order_alone() -> None:
    lm = FakeLM(loss=copying_loss)
    rows = prompts(lm)
    assert g.order_gain(lm, rows) == pytest.approx(4.9, abs=1e-6)
    assert g.swap_gain(lm, rows) == pytest.approx(4.9, abs=1e-6)
    assert g.naive_gain(lm, rows) == pytest.approx(4.9, abs=1e-6)
    assert g.copy_loss(lm, rows) == pytest.approx(0.1, abs=1e-6)


def test_a_bag_of_words_has_swap_gain_and_no_order_gain() -> None:
    lm = FakeLM(loss=bag_loss)
    rows = prompts(lm)
    assert g.order_gain(lm, rows) == 0.0
    assert g.swap_gain(lm, rows) == pytest.approx(4.0)
    assert g.naive_gain(lm, rows) == pytest.approx(4.0)


def test_a_drifting_loss_fools_the_naive_gain_only() -> None:
    lm = FakeLM(loss=drift_loss)
    rows = prompts(lm)
    assert g.naive_gain(lm, rows) == pytest.approx(0.1 * rows.length.mean(), abs=1e-5)
    assert g.order_gain(lm, rows) == g.swap_gain(lm, rows) == 0.0


def test_sequences_weigh_equally_whatever_their_length() -> None:
    lm = FakeLM(loss=lambda row: copying_loss(row, hit=row[1] / 100))
    rows = prompts(lm)
    each = g.gains(lm, rows)
    np.testing.assert_allclose(each.order, 5.0 - rows.ordered[:, 1] / 100, atol=1e-6)
    assert g.order_gain(lm, rows) == pytest.approx(each.order.mean())
    np.testing.assert_allclose(g.order_gains(lm, rows), each.order)
    np.testing.assert_allclose(g.swap_gains(lm, rows), each.swap)
    np.testing.assert_allclose(g.naive_gains(lm, rows), each.naive)


def test_the_first_token_of_the_second_copy_is_not_counted() -> None:
    rows = prompts(FakeLM())
    begins = {
        row.tobytes(): at for ids in (rows.ordered, rows.shuffled) for row, at in zip(ids, rows.second, strict=True)
    }

    def loss(row: np.ndarray) -> np.ndarray:
        losses = copying_loss(row)
        losses[begins[row.tobytes()] - 1] = 1000.0
        return losses

    assert g.order_gain(FakeLM(loss=loss), rows) == pytest.approx(4.9, abs=1e-6)


def test_reverse_copying_is_measured_on_reversed_prompts_only() -> None:
    back = FakeLM(loss=lambda row: copying_loss(row, direction=-1))
    rows = reversed_copies(back, np.random.default_rng(0), n=8, lengths=(8, 20))
    assert g.reverse_copy_loss(back, rows) == pytest.approx(0.1, abs=1e-6)
    assert g.reverse_order_gain(back, rows) == pytest.approx(4.9, abs=1e-6)
    assert g.reverse_order_gain(FakeLM(loss=copying_loss), rows) == pytest.approx(0.0, abs=1e-6)
    with pytest.raises(UsageError, match="reversed_copies"):
        g.reverse_copy_loss(back, prompts(back))


def test_losses_that_are_not_finite_are_no_measurement() -> None:
    lm = FakeLM(loss=lambda row: np.where(np.arange(len(row) - 1) == 3, np.nan, 1.0))
    with pytest.raises(InvalidMeasurement, match="12 of"):
        g.order_gain(lm, prompts(lm))


@pytest.mark.parametrize("source, bos", [("frequent", True), ("natural", False)])
def test_the_constructed_induction_head_carries_the_whole_gain(source: str, bos: bool) -> None:
    lm = constructed("constructed-induction-head")
    rows = repeats(lm, np.random.default_rng(1), n=8, lengths=(12, 20), source=source, bos=bos)
    gain = g.order_gain(lm, rows)
    assert gain > 4.0 and g.swap_gain(lm, rows) > 4.0 and g.copy_loss(lm, rows) < 0.6
    for mode in ("resample", "mean", "zero"):
        without = lm.without(lm.facts["induction_heads"], mode=mode, rng=np.random.default_rng(2))
        left = g.order_gain(without, rows) / gain
        assert abs(left) < (0.2 if mode == "resample" else 0.01)  # donors are confident, and wrong: not quite silent
        other = lm.without(lm.facts["bystanders"][:3], mode=mode, rng=np.random.default_rng(2))
        assert g.order_gain(other, rows) == pytest.approx(gain, rel=0.05)


def test_the_constructed_reverse_copier_gains_backwards_only() -> None:
    lm = constructed("constructed-reverse-head")
    back = reversed_copies(lm, np.random.default_rng(1), n=8)
    assert g.reverse_copy_loss(lm, back) < 0.2 and g.reverse_order_gain(lm, back) > 5.0
    assert abs(g.order_gain(lm, repeats(lm, np.random.default_rng(1), n=8))) < 0.3
