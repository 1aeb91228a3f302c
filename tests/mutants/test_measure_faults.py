"""Faults planted in the measures, one at a time: each must be noticed by a check that the suite runs anyway."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from claimbench.errors import InvalidMeasurement
from claimbench.measures import gains, labels, matched, prefix, prompts, scores

from measure_fakes import (
    FakeLM,
    bag_loss,
    copying_loss,
    duplicate,
    induction,
    lag,
    pointing,
    previous,
    relative_to_match,
)

LENGTH = 12
LM = FakeLM(((induction, lag(LENGTH - 1)), (duplicate, previous)), loss=copying_loss)


def rows(seed: int = 0) -> prompts.Repeats:
    return prompts.repeats(LM, np.random.default_rng(seed), n=12, lengths=(LENGTH, LENGTH))


# ---- the checks: what must be true of a copier, a bag of words and known heads


def copier_gains_from_order() -> None:
    assert gains.order_gain(LM, rows()) == pytest.approx(4.9, abs=1e-5)
    assert gains.gains(LM, rows()).order.mean() == pytest.approx(4.9, abs=1e-5)


def bag_gains_from_presence_only() -> None:
    bag = FakeLM(loss=bag_loss)
    assert gains.swap_gain(bag, rows()) == pytest.approx(4.0)
    assert gains.order_gain(bag, rows()) == pytest.approx(0.0)


def only_the_induction_head_is_above_null() -> None:
    assert scores.heads_above_null(scores.head_scores(LM, rows())) == [(0, 0)]
    assert scores.heads_above_null(scores.head_scores(LM, rows()), "duplicate") == [(1, 0)]


def selection_and_evaluation_differ() -> None:
    prompts.check_disjoint(rows(0), rows(1))


def random_sets_exclude_the_targets() -> None:
    lm = FakeLM(shape=(2, 4))
    sets = matched.matched_random_heads(lm, [(0, 0), (1, 1)], [(0, 1)], np.random.default_rng(0), 50)
    assert all(len(s) == 2 and not set(s) & {(0, 0), (1, 1), (0, 1)} for s in sets)


def second_back_corruption_is_selective() -> None:
    lm = FakeLM(((induction, pointing(relative_to_match(1, prefix=2))),))
    examples, _ = prefix.prefix_probes(lm, np.random.default_rng(0), (2,), 20)
    changed = prefix.corrupted(lm, np.random.default_rng(1), examples[0])
    np.testing.assert_allclose(prefix.attention_to_target(lm, changed).mean(0)[0], [1, 0])


def strength_has_the_sign_of_the_right_label() -> None:
    facts = {
        "task": "two-pair labels",
        "items": range(10, 20),
        "labels": [1, 2, 3],
        "train_pairs": [(1, 2), (1, 3)],
        "held_out_pairs": [(2, 3)],
    }
    lm = FakeLM(((induction,),), facts=facts)
    assert labels.label_strength(lm, labels.episodes(lm, np.random.default_rng(0), 30))[0, 0] == 1.0


CHECKS = (
    copier_gains_from_order,
    bag_gains_from_presence_only,
    only_the_induction_head_is_above_null,
    selection_and_evaluation_differ,
    random_sets_exclude_the_targets,
    second_back_corruption_is_selective,
    strength_has_the_sign_of_the_right_label,
)


@pytest.mark.parametrize("check", CHECKS)
def test_the_checks_pass_without_a_fault(check: Callable[[], None]) -> None:
    check()


# ---- the faults


def sign_flipped(patch: pytest.MonkeyPatch) -> None:
    true = gains.row_means
    patch.setattr(gains, "row_means", lambda values, mask: -true(values, mask))


def targets_moved_by_one(patch: pytest.MonkeyPatch) -> None:
    true = prompts.Repeats.queries
    patch.setattr(prompts.Repeats, "queries", lambda self: (lambda r, q, f: (r, q, f + 1))(*true(self)))


def loss_read_one_position_late(patch: pytest.MonkeyPatch) -> None:
    true = prompts.Repeats.scored.fget
    patch.setattr(prompts.Repeats, "scored", property(lambda self: np.roll(true(self), -1, axis=1)))


def variants_unpaired(patch: pytest.MonkeyPatch) -> None:
    true = prompts._build

    def build(*args: object, **options: object) -> prompts.Repeats:
        made = true(*args, **options)
        return replace(made, shuffled=made.shuffled[::-1].copy())

    patch.setattr(prompts, "_build", build)


def control_identical_to_treatment(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(prompts, "broken_order", lambda span, rng: np.arange(len(span)))


def unrelated_half_is_the_shuffled_one(patch: pytest.MonkeyPatch) -> None:
    true = prompts._build

    def build(*args: object, **options: object) -> prompts.Repeats:
        made = true(*args, **options)
        return replace(made, unrelated=made.shuffled)

    patch.setattr(prompts, "_build", build)


def broken_repeat_not_subtracted(patch: pytest.MonkeyPatch) -> None:
    true = scores.head_scores

    def unsubtracted(*args: object, **options: object) -> scores.HeadScores:
        found = true(*args, **options)
        return replace(found, excess=found.sink_excluded)

    patch.setattr(scores, "head_scores", unsubtracted)


def one_stream_for_selection_and_evaluation(patch: pytest.MonkeyPatch) -> None:
    true = np.random.default_rng
    patch.setattr(np.random, "default_rng", lambda seed=None: true(0))


def random_sets_may_hold_targets(patch: pytest.MonkeyPatch) -> None:
    true = matched.matched_random_heads
    patch.setattr(
        matched, "matched_random_heads", lambda lm, targets, _, rng, sets: true(lm, [(0, 3), (1, 3)], [], rng, sets)
    )


def query_token_corrupted_instead(patch: pytest.MonkeyPatch) -> None:
    true = prefix.corrupted
    patch.setattr(
        prefix,
        "corrupted",
        lambda lm, rng, rows, *rest: replace(true(lm, rng, replace(rows, query=rows.query + 1)), query=rows.query),
    )


def right_and_wrong_label_swapped(patch: pytest.MonkeyPatch) -> None:
    true = labels.label_strength
    patch.setattr(labels, "label_strength", lambda lm, e: true(lm, replace(e, right=e.wrong, wrong=e.right)))


FAULTS = (
    sign_flipped,
    targets_moved_by_one,
    loss_read_one_position_late,
    variants_unpaired,
    control_identical_to_treatment,
    unrelated_half_is_the_shuffled_one,
    broken_repeat_not_subtracted,
    one_stream_for_selection_and_evaluation,
    random_sets_may_hold_targets,
    query_token_corrupted_instead,
    right_and_wrong_label_swapped,
)


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_noticed(fault: Callable[[pytest.MonkeyPatch], None]) -> None:
    noticed = []
    for check in CHECKS:
        with pytest.MonkeyPatch.context() as patch:
            fault(patch)
            try:
                check()
            except (AssertionError, InvalidMeasurement):
                noticed.append(check.__name__)
    assert noticed, f"no check notices {fault.__name__}"
