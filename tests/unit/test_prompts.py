"""Repeated spans: structure, pairing, broken order, limits."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from claimbench.errors import InvalidMeasurement, NotApplicable, UsageError
from claimbench.measures.prompts import broken_order, check_disjoint, repeats, reversed_copies

from measure_fakes import FakeLM, FakeTokens


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def story(generator: np.random.Generator, n: int) -> np.ndarray:
    return generator.integers(1, 40, n)


@pytest.mark.parametrize("source", ["frequent", "natural"])
@pytest.mark.parametrize("bos", [True, False])
def test_rows_hold_what_they_promise(source: str, bos: bool) -> None:
    lm = FakeLM(tokens=FakeTokens(np.arange(1, 200), natural=story))
    prompts = repeats(lm, rng(), n=40, lengths=(8, 20), source=source, bos=bos)
    prompts.check()
    assert set(prompts.length) <= set(range(8, 21)) and len(set(prompts.length)) > 5
    assert len(set(prompts.start)) > 4 and prompts.start.min() >= bos and prompts.start.max() <= 8 + bos
    for row in range(40):
        start, size = prompts.start[row], prompts.length[row]
        first = slice(start, start + size)
        second = slice(prompts.second[row], prompts.second[row] + size)
        span = prompts.ordered[row, first]
        if bos:
            assert {variant[row, 0] for variant in (prompts.ordered, prompts.shuffled, prompts.unrelated)} == {0}
        for variant in (prompts.ordered, prompts.shuffled, prompts.unrelated):
            np.testing.assert_array_equal(variant[row, second], span)
        assert sorted(prompts.shuffled[row, first]) == sorted(span)
        if source == "frequent":
            assert len(set(span)) == size and 0 not in prompts.ordered[row, 1:]
            assert not set(span) & set(prompts.unrelated[row, first])
            assert not set(span) & set(prompts.ordered[row, bos:start])
            old, new = list(span), list(prompts.shuffled[row, first])
            beside = set(pairwise(old)) | set(pairwise(old[::-1]))
            assert not beside & set(pairwise(new))
            assert not any(a == b for a, b in zip(old, new, strict=True))


def test_scored_entries_leave_out_the_first_token_of_a_copy() -> None:
    prompts = repeats(FakeLM(), rng(), n=10, lengths=(8, 12))
    np.testing.assert_array_equal(prompts.scored.sum(1), prompts.length - 1)
    np.testing.assert_array_equal(prompts.scored.argmax(1), prompts.second)  # loss entry i belongs to token i + 1
    np.testing.assert_array_equal(prompts.scored_first.argmax(1), prompts.start)
    rows, query, first = prompts.queries()
    np.testing.assert_array_equal(prompts.ordered[rows, query], prompts.ordered[rows, first])
    np.testing.assert_array_equal(prompts.ordered[rows, query + 1], prompts.ordered[rows, first + 1])


def test_reversed_copies_read_backwards_after_a_separator() -> None:
    prompts = reversed_copies(FakeLM(), rng(), n=10, lengths=(8, 12))
    prompts.check()
    assert prompts.reverse and prompts.separator == 0 and prompts.separator_is == "bos"
    for row in range(10):
        start, size, second = prompts.start[row], prompts.length[row], prompts.second[row]
        assert prompts.ordered[row, second - 1] == prompts.separator
        np.testing.assert_array_equal(
            prompts.ordered[row, second : second + size][::-1], prompts.ordered[row, start : start + size]
        )
    rows, query, first = prompts.queries()
    np.testing.assert_array_equal(prompts.ordered[rows, query + 1], prompts.ordered[rows, first - 1])


def test_separator_is_named_and_never_part_of_a_row() -> None:
    own = reversed_copies(FakeLM(tokens=FakeTokens(np.arange(1, 99), separator=7)), rng(), n=8, lengths=(8, 12))
    assert (own.separator, own.separator_is) == (7, "separator")
    assert ((own.ordered == 7).sum(1) == 1).all()
    end = FakeLM(tokens=FakeTokens(np.arange(1, 99), bos=None), tokenizer=SimpleNamespace(eos_token_id=150))
    assert reversed_copies(end, rng(), n=2, lengths=(8, 9)).separator_is == "eos"
    bare = reversed_copies(FakeLM(tokens=FakeTokens(np.arange(1, 99), bos=None)), rng(), n=8, lengths=(8, 12))
    assert bare.separator_is == "frequent" and ((bare.ordered == bare.separator).sum(1) == 1).all()


def test_same_stream_same_rows_and_another_stream_others() -> None:
    a, b, c = (repeats(FakeLM(), rng(seed), n=6) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a.ordered, b.ordered)
    np.testing.assert_array_equal(a.shuffled, b.shuffled)
    check_disjoint(a, c)
    with pytest.raises(InvalidMeasurement, match="6 of 6 spans"):
        check_disjoint(a, b)


def test_lengths_shrink_to_context_window_and_vocabulary() -> None:
    short = repeats(FakeLM(context=40), rng(), n=30)
    assert short.length.max() <= (40 - 1 - 8) // 2 and short.ordered.shape[1] <= 40 and len(set(short.length)) > 2
    window = FakeLM(config=SimpleNamespace(sliding_window=24))
    assert repeats(window, rng(), n=30).length.max() <= 12
    unused = FakeLM(config=SimpleNamespace(sliding_window=24, use_sliding_window=False))
    assert repeats(unused, rng(), n=30).length.max() > 40
    few = repeats(FakeLM(tokens=FakeTokens(np.arange(1, 61))), rng(), n=30)
    assert few.length.max() <= 26
    assert all(len(set(row[s : s + k])) == k for row, s, k in zip(few.ordered, few.start, few.length, strict=True))


def test_too_small_names_both_numbers() -> None:
    with pytest.raises(NotApplicable, match="20 to 50 tokens is needed; the context of 16 leaves room for 3"):
        repeats(FakeLM(context=16), rng())
    with pytest.raises(NotApplicable, match="natural text"):
        repeats(FakeLM(), rng(), source="natural")
    with pytest.raises(NotApplicable, match="ask for fewer"):
        repeats(FakeLM(tokens=FakeTokens(np.arange(1, 3), bos=None)), rng(), n=100, lengths=(3, 3), prefix=(0, 0))
    with pytest.raises(UsageError, match='"words" is unknown'):
        repeats(FakeLM(), rng(), source="words")


def test_small_vocabulary_repeats_tokens_but_keeps_the_frame() -> None:
    prompts = repeats(FakeLM(tokens=FakeTokens(np.arange(1, 11))), rng(), n=20, lengths=(20, 24))
    prompts.check()
    assert prompts.length.min() >= 20


@pytest.mark.parametrize("size", [6, 7, 12, 50])
def test_broken_order_keeps_no_neighbour(size: int) -> None:
    for seed in range(20):
        order = broken_order(np.arange(size) * 3, rng(seed))
        assert sorted(order) == list(range(size))
        assert (np.abs(np.diff(order)) > 1).all() and (order != np.arange(size)).all()


def test_check_notices_every_kind_of_broken_pairing() -> None:
    good = repeats(FakeLM(), rng(), n=4, lengths=(8, 12))
    moved = np.roll(good.shuffled, 1, axis=1)
    twice = np.repeat(good.ordered[:1], 4, axis=0)
    for faulty, text in (
        (replace(good, shuffled=moved), "must be paired"),
        (replace(good, shuffled=good.ordered), "no control"),
        (replace(good, unrelated=good.ordered), "no control"),
        (replace(good, shuffled=good.unrelated), "holds other tokens"),
        (replace(good, second=good.second - 1), "was to repeat"),
    ):
        with pytest.raises(InvalidMeasurement, match=text):
            faulty.check()
    same = {
        name: np.repeat(getattr(good, name)[:1], 4, axis=0)
        for name in ("shuffled", "unrelated", "start", "length", "second")
    }
    with pytest.raises(InvalidMeasurement, match="comes twice"):
        replace(good, ordered=twice, **same).check()
