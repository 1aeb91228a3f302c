"""Data streams hold what they promise: the task can be solved from the row, and only in the intended way."""

from __future__ import annotations

import numpy as np
import pytest
from claimbench.errors import DeclarationError
from claimbench.training import label_pairs, label_rows, natural_text, rule_rows, stream, streams


@pytest.mark.parametrize("name", sorted(streams()))
def test_streams_repeat_with_their_generator_and_never_ask_for_the_first_place(name: str) -> None:
    one, again = (stream(name).batch(np.random.default_rng(3), 9, seed=1) for _ in range(2))
    other = stream(name).batch(np.random.default_rng(4), 9, seed=1)
    assert np.array_equal(one.ids, again.ids) and np.array_equal(one.targets, again.targets)
    assert one.ids.shape != other.ids.shape or not np.array_equal(one.ids, other.ids)
    assert one.ids.dtype == np.int64 and one.targets.dtype == bool
    assert not one.targets[:, 0].any() and one.targets.any(1).sum() > 0
    for batch in (one, stream(name).probe(np.random.default_rng(3), 9, seed=1)):
        assert all(mark.shape == batch.ids.shape and not mark[:, 0].any() for mark in batch.marks.values())


def test_unknown_stream_names_the_nearest() -> None:
    with pytest.raises(DeclarationError, match='did you mean "copying"'):
        stream("coppying")


@pytest.mark.parametrize("seed", range(5))
def test_label_pairs_split_eight_to_two(seed: int) -> None:
    trained, held_out = label_pairs(seed)
    assert (len(trained), len(held_out)) == (8, 2)
    assert not set(trained) & set(held_out)
    assert {label for pair in trained for label in pair} == set(range(50, 55))
    assert label_pairs(seed) == (trained, held_out)


def test_label_rows_have_one_right_answer() -> None:
    pairs = label_pairs(0)[0]
    ids, answer = label_rows(np.random.default_rng(0), 500, pairs)
    assert (ids[:, 0] != ids[:, 2]).all() and ((ids[:, 4] == ids[:, 0]) | (ids[:, 4] == ids[:, 2])).all()
    assert np.array_equal(answer, np.where(ids[:, 4] == ids[:, 0], ids[:, 1], ids[:, 3]))
    assert {tuple(sorted(row)) for row in ids[:, [1, 3]].tolist()} == set(pairs)
    assert 0.4 < (ids[:, 4] == ids[:, 0]).mean() < 0.6


def test_training_batches_of_the_label_task_never_show_a_held_out_pair() -> None:
    held_out = set(label_pairs(2)[1])
    batch = stream("labels").batch(np.random.default_rng(0), 500, seed=2)
    assert not {tuple(sorted(row)) for row in batch.ids[:, [1, 3]].tolist()} & held_out
    probe = stream("labels").probe(np.random.default_rng(0), 50, seed=2)
    shown = {tuple(sorted(row)) for row in probe.ids[probe.marks["held-out pairs"].any(1)][:, [1, 3]].tolist()}
    assert shown == held_out


def test_copies_repeat_what_came_before() -> None:
    batch = stream("copying").batch(np.random.default_rng(0), 60, lengths=(5, 9), natural=0.5, plain=0.0)
    for mark in batch.marks.values():
        for row, places in zip(batch.ids, mark, strict=True):
            if places.any():
                size = int(places.sum()) + 1
                end = int(np.flatnonzero(places)[-1]) + 1
                assert 5 <= size <= 9
                assert np.array_equal(row[end - size : end], row[end - 2 * size : end - size])


def test_shuffled_rows_of_the_copying_probe_keep_tokens_and_targets() -> None:
    probe = stream("copying").probe(np.random.default_rng(0), 20, lengths=(8, 8))
    ordered, shuffled = probe.ids[probe.marks["copy"].any(1)], probe.ids[probe.marks["shuffled"].any(1)]
    assert np.array_equal(np.sort(ordered, 1), np.sort(shuffled, 1)) and not np.array_equal(ordered, shuffled)
    assert not (probe.targets & probe.marks["shuffled"]).any()


def test_plain_text_holds_no_long_repetition() -> None:
    rows = stream("text").batch(np.random.default_rng(0), 40, width=96).ids
    for row in rows:
        spans = [tuple(row[i : i + 8]) for i in range(len(row) - 7)]
        assert len(set(spans)) == len(spans)


def test_the_language_is_natural_like() -> None:
    ids = natural_text(np.random.default_rng(0), 200, 100, 127)
    counts = np.sort(np.bincount(ids.ravel(), minlength=127))[::-1]
    assert counts[0] > 8 * counts[-1]
    assert (ids[:, 1:] != ids[:, :-1]).all()
    assert natural_text(np.random.default_rng(0), 3, 0, 127).shape == (3, 0)


@pytest.mark.parametrize("more", [0.0, 1.0])
def test_reversed_copies_are_reversed(more: float) -> None:
    batch = stream("reversal").batch(np.random.default_rng(0), 50, lengths=(6, 9), more=more)
    for row, places in zip(batch.ids, batch.targets, strict=True):
        first = int(np.flatnonzero(row == 127)[0]) + 1
        last = int(np.flatnonzero(places)[-1])
        again = row[first : last + 1]
        begins = int(np.flatnonzero(row[: first - 1] == again[-1])[-1])
        assert np.array_equal(row[begins : begins + len(again)], again[::-1])
        assert places.sum() in (len(again), len(again) - 1)
        if more == 0.0:
            assert begins + len(again) == first - 1 and places.sum() == len(again)


def test_rules_answer_from_two_tokens_or_one() -> None:
    ids, known = rule_rows(np.random.default_rng(0), 60, 20, 3, 1, 64)
    ambiguous = 0
    for row, single, square in zip(ids.tolist(), known["order-1"], known["order-2"], strict=True):
        for place, (back, trigger, answer) in enumerate(row):
            earlier = row[:place]
            if single[place]:
                assert {chunk[2] for chunk in earlier if chunk[1] == trigger} == {answer}
                assert back not in {chunk[0] for chunk in earlier}
            if square[place]:
                assert {chunk[2] for chunk in earlier if chunk[:2] == [back, trigger]} == {answer}
                ambiguous += len({chunk[2] for chunk in earlier if chunk[1] == trigger}) > 1
    assert known["order-1"].sum() > 100 and known["order-2"].sum() > 100
    assert ambiguous > 50  # one token would not have been enough


def test_decoys_mislead_who_matches_one_token() -> None:
    ids, known = rule_rows(np.random.default_rng(0), 60, 20, 0, 2, 64, decoys=0.5, default=65)
    assert known["decoy"].sum() > 100
    for row, decoy in zip(ids.tolist(), known["decoy"], strict=True):
        for place in np.flatnonzero(decoy):
            back, trigger, answer = row[place]
            assert answer == 65
            assert trigger in {chunk[1] for chunk in row[:place]}
            assert back not in {chunk[0] for chunk in row[:place]}


def test_rows_with_and_without_bos_are_aligned() -> None:
    batch = stream("rules").batch(np.random.default_rng(0), 80)
    begins = batch.ids[:, 0] == 64
    assert 20 < begins.sum() < 60
    assert not (batch.ids[:, 1:] == 64).any()
    assert not (batch.targets[begins] & (np.arange(61) % 3 != 0)).any()
    assert not (batch.targets[~begins] & (np.arange(61) % 3 != 2)).any()
