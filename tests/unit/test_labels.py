"""The two-pair label task on a written-down subject."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from claimbench.errors import NotApplicable, UsageError
from claimbench.measures import labels as lb
from scipy.stats import spearmanr

from measure_fakes import FakeLM, constructed, duplicate, induction, pointing, uniform

ITEMS, LABELS = np.arange(10, 60), np.arange(1, 6)
FACTS = {
    "task": "two-pair labels",
    "items": ITEMS,
    "labels": LABELS,
    "train_pairs": [(1, 2), (1, 3), (2, 3), (4, 5), (1, 4), (2, 5), (3, 4), (3, 5)],
    "held_out_pairs": [(1, 5), (2, 4)],
}
HEADS = ((uniform,) * 3, (induction, duplicate, pointing(lambda row, query: 5 - 1 - 3)))


def decide(row: np.ndarray, removed: frozenset) -> np.ndarray:
    """Head 1.0 knows the right label; without it head 1.1 puts both labels of the row level."""
    logits = np.zeros((5, 100))
    right = row[1] if row[4] == row[0] else row[3]
    if (1, 1) not in removed:
        logits[4, [row[1], row[3]]] = 3.0
    if (1, 0) not in removed:
        logits[4, right] += 9.0
    return logits


LM = FakeLM(HEADS, facts=FACTS, logits_of=decide, vocab=100)


def shown(n: int = 200, **options: object) -> lb.Episodes:
    return lb.episodes(LM, np.random.default_rng(0), n, **options)


@pytest.mark.parametrize("pairs", ["train", "held_out", "all"])
def test_episodes_are_well_formed(pairs: str) -> None:
    rows = shown(pairs=pairs)
    known = {"train": FACTS["train_pairs"], "held_out": FACTS["held_out_pairs"]}
    allowed = {frozenset(p) for p in known.get(pairs, [*known["train"], *known["held_out"]])}
    assert {frozenset(row) for row in rows.ids[:, [1, 3]]} == allowed
    assert (rows.ids[:, 0] != rows.ids[:, 2]).all() and np.isin(rows.ids[:, [0, 2, 4]], ITEMS).all()
    at = np.arange(len(rows))
    np.testing.assert_array_equal(rows.ids[at, rows.right - 1], rows.ids[:, 4])
    np.testing.assert_array_equal(rows.ids[at, rows.right], rows.answer)
    np.testing.assert_array_equal(rows.right + rows.wrong, 4)
    assert 60 < (rows.right == 1).sum() < 140
    assert 60 < (rows.ids[:, 1] < rows.ids[:, 3]).sum() < 140


def test_accuracy_and_loss_are_those_written_down() -> None:
    rows = shown()
    assert lb.label_accuracy(LM, rows) == 1.0
    assert lb.label_loss(LM, rows) == pytest.approx(log(1 + np.exp(-9) + 3 * np.exp(-12)), rel=1e-4)
    blind = LM.without([(1, 0)])
    assert lb.label_loss(blind, rows) == pytest.approx(log(2 + 3 * np.exp(-3)), rel=1e-5)
    assert 0.3 < lb.label_accuracy(blind, rows) < 0.7
    assert lb.label_loss(LM.without([(1, 0), (1, 1)]), rows) == pytest.approx(log(5))


def test_strength_and_its_rival() -> None:
    rows = shown()
    strength, items = lb.label_strength(LM, rows), lb.item_attention(LM, rows)
    np.testing.assert_allclose(strength[0], 0, atol=1e-7)
    np.testing.assert_allclose(items[0], 0.4, atol=1e-6)
    assert strength[1, 0] == 1.0 and strength[1, 1] == 0.0
    assert items[1, 0] == 0.0 and items[1, 1] == 1.0
    assert strength[1, 2] == pytest.approx((rows.right == 1).mean() - (rows.right == 3).mean())


@pytest.mark.parametrize("mode", ["zero", "mean"])
def test_keeping_heads_is_removing_the_others(mode: str) -> None:
    lm = constructed("constructed-graded-heads")
    rows = lb.episodes(lm, np.random.default_rng(0), 100)
    sets: list[list[int]] = [[], [2], [0, 3], [*range(1, lm.heads)], [*range(lm.heads)]]
    found = lb.with_heads_kept(lm, rows, sets, mode=mode)
    gone = [[(1, head) for head in range(lm.heads) if head not in kept] for kept in sets]
    views = [lm.without(heads, mode=mode) if heads else lm for heads in gone]
    np.testing.assert_allclose(found.loss, [lb.label_loss(view, rows) for view in views], rtol=1e-6)
    assert found.accuracy.tolist() == [lb.label_accuracy(view, rows) for view in views]
    assert lb.solo_accuracies(lm, rows, mode=mode)[2] == found.accuracy[1]
    assert lb.without_one_accuracies(lm, rows, mode=mode)[0] == found.accuracy[3]


def test_other_subjects_are_not_applicable() -> None:
    with pytest.raises(NotApplicable, match="no such task"):
        lb.episodes(FakeLM(HEADS), np.random.default_rng(0), 5)
    with pytest.raises(UsageError, match='"test" are unknown'):
        shown(5, pairs="test")


def test_constructed_graded_heads_are_graded_alike_by_strength_and_alone() -> None:
    lm = constructed("constructed-graded-heads")
    rows = lb.episodes(lm, np.random.default_rng(0), 300, "held_out")
    strength, solo = lb.label_strength(lm, rows)[1], lb.solo_accuracies(lm, rows)
    order = np.argsort(-strength)
    assert [(1, h) for h in order] == lm.facts["induction_heads"]
    rival = lb.item_attention(lm, rows)[1]
    assert spearmanr(strength, solo).statistic > 0.9 > spearmanr(rival, solo).statistic
    assert lb.without_one_accuracies(lm, rows).min() > 0.98 and solo.max() > 0.9
    curve = lb.with_heads_kept(lm, rows, [order[:kept].tolist() for kept in range(lm.heads + 1)])
    assert (np.diff(curve.loss) < 0.002).all() and curve.loss[3] < 0.2 * curve.loss[0]
    assert curve.accuracy[-1] == lb.label_accuracy(lm, rows)
