"""Faults of instruments at any site, planted one at a time: each must be noticed, by receipts or by the oracle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from claimbench.errors import ClaimbenchError, InvalidMeasurement, NotApplicable
from claimbench.interventions import changing, edges, heads, instrument, padding, parts, proof, stream
from claimbench.interventions.attention import Plan
from claimbench.interventions.changing import Changing, Feed
from claimbench.interventions.sites import Site, Where
from claimbench.subjects.lm import LM

from plain_models import forward, recorded
from tiny_models import some_ids, tiny_lm, untouched

IDS, OTHER = some_ids(), some_ids(seed=9)


def wanted(lm: LM, kind: str, layer: int, change: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    edit = lambda where, number, values: change(values.clone()) if (where, number) == (kind, layer) else values  # noqa: E731
    return forward("llama", lm.model, IDS, edit)


def right(found: torch.Tensor, oracle: torch.Tensor) -> bool:
    return bool((found - oracle).abs().max() <= 1e-5 * oracle.abs().max())


def noticed(run: Callable[[], torch.Tensor], oracle: torch.Tensor) -> bool:
    try:
        return not right(run(), oracle)
    except ClaimbenchError:
        return True


@pytest.fixture
def lm() -> LM:
    return tiny_lm()


@contextmanager
def nothing(*_: Any, **__: Any) -> Iterator[None]:
    yield


@pytest.mark.parametrize("warm", [False, True])
def test_stream_hook_never_attached(monkeypatch: pytest.MonkeyPatch, lm: LM, warm: bool) -> None:
    if warm:
        lm.scaled("L0.mlp", 2).logits(IDS)
    monkeypatch.setattr(stream, "hooked", nothing)
    with pytest.raises((InvalidMeasurement, NotApplicable), match=r"reached 0 times, not 6|was reached in 0 of 2 layers"):
        lm.scaled("L0.mlp", 2).logits(IDS)


def test_kind_lost_on_the_way(monkeypatch: pytest.MonkeyPatch, lm: LM) -> None:
    lm.scaled("L0.k", 2).logits(IDS)
    monkeypatch.setattr(parts, "_turned", lambda plan, kind, layer, values: values)
    with pytest.raises(InvalidMeasurement, match="reached 0 times, not 6"):
        lm.scaled("L0.k", 2).logits(IDS)


@pytest.mark.parametrize("site", ["L0.H1.z", "L1.mlp", "L0.H2.k", "L1.N3.neurons"])
def test_computed_and_not_written(monkeypatch: pytest.MonkeyPatch, lm: LM, site: str) -> None:
    real = changing.write

    def planted(change: Any, at: Any, values: torch.Tensor, *rest: Any) -> Any:
        return (values, *real(change, at, values, *rest)[1:])

    monkeypatch.setattr(changing, "write", planted)
    with pytest.raises(InvalidMeasurement, match="stands something else than what was to be written"):
        lm.scaled(site, 2).logits(IDS)


def test_too_much_written(monkeypatch: pytest.MonkeyPatch, lm: LM) -> None:
    real = changing.write

    def planted(change: Any, at: Any, values: torch.Tensor, *rest: Any) -> Any:
        return (values * 2, *real(change, at, values, *rest)[1:])

    monkeypatch.setattr(changing, "write", planted)
    with pytest.raises(InvalidMeasurement, match=r"beside L0\.H1\.z something was changed too"):
        lm.scaled("L0.H1.z", 2).logits(IDS)


@pytest.mark.parametrize("site", ["L0.H1.z", "L1.mlp", "L1.post"])
def test_written_and_not_used(monkeypatch: pytest.MonkeyPatch, lm: LM, site: str) -> None:
    """Logits of another pass, as from a cache: no NaN and no noise gets through either."""
    lm.scaled(site, 1).logits(IDS)
    real = instrument.Instrument.forward

    def stale(self: instrument.Instrument, ids: torch.Tensor, plan: Plan) -> torch.Tensor:
        real(self, ids, plan)
        return real(self, ids, Plan())

    monkeypatch.setattr(instrument.Instrument, "forward", stale)
    with pytest.raises(InvalidMeasurement, match=r"the logits not at all|the site is not wired"):
        lm.scaled(site, 2).logits(IDS)
    lm.instrument.sites_wired.clear()
    with pytest.raises(InvalidMeasurement, match="the site is not wired"):
        lm.scaled(site, 2).logits(IDS)


def test_output_0_on_a_tensor(monkeypatch: pytest.MonkeyPatch, lm: LM) -> None:
    """Layers hand over a tensor: taking its first entry changes the first row alone."""
    oracle = wanted(lm, "post", 0, lambda x: x + 1)
    assert right(lm.added("L0.post", 1.0).logits(IDS), oracle)

    def first(plan: Plan, kind: str, layer: int) -> Callable[..., Any]:
        def hook(_: Any, __: Any, output: torch.Tensor) -> torch.Tensor:
            changed = output.clone()
            changed[0] = plan.altered(kind, layer, output[:1])[0]
            return changed

        return hook

    monkeypatch.setattr(stream, "_after", first)
    assert noticed(lambda: lm.added("L0.post", 1.0).logits(IDS), oracle)


def test_keys_of_a_group_changed_for_one_query_head(monkeypatch: pytest.MonkeyPatch, lm: LM) -> None:
    """Grouped queries: without copies the neighbour's keys would change too."""
    theirs = recorded("llama", lm.model, OTHER)["k", 1]

    def put(found: torch.Tensor) -> torch.Tensor:
        found[:, 3] = theirs[:, 3]
        return found

    oracle = wanted(lm, "k", 1, put)
    assert right(lm.patched("L1.H3.k", OTHER).logits(IDS), oracle)
    real = Site.members
    monkeypatch.setattr(Site, "members", lambda self, size: (2, 3) if real(self, size) == (3,) else real(self, size))
    assert noticed(lambda: lm.patched("L1.H3.k", OTHER).logits(IDS), oracle)
    monkeypatch.setattr(Site, "members", real)
    # Repeating keys once more than the attention function expects must not pass either.
    monkeypatch.setattr(parts, "_groups", nothing)
    with pytest.raises(Exception, match=r"."):
        tiny_lm().patched("L1.H3.k", OTHER).logits(IDS)


def test_donor_from_the_wrong_row(monkeypatch: pytest.MonkeyPatch, lm: LM) -> None:
    theirs = recorded("llama", lm.model, OTHER)["post", 0]
    oracle = wanted(lm, "post", 0, lambda _: theirs)
    lm.batch_size = 4
    assert right(lm.patched("L0.post", OTHER).logits(IDS), oracle)
    real = Feed.advance

    def rolled(self: Feed) -> None:
        real(self)
        self.now.update({site: value.roll(1, 0) for site, value in self.now.items()})

    monkeypatch.setattr(Feed, "advance", rolled)
    assert noticed(lambda: lm.patched("L0.post", OTHER).logits(IDS), oracle)


def test_source_not_advanced(monkeypatch: pytest.MonkeyPatch, lm: LM) -> None:
    """The first batch's donors for every batch."""
    theirs = recorded("llama", lm.model, OTHER)["post", 0]
    oracle = wanted(lm, "post", 0, lambda _: theirs)
    lm.batch_size = 3
    real = Feed.advance
    monkeypatch.setattr(Feed, "advance", lambda self: None if self.now else real(self))
    assert noticed(lambda: lm.patched("L0.post", OTHER).logits(IDS), oracle)


def test_source_under_the_view_s_own_change(monkeypatch: pytest.MonkeyPatch, lm: LM) -> None:
    """What is frozen must come from the plain run, not from one in which the change is already made."""
    theirs = recorded("llama", lm.model, OTHER)["z", 0]
    mine = recorded("llama", lm.model, IDS)["attn", 1]

    def edit(kind: str, layer: int, values: torch.Tensor) -> torch.Tensor:
        return theirs if (kind, layer) == ("z", 0) else mine if (kind, layer) == ("attn", 1) else values

    oracle = forward("llama", lm.model, IDS, edit)
    run = lambda: lm.patched("L0.z", OTHER).frozen("L1.attn").logits(IDS)  # noqa: E731
    assert right(run(), oracle)
    monkeypatch.setattr(LM, "plain", lambda self: self)
    assert noticed(run, oracle)


def test_position_counted_from_the_wrong_end(monkeypatch: pytest.MonkeyPatch, lm: LM) -> None:
    def put(found: torch.Tensor) -> torch.Tensor:
        found[:, -1] = 0
        return found

    oracle = wanted(lm, "mlp", 0, put)
    assert right(lm.replaced("L0.mlp@-1", 0.0).logits(IDS), oracle)
    real = Where.mask
    monkeypatch.setattr(Where, "mask", lambda self, *args, **ends: real(self, *args, **ends).flip(1))
    assert noticed(lambda: lm.replaced("L0.mlp@-1", 0.0).logits(IDS), oracle)


@pytest.mark.parametrize("fault", ["not renormalised", "transposed"])
def test_edges_cut_wrongly(monkeypatch: pytest.MonkeyPatch, lm: LM, fault: str) -> None:
    pairs = np.zeros((12, 12), dtype=bool)
    pairs[8, 2] = pairs[9, 9] = True

    def cut(scores: torch.Tensor) -> torch.Tensor:
        scores[:, :, pairs] = -torch.inf
        return scores

    oracle = wanted(lm, "scores", 1, cut)
    run = lambda: lm.knocked_out("L1.pattern", pairs=pairs).logits(IDS)  # noqa: E731
    assert right(run(), oracle)
    if fault == "transposed":
        real = edges.Edges.among
        monkeypatch.setattr(edges.Edges, "among", lambda self, at, keys: real(self, at, keys).transpose(1, 2))
        assert noticed(run, oracle)
    else:  # weights set to zero after the softmax are another intervention
        assert not right(lm.clamped("L1.pattern", 0.0, pairs=pairs).logits(IDS), oracle)
        assert right(lm.clamped("L1.pattern", 0.0, pairs=pairs, rescale=True).logits(IDS), oracle)


def test_means_of_one_batch(monkeypatch: pytest.MonkeyPatch, lm: LM) -> None:
    mine = recorded("llama", lm.model, IDS)["mlp", 0]
    oracle = wanted(lm, "mlp", 0, lambda x: mine.mean((0, 1)).expand_as(x))
    lm.batch_size = 3
    assert right(lm.ablated("L0.mlp").logits(IDS), oracle)
    real = changing._means
    monkeypatch.setattr(changing, "_means", lambda source, sites, ids, slices: real(source, sites, ids[:3], slices[:1]))
    assert noticed(lambda: lm.ablated("L0.mlp").logits(IDS), oracle)


def test_a_row_is_its_own_donor(monkeypatch: pytest.MonkeyPatch, lm: LM) -> None:
    monkeypatch.setattr(changing, "donors", lambda lengths, seed: np.arange(len(lengths)))
    lm.ablated("L0.mlp", "resample", np.random.default_rng(0)).logits(IDS)
    assert lm.recorder.receipts[-1].neutral, "a resampling that changes nothing says so"
    assert heads.derangement(6, 0).tolist() != list(range(6))


def test_identity_broken_at_one_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    real = stream._altered
    monkeypatch.setattr(stream, "_altered", lambda *args: real(*args) * 1.001)
    with pytest.raises(NotApplicable, match="writing mlp back as it was changes the logits of llama"):
        tiny_lm().scaled("L0.mlp", 2)


def test_attention_taken_for_the_mlp(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocking the attention's direct effect instead of the MLP's is another number than the oracle's."""
    lm = tiny_lm()
    mine = recorded("llama", lm.model, IDS)["mlp", 0]
    oracle = wanted(lm, "post", 1, lambda x: x - mine)
    assert right(lm.without_direct("L0.mlp").logits(IDS), oracle)
    real = stream._summands
    monkeypatch.setattr(stream, "_summands", lambda *args: real(*args)[::-1])  # type: ignore[index]
    swapped = tiny_lm()
    assert noticed(lambda: swapped.without_direct("L0.mlp").logits(IDS), oracle)


def test_hooks_left_behind(monkeypatch: pytest.MonkeyPatch, lm: LM) -> None:
    lm.scaled("L0.mlp", 2).logits(IDS)
    plain = lm.logits(IDS)

    @contextmanager
    def kept(places: Any, plan: Plan) -> Iterator[None]:
        for kind, number in plan.wanted:
            places.layers[number].mlp.register_forward_hook(stream._after(plan, kind, number))
        yield

    monkeypatch.setattr(stream, "hooked", kept)
    lm.scaled("L0.mlp", 2).logits(IDS)
    assert untouched(lm.model) == ["model.layers.0.mlp"]
    assert torch.equal(lm.logits(IDS), plain), "what is left has no plan any more"


def test_receipts_know_a_null_from_a_fault(lm: LM) -> None:
    """A change that the final norm forgets is the truth, not a fault: noise at the same site reaches the logits."""
    gpt2 = tiny_lm("gpt2")
    for view in (lm.scaled("L1.post", 2.0), gpt2.added("L1.post", 0.5)):  # its length, and its mean
        assert float((view.logits(IDS) - view.plain().logits(IDS)).abs().max()) < 1e-4
        receipt = view.recorder.receipts[-1]
        assert receipt.moved_activation >= 0.4 and receipt.wired
    run = Changing(lm.scaled("L1.post", 2.0), torch.from_numpy(IDS), [slice(0, 6)])
    assert proof.null(run)


# ---- padding


def padded(side: str) -> tuple[dict[str, torch.Tensor], list[torch.Tensor]]:
    """Two rows of 7 and 12 tokens, and the rows by themselves."""
    ids, mask = torch.from_numpy(IDS[:2].copy()), torch.ones(2, 12, dtype=torch.long)
    place = slice(0, 7) if side == "right" else slice(5, 12)
    mask[0] = 0
    mask[0, place] = 1
    return {"input_ids": ids, "attention_mask": mask}, [ids[:1, place], ids[1:]]


def row_by_row(view: LM, side: str) -> bool:
    """Whether a padded batch is its rows, measured and held."""
    batch, rows = padded(side)
    real = batch["attention_mask"].bool()
    with view.held() as model, torch.no_grad():
        held = model(**batch, position_ids=(real.cumsum(1) - 1).clamp_min(0)).logits
    alone = [view.logits(row)[0] for row in rows]
    return all(right(found[row][real[row]], alone[row]) for found in (view.logits(batch), held) for row in (0, 1))


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("fault", ["places are columns", "negative places from the batch's end", "means over padding"])
def test_padding_ignored(monkeypatch: pytest.MonkeyPatch, lm: LM, fault: str, side: str) -> None:
    view = lm.scaled("L0.mlp@-1", 3).replaced("L1.mlp@2", torch.linspace(-1, 1, 32))
    if fault == "means over padding":
        batch, rows = padded(side)
        site = Site.parse("L0.mlp")
        mean = torch.cat([lm.activations(row, site)[site][0] for row in rows]).mean(0)
        oracle = lm.replaced(site, mean).logits(rows[0])[0]
        real = batch["attention_mask"][0].bool()
        assert right(lm.ablated(site, "mean").logits(batch)[0][real], oracle)
        monkeypatch.setattr(changing, "wide", lambda mask, values: torch.ones_like(mask)[..., None])
        assert noticed(lambda: lm.ablated(site, "mean").logits(batch)[0][real], oracle)
        return
    assert row_by_row(view, side)
    if fault == "places are columns":
        monkeypatch.setattr(padding.Batch, "_moved", lambda self, values, axis, sign: values)
    else:
        real = Where.mask
        monkeypatch.setattr(Where, "mask", lambda self, ids, tokens, start=0, whole=None, ends=None: real(self, ids, tokens, start))
    assert not row_by_row(view, side) or (fault == "places are columns" and side == "right"), "right padding moves nothing"


# ---- grouped queries, donors, weights


def test_head_slice_of_another_group(monkeypatch: pytest.MonkeyPatch, lm: LM) -> None:
    """Keys and values given to query heads as if groups were interleaved: the identity check of the kind sees it."""
    monkeypatch.setattr(torch.Tensor, "repeat_interleave", lambda self, n, dim: torch.cat([self] * n, dim))
    with pytest.raises(NotApplicable, match="writing k back as it was changes the logits"):
        lm.scaled("L0.H1.k", 2).logits(IDS)


@pytest.mark.parametrize("shift", ["rows", "batches"])
def test_donor_from_the_row_beside(monkeypatch: pytest.MonkeyPatch, lm: LM, shift: str) -> None:
    lm.batch_size = 3
    theirs = recorded("llama", lm.model, OTHER)["mlp", 1]
    oracle = wanted(lm, "mlp", 1, lambda found: theirs)
    run = lambda: lm.patched("L1.mlp", OTHER).logits(IDS)  # noqa: E731
    assert right(run(), oracle)
    real = Feed.advance

    def wrong(self: Feed) -> None:
        if shift == "batches" and not self.now:
            next(self.passes)
            return
        real(self)
        self.now = {site: found.roll(1, 0) for site, found in self.now.items()}

    monkeypatch.setattr(Feed, "advance", wrong)
    assert noticed(run, oracle)


def test_cache_reused_after_the_weights_changed(monkeypatch: pytest.MonkeyPatch, lm: LM) -> None:
    """A step of an optimiser between two runs on the same sequences: the kept plain run is not used again."""
    view = lm.without([(1, 2)], "mean")
    view.logits(IDS)
    kept = lm._shared["runs"]
    with torch.no_grad():
        lm.model.model.layers[0].mlp.down_proj.weight.mul_(-1)
    oracle = tiny_lm()
    with torch.no_grad():
        oracle.model.model.layers[0].mlp.down_proj.weight.mul_(-1)
    assert right(view.logits(IDS), oracle.without([(1, 2)], "mean").logits(IDS))
    with torch.no_grad():
        lm.model.model.layers[0].mlp.down_proj.weight.mul_(-1)
    stale = next(iter(kept._kept.values()))
    fresh = tiny_lm().without([(1, 2)], "mean").logits(IDS)
    monkeypatch.setattr(type(kept), "get", lambda self, *_: stale)
    assert noticed(lambda: view.logits(IDS), fresh)


def test_hook_left_behind_after_holding(monkeypatch: pytest.MonkeyPatch, lm: LM) -> None:
    """A hook that nobody takes off shows in what is left on the model, and has no plan any more."""
    plain, ids = lm.logits(IDS), torch.from_numpy(IDS)
    view = lm.scaled("L0.mlp", 2)
    with view.held() as model:
        model(input_ids=ids)
    assert untouched(lm.model) == []
    real = torch.utils.hooks.RemovableHandle.remove
    monkeypatch.setattr(torch.utils.hooks.RemovableHandle, "remove", lambda self: None)
    with view.held() as model:
        model(input_ids=ids)
    monkeypatch.setattr(torch.utils.hooks.RemovableHandle, "remove", real)
    assert "" in untouched(lm.model) and "model.layers.0.mlp" in untouched(lm.model)
    assert torch.equal(lm.model(input_ids=ids).logits, plain)
