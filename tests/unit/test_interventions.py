"""Removing heads on every family, against an oracle of hand-written hooks, and what must hold around it."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from claimbench.errors import DeclarationError, NotApplicable, UsageError
from claimbench.interventions.heads import derangement
from claimbench.interventions.identity import check_layout
from claimbench.subjects.lm import LM

from tiny_models import FALLBACK, HEADS, INTERFACE, VOCAB, oracle, projection, some_ids, tiny_lm, tiny_model, untouched

REMOVED = [(0, 1), (1, 0), (1, 3)]
TOLERANCE = 1e-5


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def seed_of(number: int) -> int:
    """The seed that a view draws from a generator."""
    return int(np.random.default_rng(number).integers(2**63))


@pytest.mark.parametrize("family", INTERFACE + FALLBACK)
def test_identity_and_oracle(family: str) -> None:
    lm = tiny_lm(family)
    ids = some_ids()
    assert lm.identity.attached <= TOLERANCE
    assert lm.identity.restored <= TOLERANCE
    assert lm.instrument.kind == ("interface" if family in INTERFACE else "projection")
    assert check_layout(lm.instrument, np.arange(3, VOCAB), np.random.default_rng(5)) < 1e-6
    plain = lm.logits(ids)
    for mode in ("zero", "mean", "resample"):
        wanted = oracle(lm, family, REMOVED, mode, seed_of(7), ids)
        assert float((wanted - plain).abs().max()) > 1e-2, "the heads must matter for this to be a test"
        for batch_size in (1, 4, 6):
            lm.batch_size = batch_size
            lm._shared["runs"]._kept.clear()
            found = lm.without(REMOVED, mode, np.random.default_rng(7)).logits(ids)
            torch.testing.assert_close(found, wanted, atol=TOLERANCE * float(wanted.abs().max()), rtol=0)
    assert untouched(lm.model) == []
    torch.testing.assert_close(lm.logits(ids), plain, atol=0, rtol=0)


@pytest.mark.parametrize("family", INTERFACE + FALLBACK)
def test_patterns_are_those_of_the_eager_model(family: str) -> None:
    lm = tiny_lm(family)
    lm.batch_size = 4
    ids = some_ids(6, 14)
    found = np.zeros((6, lm.layers, lm.heads, 14, 14))

    def keep(layer: int, pattern: torch.Tensor, rows: slice) -> None:
        assert pattern.dtype == torch.float32
        found[rows, layer] = pattern.numpy()

    lm.attend(ids, keep)
    eager = tiny_model(family, attn_implementation="eager")
    with torch.no_grad():
        wanted = eager(input_ids=torch.from_numpy(ids), output_attentions=True, use_cache=False).attentions
    assert len(wanted) == lm.layers
    np.testing.assert_allclose(found, torch.stack(wanted, 1).numpy(), atol=2e-6)
    assert np.all(np.triu(np.ones((14, 14)), 1) * found == 0)
    if family != "gpt_oss":  # its sink logits take a part of every row
        np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)
    if family in ("mistral", "gemma3", "gpt_neo"):
        windowed = found[:, 1 if family == "gpt_neo" else 0]
        assert np.all(windowed[..., 13, :7] == 0)
        assert np.all(windowed[..., 13, 9:] > 0)
    assert untouched(lm.model) == []


@pytest.mark.parametrize("family", ["mamba", "rwkv", "jamba"])
def test_families_without_heads_in_every_layer_are_refused(family: str) -> None:
    lm = tiny_lm(family)
    with pytest.raises(NotApplicable, match=r"attention heads|attends 1 times"):
        lm.attend(some_ids(), lambda *_: None)
    with pytest.raises(NotApplicable, match=r"attention heads|attends 1 times"):
        lm.without([(0, 0)], "zero").nll(some_ids())
    assert torch.isfinite(lm.nll(some_ids(2, 8))).all()


def test_a_family_that_sdpa_computes_wrongly_is_delegated_to_its_eager_function() -> None:
    for family in ("gemma2", "gpt_oss"):
        assert tiny_lm(family).instrument.implementation == "eager"
    forced = tiny_model("gpt_oss")
    forced.config._attn_implementation = "sdpa"
    lm = LM(forced, tokens=tiny_lm().tokens)
    with pytest.raises(NotApplicable, match=r"gpt_oss differ by 0\.\d+ of their size"):
        lm.without([(0, 0)], "zero").nll(some_ids())


def test_same_numbers_under_eager_and_sdpa_and_two_threads() -> None:
    ids = some_ids(8, 20)
    results = []
    for implementation, threads in (("sdpa", 1), ("eager", 1), ("sdpa", 2)):
        torch.set_num_threads(threads)
        lm = tiny_lm("llama", attn_implementation=implementation)
        assert lm.instrument.implementation == implementation
        results.append([lm.without(REMOVED, mode, np.random.default_rng(3)).nll(ids) for mode in ("mean", "resample")])
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            torch.testing.assert_close(one, two, atol=TOLERANCE, rtol=TOLERANCE)


def test_views_nest_and_the_later_removal_of_one_head_holds() -> None:
    lm, ids = tiny_lm(), some_ids()
    together = lm.without([(0, 1), (1, 2)], "zero").logits(ids)
    for first, second in ([(0, 1)], [(1, 2)]), ([(1, 2)], [(0, 1)]):
        torch.testing.assert_close(lm.without(first, "zero").without(second, "zero").logits(ids), together)
    # Donors come from the plain run, so the order in which different heads are named is free in every mode.
    one = lm.without([(0, 1)], "zero").without([(1, 2)], "resample", np.random.default_rng(0)).logits(ids)
    two = lm.without([(1, 2)], "resample", np.random.default_rng(0)).without([(0, 1)], "zero").logits(ids)
    torch.testing.assert_close(one, two, atol=0, rtol=0)
    lm.recorder.reset()
    overridden = lm.without([(0, 1)], "zero").without([(0, 1)], "mean").logits(ids)
    assert [receipt.intervention for receipt in lm.recorder.receipts] == ["without 0.1 (mean)"]
    torch.testing.assert_close(overridden, lm.without([(0, 1)], "mean").logits(ids), atol=0, rtol=0)


def test_only_removes_all_other_heads_of_the_layers() -> None:
    lm, ids = tiny_lm(), some_ids()
    others = [(1, head) for head in range(HEADS) if head != 2]
    torch.testing.assert_close(lm.only([(1, 2)], [1], "zero").logits(ids), lm.without(others, "zero").logits(ids))


def test_resampling_takes_other_rows_and_repeats_itself() -> None:
    lm, ids = tiny_lm(), some_ids()
    view = lm.without(REMOVED, "resample", np.random.default_rng(1))
    torch.testing.assert_close(view.logits(ids), view.logits(ids), atol=0, rtol=0)
    same_rows = np.repeat(ids[:1], 4, axis=0)  # every donor says the same, so nothing may change
    torch.testing.assert_close(view.logits(same_rows), lm.logits(same_rows), atol=1e-5, rtol=0)
    assert lm.recorder.receipts[-1].neutral
    with pytest.raises(UsageError, match="at least 2 rows"):
        view.nll(ids[:1])


def test_every_mode_draws_one_number() -> None:
    left = []
    for mode in ("zero", "mean", "resample"):
        rng = np.random.default_rng(0)
        tiny_lm().without([(0, 0)], mode, rng)
        left.append(rng.integers(2**63))
    assert len(set(left)) == 1


@pytest.mark.parametrize("n", [2, 3, 7])
def test_derangements_leave_no_row_in_its_place_and_are_uniform(n: int) -> None:
    drawn = [tuple(derangement(n, seed)) for seed in range(400)]
    assert all(sorted(order) == list(range(n)) for order in drawn)
    assert not any(row == donor for order in drawn for row, donor in enumerate(order))
    assert derangement(n, 5).tolist() == derangement(n, 5).tolist()
    if n == 3:
        assert 140 < drawn.count((1, 2, 0)) < 260  # there are two, equally likely


def test_receipts_count_and_do_not_depend_on_the_batch_size() -> None:
    summaries = []
    for batch_size in (1, 6):
        lm = tiny_lm()
        lm.batch_size = batch_size
        lm.without(REMOVED, "mean").nll(some_ids())
        receipt = lm.recorder.receipts[0]
        assert receipt.intervention == "without 0.1 1.0 1.3 (mean)"
        assert receipt.fired == 2 * 6  # two layers, six sequences
        assert receipt.wired and not receipt.neutral
        assert receipt.moved_activation > 0.1
        assert receipt.moved_logits > 0.01
        summaries.append(receipt)
    assert summaries[0].moved_logits == pytest.approx(summaries[1].moved_logits, rel=1e-4)
    lm.without(REMOVED, "mean").nll(some_ids())
    assert [(r["count"], r["fired"]) for r in lm.recorder.summary()["receipts"]] == [(2, 24)]
    lm.recorder.reset()
    assert lm.recorder.summary() == {"forward_passes": 0, "receipts": []}


def test_true_nulls_are_neutral_and_not_invalid() -> None:
    ids = some_ids()
    for what in ("value", "projection", "tiny"):
        lm = tiny_lm("gpt2")
        block, size = lm.model.transformer.h[1].attn, 8
        if what == "value":  # the head has no output to lose
            block.c_attn.weight[:, 64 + size : 64 + 2 * size] = 0
            block.c_attn.bias[64 + size : 64 + 2 * size] = 0
        else:  # nothing reads it, or too little for float32 to tell
            block.c_proj.weight[size : 2 * size] *= 0 if what == "projection" else 1e-12
        for mode in ("zero", "mean"):
            view = lm.without([(1, 1)], mode)
            torch.testing.assert_close(view.logits(ids), lm.logits(ids), atol=1e-5, rtol=0)
            receipt = lm.recorder.receipts[-1]
            assert receipt.neutral and receipt.wired and receipt.fired == 6
            assert (receipt.moved_activation < 1e-6) == (what == "value")


def test_changed_weights_are_noticed_by_the_kept_plain_run() -> None:
    lm, ids = tiny_lm(), some_ids()
    view = lm.without(REMOVED, "mean")
    before = view.logits(ids)
    passes = lm.recorder.forward_passes
    view.logits(ids)
    assert lm.recorder.forward_passes - passes == 6 + 4  # the plain run is not repeated, only its first rows
    projection(lm, "llama", 0).weight.mul_(1.5)
    lm.model.lm_head.weight.data.mul_(1.1)
    fresh = LM(copy.deepcopy(lm.model), tokens=lm.tokens)
    after = view.logits(ids)
    torch.testing.assert_close(after, fresh.without(REMOVED, "mean").logits(ids), atol=0, rtol=0)
    assert float((after - before).abs().max()) > 1e-3


def test_an_exception_leaves_nothing_behind() -> None:
    for family in ("llama", "gpt_neo", "falcon"):
        lm, ids = tiny_lm(family), some_ids()
        plain = lm.logits(ids)

        def fail(*_: object) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            lm.without(REMOVED, "zero").attend(ids, fail)
        assert untouched(lm.model) == []
        with torch.no_grad():
            torch.testing.assert_close(lm.model(torch.from_numpy(ids)).logits, plain, atol=0, rtol=0)


def test_plain_and_other_models_inside_a_pass_stay_plain() -> None:
    for family in ("llama", "bloom"):
        lm, other, ids = tiny_lm(family), tiny_lm(family, seed=1), some_ids()
        plain, plain_other = lm.logits(ids), other.logits(ids)
        inner: list[torch.Tensor] = []

        def look(
            layer: int,
            *_: object,
            inner: list[torch.Tensor] = inner,
            lm: LM = lm,
            other: LM = other,
            ids: np.ndarray = ids,
        ) -> None:
            if layer == 0:
                inner.extend([lm.logits(ids), other.logits(ids), lm.without([(1, 1)], "zero").logits(ids)])

        lm.without(REMOVED, "zero").attend(ids, look)
        torch.testing.assert_close(inner[0], plain, atol=1e-5, rtol=0)
        torch.testing.assert_close(inner[1], plain_other, atol=0, rtol=0)
        torch.testing.assert_close(inner[2], lm.without([(1, 1)], "zero").logits(ids), atol=0, rtol=0)


def test_threads_do_not_see_each_other() -> None:
    lm, ids = tiny_lm(), some_ids(12, 20)
    views = [lm, lm.without([(0, 1)], "zero"), lm.without([(1, 2)], "mean"), lm.without(REMOVED, "zero")]
    wanted = [view.logits(ids) for view in views]
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(8):
            if not torch.equal(views[number].logits(ids), wanted[number]):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(views))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize(
    ("heads", "mode", "message"),
    [
        ([(0, HEADS)], "zero", r"head 0\.4 is out of range: .* layers 0 to 1, each with query heads 0 to 3"),
        ([(2, 0)], "zero", r"head 2\.0 is out of range"),
        ([(0, -1)], "zero", r"out of range"),
        ([], "zero", "empty set of heads"),
        ([3], "zero", r"pair \(layer, head\)"),
        ([(0, 1.5)], "zero", r"pair \(layer, head\) of integers"),
        ([(0, 0)], "means", "did you mean 'mean'"),
        ([(0, 0)], "resample", "pass rng="),
    ],
)
def test_what_cannot_be_removed_is_said_at_once(heads: list[object], mode: str, message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        tiny_lm().without(heads, mode)  # type: ignore[arg-type]


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_change_that_only_later_rows_read_is_noticed(family: str) -> None:
    """The embedding of a token that stands in the last row alone."""
    lm, ids = tiny_lm(family), some_ids(8)
    ids[ids == 50] = 51
    ids[-1, 3] = 50
    view = lm.without(REMOVED, "resample", np.random.default_rng(1))
    before = view.logits(ids)
    lm.model.get_input_embeddings().weight[50] += 3.0
    after = view.logits(ids)
    fresh = LM(lm.model, tokens=lm.tokens).without(REMOVED, "resample", np.random.default_rng(1))
    torch.testing.assert_close(after, fresh.logits(ids), atol=0, rtol=0)
    assert float((after - before).abs().max()) > 1e-2


def test_biases_of_the_output_projection_stay() -> None:
    lm, ids = tiny_lm("gpt2"), some_ids()
    view = lm.without([(0, head) for head in range(HEADS)], "zero")
    view.logits(ids)  # with the NaN probe, which is not repeated
    given: list[torch.Tensor] = []
    block = lm.model.transformer.h[0].attn
    handle = block.register_forward_hook(lambda _, __, output: given.append(output[0]))
    view.logits(ids)
    handle.remove()
    torch.testing.assert_close(given[-1], block.c_proj.bias.expand_as(given[-1]), atol=0, rtol=0)
    assert float(block.c_proj.bias.abs().max()) > 0.1
