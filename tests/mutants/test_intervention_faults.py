"""Faults of interventions, planted one at a time: each must be noticed, by the instrument itself or by the oracle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from claimbench.errors import ClaimbenchError, InvalidMeasurement, NotApplicable
from claimbench.interventions import attention, fallback, heads, instrument, receipts, removing
from claimbench.interventions.attention import Plan, active
from claimbench.interventions.heads import Write
from claimbench.interventions.removing import PlainRuns, Removing
from claimbench.subjects import lm as subject
from claimbench.subjects.lm import LM

from tiny_models import HEADS, KV_HEADS, oracle, projection, some_ids, tiny_lm, untouched

REMOVED = [(0, 1), (1, 3)]
MODES = ("zero", "mean", "resample")
BOTH = ("llama", "falcon")  # grouped queries, through the interface and through the fallback
SEED = int(np.random.default_rng(7).integers(2**63))


def remove(lm: LM, mode: str, ids: np.ndarray | None = None) -> torch.Tensor:
    return lm.without(REMOVED, mode, np.random.default_rng(7)).logits(some_ids() if ids is None else ids)


def right(lm: LM, family: str, mode: str) -> bool:
    """Whether removing agrees with hooks written by hand."""
    wanted = oracle(lm, family, REMOVED, mode, SEED, some_ids())
    return bool((remove(lm, mode) - wanted).abs().max() <= 1e-5 * wanted.abs().max())


@pytest.fixture(params=BOTH)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def lm(family: str) -> LM:
    """A subject that passed its identity check while all was well."""
    found = tiny_lm(family)
    assert found.identity.attached == 0
    return found


@pytest.mark.parametrize("mode", MODES)
def test_without_a_fault_all_is_well(lm: LM, family: str, mode: str) -> None:
    assert right(lm, family, mode)


# ---- the silent no-op


@contextmanager
def nothing(*_: Any, **__: Any) -> Iterator[None]:
    yield


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("warm", [False, True], ids=["cold", "plain run kept"])
def test_hook_never_attached(monkeypatch: pytest.MonkeyPatch, lm: LM, mode: str, warm: bool) -> None:
    if warm:
        remove(lm, mode)
    monkeypatch.setattr(instrument.Instrument, "attached", nothing)
    with pytest.raises(InvalidMeasurement, match=r"reached 0 times, not 12|was not reached in every pass"):
        remove(lm, mode)


def test_hook_never_attached_to_a_fresh_subject(monkeypatch: pytest.MonkeyPatch, family: str) -> None:
    monkeypatch.setattr(instrument.Instrument, "attached", nothing)
    with pytest.raises(NotApplicable, match="the instrument reached 0"):
        remove(tiny_lm(family), "zero")


def test_hook_attached_to_one_layer_only(monkeypatch: pytest.MonkeyPatch, lm: LM) -> None:
    real = attention.visit
    remove(lm, "zero")

    def lose(plan: Plan, layer: int, outputs: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        return outputs if layer == 1 else real(plan, layer, outputs, weights)

    monkeypatch.setattr(attention, "visit", lose)
    monkeypatch.setattr(fallback, "visit", lose)
    with pytest.raises(InvalidMeasurement, match="reached 6 times, not 12"):
        remove(lm, "zero")


def plant_writer(monkeypatch: pytest.MonkeyPatch, change: Callable[..., torch.Tensor]) -> None:
    """Replace what the altered passes write: change(before, after, written heads) -> after."""
    real = Removing._writer

    def planted(
        self: Removing, rows: slice, factor: float | None = None
    ) -> Callable[[int, torch.Tensor], torch.Tensor]:
        see, self.watch.see = self.watch.see, lambda *_: None  # type: ignore[method-assign]
        edit = real(self, rows, factor)

        def wrong(layer: int, before: torch.Tensor) -> torch.Tensor:
            after = change(before, edit(layer, before), [h for write in self.made.get(layer, []) for h in write.heads])
            if factor is None and rows.start < self.first and layer in self.made:
                first = slice(rows.start, min(rows.stop, self.first))
                size = first.stop - first.start
                see(layer, first, before[:size], after[:size], self.made[layer])
            return after

        return wrong

    monkeypatch.setattr(Removing, "_writer", planted)


@pytest.mark.parametrize("mode", MODES)
def test_replacement_computed_and_not_written(monkeypatch: pytest.MonkeyPatch, lm: LM, mode: str) -> None:
    plant_writer(monkeypatch, lambda before, after, written: before)
    with pytest.raises(InvalidMeasurement, match="stands something else than what was to be written"):
        remove(lm, mode)


@pytest.mark.parametrize("mode", MODES)
def test_output_0_on_a_tensor_changes_the_first_row_only(monkeypatch: pytest.MonkeyPatch, lm: LM, mode: str) -> None:
    plant_writer(monkeypatch, lambda before, after, written: torch.cat([after[:1], before[1:]]))
    with pytest.raises(InvalidMeasurement, match="stands something else"):
        remove(lm, mode)


def test_other_heads_changed_too(monkeypatch: pytest.MonkeyPatch, lm: LM) -> None:
    plant_writer(monkeypatch, lambda before, after, written: torch.zeros_like(after))
    with pytest.raises(InvalidMeasurement, match="that were to stay were changed too"):
        remove(lm, "zero")


def test_site_that_leads_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A family whose output projection reads a copy of the head outputs: what is written is not used."""
    lm, family = tiny_lm("llama"), "llama"
    remove(lm, "zero")
    lm.instrument.wired.clear()
    own: dict[int, torch.Tensor] = {}
    real = attention.visit

    def split(plan: Plan, layer: int, outputs: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        own[layer] = outputs
        return real(plan, layer, outputs, weights)

    def swap(layer: int) -> Callable[[Any, tuple[Any, ...]], tuple[torch.Tensor]]:
        return lambda _, inputs: (own[layer].reshape(inputs[0].shape),)

    monkeypatch.setattr(attention, "visit", split)
    for layer in range(2):
        projection(lm, family, layer).register_forward_pre_hook(swap(layer))
    with pytest.raises(InvalidMeasurement, match="NaN written at the heads does not reach the logits"):
        remove(lm, "zero")


def test_wired_and_written_and_still_unused(monkeypatch: pytest.MonkeyPatch, lm: LM) -> None:
    """Without the NaN probe, logits that stand still for a change that leaves the block are noticed all the same."""
    monkeypatch.setattr(receipts, "wired", lambda *_: (True, 0))
    real = instrument.Instrument.forward

    def stale(self: instrument.Instrument, ids: torch.Tensor, plan: Plan) -> torch.Tensor:
        before = real(self, ids, Plan())
        logits = real(self, ids, plan)
        return logits if plan.edit is None else before

    monkeypatch.setattr(instrument.Instrument, "forward", stale)
    with pytest.raises(InvalidMeasurement, match="and the logits not at all"):
        remove(lm, "zero")


# ---- the wrong thing replaced


def test_wrong_heads_are_written(monkeypatch: pytest.MonkeyPatch, lm: LM) -> None:
    real = heads.resolved
    planted = lambda made: {layer: {h // 2: n for h, n in o.items()} for layer, o in real(made).items()}  # noqa: E731
    monkeypatch.setattr(heads, "resolved", planted)
    monkeypatch.setattr(removing, "resolved", planted)
    with pytest.raises(InvalidMeasurement, match=r"written were heads 0\.0 1\.1, not 0\.1 1\.3"):
        remove(lm, "zero")


def test_key_value_slice_instead_of_query_slice(monkeypatch: pytest.MonkeyPatch, family: str) -> None:
    """Head outputs cut as if query heads of one group were interleaved: caught before anything is measured."""
    group = HEADS // KV_HEADS
    order = torch.arange(HEADS).reshape(KV_HEADS, group).T.reshape(-1)
    real = attention.visit

    def cut(plan: Plan, layer: int, outputs: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        return real(plan, layer, outputs[:, :, order], weights)[:, :, order.argsort()]

    monkeypatch.setattr(attention, "visit", cut)
    monkeypatch.setattr(fallback, "visit", cut)
    with pytest.raises(NotApplicable, match="cannot tell the heads of"):
        remove(tiny_lm(family), "zero")


@pytest.mark.parametrize("mode", MODES)
def test_bias_removed_too(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    """An ablation of the whole block's output would take the bias along; the oracle, which keeps it, disagrees."""
    lm = tiny_lm("llama")
    assert right(lm, "llama", mode)
    real = Removing.forward

    def forward(self: Removing, rows: slice, read: Any = None) -> torch.Tensor:
        biases = [projection(lm, "llama", layer).bias for layer in range(2)]
        kept = [bias.clone() for bias in biases]
        for bias in biases:
            bias.zero_()
        try:
            return real(self, rows, read)
        finally:
            for bias, values in zip(biases, kept, strict=True):
                bias.copy_(values)

    monkeypatch.setattr(Removing, "forward", forward)
    with pytest.raises(InvalidMeasurement, match="weights of the model changed while it ran"):
        right(lm, "llama", mode)
    monkeypatch.setattr(subject, "check_weights", lambda *_: None)
    assert not right(lm, "llama", mode)


def test_a_row_is_its_own_donor(monkeypatch: pytest.MonkeyPatch, lm: LM) -> None:
    monkeypatch.setattr(heads, "derangement", lambda n, seed: np.arange(n))
    with pytest.raises(InvalidMeasurement, match="a row would get its own output back"):
        remove(lm, "resample")


@pytest.mark.parametrize("mode", ["mean", "resample"])
def test_replacements_from_the_batch_instead_of_all_rows(
    monkeypatch: pytest.MonkeyPatch, family: str, mode: str
) -> None:
    """Means and donors of one batch would make results depend on the batch size; the oracle takes all rows at once."""
    lm = tiny_lm(family)
    lm.batch_size = 3
    assert right(lm, family, mode)
    whole = Write.of

    def of(self: Write, rows: slice) -> torch.Tensor:
        if self.values.dim() == 4:
            return whole(self, slice(0, rows.stop - rows.start))
        return whole(self, rows) * (1 + 0.01 * rows.start)

    monkeypatch.setattr(Write, "of", of)
    assert not right(lm, family, mode)


# ---- the instrument is not neutral, or stays behind


@pytest.mark.parametrize("fault", ["scaled", "lost"])
def test_identity_broken(monkeypatch: pytest.MonkeyPatch, family: str, fault: str) -> None:
    real = attention.visit

    def broken(plan: Plan, layer: int, outputs: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        outputs = real(plan, layer, outputs, weights)
        return outputs * 1.001 if fault == "scaled" else torch.zeros_like(outputs)

    monkeypatch.setattr(attention, "visit", broken)
    monkeypatch.setattr(fallback, "visit", broken)
    with pytest.raises(
        NotApplicable, match=rf"logits of {family} differ by [\d.e-]+ of their size, and 1e-05 is allowed"
    ):
        remove(tiny_lm(family), "zero")


def test_attention_patterns_of_another_network(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.models.llama import modeling_llama

    real = modeling_llama.eager_attention_forward

    def sharper(module: Any, query: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        return real(module, query * 2, *args, **kwargs)

    monkeypatch.setattr(modeling_llama, "eager_attention_forward", sharper)
    with pytest.raises(NotApplicable, match="the eager attention of llama gives logits that differ"):
        tiny_lm("llama").attend(some_ids(), lambda *_: None)


def test_left_behind_after_an_exception(monkeypatch: pytest.MonkeyPatch, lm: LM, family: str) -> None:
    @contextmanager
    def kept_hooks(projections: Sequence[Any], plan: Plan, count: int) -> Iterator[None]:
        for layer, part in enumerate(projections):
            part.register_forward_pre_hook(fallback._hook(plan, layer, count))
        yield

    @contextmanager
    def kept_setting(model: Any, name: str, settable: bool = True) -> Iterator[None]:
        if settable:
            model.set_attn_implementation(name)
        yield

    def fail(*_: Any) -> None:
        raise RuntimeError("in the middle")

    ids = some_ids()
    plain = lm.logits(ids)
    for plant in (False, True):
        if plant:
            monkeypatch.setattr(fallback, "hooked", kept_hooks)
            monkeypatch.setattr(instrument, "_implementation", kept_setting)
        with pytest.raises(RuntimeError, match="in the middle"):
            lm.without(REMOVED, "zero").attend(ids, fail)
        assert bool(untouched(lm.model)) == plant
    # What is left has no plan any more, so even then a plain pass is plain.
    torch.testing.assert_close(lm.model(torch.from_numpy(ids)).logits, plain, atol=1e-5, rtol=0)


def test_plan_left_in_force(lm: LM) -> None:
    """A plan that nobody took off does not reach plain passes: they say that none is in force."""
    ids = some_ids()
    plain = lm.logits(ids)
    zero = Plan(edit=lambda layer, outputs: torch.zeros_like(outputs))
    with lm.instrument.attached(zero):
        assert not torch.equal(lm.model(torch.from_numpy(ids)).logits, plain)
        torch.testing.assert_close(lm.logits(ids), plain, atol=1e-5, rtol=0)
    with active(None):
        torch.testing.assert_close(lm.model(torch.from_numpy(ids)).logits, plain, atol=0, rtol=0)


# ---- plain runs that are kept


@pytest.mark.parametrize("what", ["another model's", "old weights'"])
def test_plain_run_of_something_else(monkeypatch: pytest.MonkeyPatch, family: str, what: str) -> None:
    def shifted() -> LM:
        lm = tiny_lm(family)
        if what == "another model's":
            other = tiny_lm(family, seed=1)
            remove(other, "mean")
            lm._shared["runs"] = other._shared["runs"]
        else:
            remove(lm, "mean")
            projection(lm, family, 0).weight.mul_(-1)
        return lm

    assert right(shifted(), family, "mean"), "the kept run is not used, because its first rows give other logits"
    monkeypatch.setattr(PlainRuns, "get", lambda self, _, ids: self._kept.get(removing._key(ids)))
    with_fault = shifted()
    try:
        noticed = not right(with_fault, family, "mean")
    except ClaimbenchError:
        noticed = True
    assert noticed
