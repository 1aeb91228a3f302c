"""The subject: losses, batching, bad ids, views, identity."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from claimbench.errors import InvalidMeasurement, NotApplicable, UsageError
from claimbench.subjects import lm as lm_module
from claimbench.subjects.lm import LM, require_layers
from claimbench.subjects.tokens import Tokens, no_tokens

from tiny_models import CONTEXT, HEADS, KV_HEADS, VOCAB, some_ids, tiny_lm, tiny_model


def test_nll_is_the_loss_of_each_next_token() -> None:
    lm, ids = tiny_lm(), some_ids(5, 11)
    logits = lm.logits(ids)
    assert logits.shape == (5, 11, VOCAB)
    assert logits.dtype == torch.float32
    probability = logits.double().softmax(-1).numpy()
    wanted = [[-np.log(probability[row, at, ids[row, at + 1]]) for at in range(10)] for row in range(5)]
    np.testing.assert_allclose(lm.nll(ids).numpy(), wanted, rtol=1e-5)
    assert lm.nll(ids[:, :1]).shape == (5, 0)


def test_half_precision_models_are_scored_in_float32() -> None:
    model = tiny_model("llama").to(torch.bfloat16)
    lm = LM(model, tokens=Tokens(np.arange(3, VOCAB)))
    ids = some_ids(3, 9)
    assert lm.dtype == torch.bfloat16
    assert lm.logits(ids).dtype == torch.float32
    logits = model(input_ids=torch.from_numpy(ids)).logits.double()
    wanted = -logits[:, :-1].log_softmax(-1).gather(-1, torch.from_numpy(ids)[:, 1:, None])[..., 0]
    torch.testing.assert_close(lm.nll(ids).double(), wanted, atol=1e-4, rtol=0)
    sums: list[float] = []
    lm.attend(ids, lambda layer, pattern, rows: sums.append(float((pattern.sum(-1) - 1).abs().max())))
    assert max(sums) < 2e-2
    assert lm.identity.attached == 0
    lm.without([(0, 1)], "resample", np.random.default_rng(0)).nll(ids)
    assert not lm.recorder.receipts[0].neutral


@pytest.mark.parametrize("family", ["gpt2", "mistral", "mamba"])
def test_results_do_not_depend_on_the_batch_size(family: str) -> None:
    lm, ids = tiny_lm(family), some_ids(7, 10)
    found = []
    for batch_size in (None, 1, 3):
        lm.batch_size = batch_size
        found.append((lm.logits(ids), lm.nll(ids)))
    for logits, nll in found[1:]:
        torch.testing.assert_close(logits, found[0][0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(nll, found[0][1], atol=1e-5, rtol=1e-5)


def test_large_logits_are_split_over_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    lm, ids = tiny_lm(), some_ids(6, 10)
    monkeypatch.setattr(lm_module, "LOGIT_BYTES", 4 * 10 * VOCAB * 2)
    assert [(rows.start, rows.stop) for rows in lm._slices(torch.from_numpy(ids))] == [(0, 2), (2, 4), (4, 6)]
    lm.batch_size = 64  # what memory allows stays the limit
    assert len(list(lm._slices(torch.from_numpy(ids)))) == 3


def test_rows_of_a_pattern_are_named_once_each() -> None:
    lm, ids = tiny_lm(), some_ids(7, 10)
    lm.batch_size = 3
    seen: list[tuple[int, int, int]] = []
    lm.attend(ids, lambda layer, pattern, rows: seen.append((layer, rows.start, len(pattern))))
    assert sorted(seen) == [(0, 0, 3), (0, 3, 3), (0, 6, 1), (1, 0, 3), (1, 3, 3), (1, 6, 1)]


def test_what_the_model_is() -> None:
    lm = tiny_lm()
    assert (lm.layers, lm.heads, lm.kv_heads, lm.context, lm.vocab) == (2, HEADS, KV_HEADS, CONTEXT, VOCAB)
    assert lm.parameters == sum(p.numel() for p in lm.model.parameters())
    assert tiny_lm("gpt2").kv_heads == HEADS
    assert tiny_lm("falcon").kv_heads == KV_HEADS
    assert tiny_lm("falcon", new_decoder_architecture=False, multi_query=True).kv_heads == 1
    with pytest.raises(NotApplicable, match="tiny mamba has no attention heads: it is a mamba model"):
        _ = tiny_lm("mamba").heads


def test_require_layers() -> None:
    require_layers(tiny_lm(), 2)
    with pytest.raises(NotApplicable, match="at least 2 layers with attention heads; tiny llama has 1"):
        require_layers(tiny_lm(num_hidden_layers=1), 2)


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        (np.full((2, 4), VOCAB), UsageError, f"ids must be 0 to {VOCAB - 1}; {VOCAB} was given"),
        (np.full((2, 4), -1), UsageError, "-1 was given"),
        (np.ones(4, dtype=int), UsageError, r"integers \[n, t\]"),
        (np.ones((2, 4)), UsageError, "float64"),
        (np.ones((0, 4), dtype=int), UsageError, r"\(0, 4\)"),
        (np.ones((2, 4), dtype=bool), UsageError, "bool"),
        ([[1, 2], [3]], UsageError, "no rectangle of numbers"),
        ("ids", UsageError, "no rectangle of numbers"),
        (np.ones((1, CONTEXT + 1), dtype=int), NotApplicable, f"sequences of {CONTEXT + 1} tokens .* holds {CONTEXT}"),
    ],
)
def test_bad_ids_are_named(ids: np.ndarray, error: type[Exception], message: str) -> None:
    for ask in (tiny_lm().nll, tiny_lm().logits, lambda found: tiny_lm().attend(found, lambda *_: None)):
        with pytest.raises(error, match=message):
            ask(ids)


def test_views_share_recorder_and_instrument_and_leave_the_subject_alone() -> None:
    lm, ids = tiny_lm(), some_ids()
    view = lm.without([(0, 1)], "zero").without([(1, 1)], "mean")
    assert view.recorder is lm.recorder
    assert view.instrument is lm.instrument
    assert lm.removals == ()
    plain = lm.logits(ids)
    view.nll(ids)
    assert [str(removal) for removal in view.removals] == ["without 0.1 (zero)", "without 1.1 (mean)"]
    assert len(lm.recorder.receipts) == 2
    torch.testing.assert_close(lm.logits(ids), plain, atol=0, rtol=0)


def test_forward_passes_are_counted_in_sequences() -> None:
    lm, ids = tiny_lm(), some_ids(6)
    lm.nll(ids)
    assert lm.recorder.forward_passes == 6
    lm.attend(ids, lambda *_: None)
    assert lm.recorder.forward_passes == 12
    lm.without([(0, 1)], "mean").nll(ids)  # a plain run, an altered one, and one sequence for the NaN probe
    assert lm.recorder.forward_passes == 12 + 6 + 6 + 1


def test_patterns_that_do_not_sum_to_one_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.models.llama import modeling_llama

    lm, ids = tiny_lm(), some_ids()
    own = modeling_llama.eager_attention_forward
    lm.attend(ids, lambda *_: None)

    def broken(*args: object, **kwargs: object) -> tuple[object, object]:
        outputs, weights = own(*args, **kwargs)
        return outputs, weights * 0.9

    monkeypatch.setattr(modeling_llama, "eager_attention_forward", broken)
    with pytest.raises(InvalidMeasurement, match=r"attention of layer 0 sums to 0\.9"):
        lm.attend(ids, lambda *_: None)


def test_digest_tells_models_apart_and_not_views() -> None:
    lm = tiny_lm()
    assert lm.digest == tiny_lm().digest == lm.without([(0, 0)], "zero").digest
    assert lm.digest != tiny_lm(seed=1).digest
    assert lm.digest != tiny_lm(rms_norm_eps=1e-5).digest, "same weights, another network"
    other = tiny_model("llama")
    other.model.norm.weight[3] += 1e-6
    assert LM(other, tokens=lm.tokens).digest != lm.digest


def test_tokens_are_found_out_when_they_are_first_asked_for() -> None:
    asked: list[int] = []

    def tokens() -> Tokens:
        asked.append(1)
        return Tokens(np.arange(5))

    lm = LM(tiny_model("llama"), tokens=tokens)
    view = lm.without([(0, 0)], "zero")
    assert asked == []
    assert view.tokens is lm.tokens
    assert asked == [1]
    bare = LM(tiny_model("llama"), tokens=no_tokens("the model"))
    with pytest.raises(NotApplicable, match="the model has no tokenizer"):
        _ = bare.tokens
    bare.without([(0, 0)], "zero").nll(some_ids())  # what needs no text works
    assert len(bare.digest) == 64


@pytest.mark.parametrize("part", ["all of it", "one layer"])
def test_a_model_in_training_mode_is_not_measured(part: str) -> None:
    lm = tiny_lm("gpt2")
    (lm.model if part == "all of it" else lm.model.transformer.h[1]).train()
    with pytest.raises(InvalidMeasurement, match=r"training mode.*call its eval\(\) first"):
        lm.nll(some_ids())


def test_long_patterns_are_split_over_rows_too(monkeypatch: pytest.MonkeyPatch) -> None:
    lm, ids = tiny_lm(), torch.from_numpy(some_ids(6, 40))
    monkeypatch.setattr(lm_module, "LOGIT_BYTES", 4 * HEADS * 40 * 40 * 2)
    assert len(list(lm._pattern_slices(ids))) == 3
    assert len(list(lm._slices(ids))) == 2  # 40 x 61 logits take less than 4 x 40 x 40 weights
    seen: list[int] = []
    lm.without([(0, 0)], "mean").attend(ids, lambda layer, pattern, rows: seen.append(len(pattern)))
    assert seen == [2] * 6


def test_movement_of_long_sequences_is_measured_on_fewer_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    from claimbench.interventions import removing

    ids, found = some_ids(6, 40), []
    for size in (removing.FIRST_BYTES, 4 * 40 * VOCAB * 2):
        monkeypatch.setattr(removing, "FIRST_BYTES", size)
        lm = tiny_lm()
        found.append(lm.without([(0, 1)], "resample", np.random.default_rng(0)).nll(ids))
        run = next(iter(lm._shared["runs"]._kept.values()))
        assert len(run.first) == (4 if size > 10**6 else 2)
        assert lm.recorder.receipts[0].fired == 6
    torch.testing.assert_close(found[0], found[1], atol=0, rtol=0)


def test_ids_may_be_any_integers() -> None:
    lm, ids = tiny_lm(), some_ids(4, 9)
    wanted = lm.nll(ids)
    for other in (ids.tolist(), ids.astype(np.uint16), ids[:, ::-1].copy()[:, ::-1], torch.from_numpy(ids).int()):
        assert torch.equal(lm.nll(other), wanted)
    fixed = np.broadcast_to(ids[:1], (3, 9))  # read-only
    assert torch.equal(lm.nll(fixed), lm.nll(fixed.copy()))
