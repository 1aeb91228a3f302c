"""A sweep equals the loop over its variants, whatever the model, the sites, the measure and the batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from claimbench.errors import DeclarationError, InvalidMeasurement, UsageError
from claimbench.interventions.heads import derangement
from claimbench.sweeps.exact import levers_of, sweep
from claimbench.sweeps.pace import Pace
from claimbench.sweeps.reading import Measure, last_token_loss, logit_difference, loss, loss_at, of_logits
from claimbench.sweeps.variants import blocks, edges, heads, neurons, positions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tiny_models import CONFIGS, FALLBACK, INTERFACE, VOCAB, some_ids, tiny_lm, untouched

few = settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def loop(lm: Any, projection: str, ids: np.ndarray, mode: str, donors: np.ndarray, measure: Measure) -> np.ndarray:
    """The slow oracle: one whole forward pass for each head, with one hook on the output projection, named by hand."""
    tensor, found = torch.from_numpy(ids), []
    plain: dict[int, torch.Tensor] = {}

    def run(layer: int, hook: Any) -> torch.Tensor:
        handle = lm.model.get_submodule(projection.format(layer)).register_forward_pre_hook(hook)
        with torch.no_grad():
            logits = lm.model(input_ids=tensor, use_cache=False).logits
        handle.remove()
        return logits

    for layer in range(lm.layers):
        run(layer, lambda _, args, layer=layer: plain.__setitem__(layer, args[0].clone()))
        for head in range(lm.heads):

            def remove(_: Any, args: Any, layer: int = layer, head: int = head) -> Any:
                joined = args[0].clone()
                size = joined.shape[-1] // lm.heads
                mine = slice(head * size, (head + 1) * size)
                values = plain[layer][..., mine]
                new = {"zero": 0.0, "mean": values.mean((0, 1)), "position mean": values.mean(0), "resample": values[donors]}
                joined[..., mine] = new[mode]
                return (joined,)

            logits = run(layer, remove)
            read = logits if measure.positions is None else logits[:, list(measure.positions)]
            found.append(measure.of(read, tensor, slice(0, len(ids))).numpy())
    return np.stack(found)


@st.composite
def shapes(draw: st.DrawFn) -> tuple[str, dict[str, int]]:
    layers, groups = draw(st.integers(1, 4)), draw(st.sampled_from([1, 2, 4]))
    if draw(st.booleans()):
        return "gpt2", {"n_layer": layers, "n_head": draw(st.sampled_from([1, 2, 4])), "n_embd": 32}
    each = draw(st.sampled_from([1, 2]))
    return "llama", {"num_hidden_layers": layers, "num_attention_heads": groups * each, "num_key_value_heads": groups}


measures = st.sampled_from(
    [
        loss(),
        loss_at([1, -1]),
        loss_at([3]),
        last_token_loss(np.arange(5)),
        logit_difference(np.arange(5) + 7, np.arange(5) + 20),
        of_logits(lambda logits, ids, rows: logits[:, :, 3:6].sum(-1)),
        of_logits(lambda logits, ids, rows: logits[:, :, 3], [0, 2, -1]),
    ]
)


@few
@given(
    shapes(),
    st.sampled_from(["zero", "mean", "position mean", "resample"]),
    measures,
    st.integers(0, 99),
    st.sampled_from([None, 1, 3]),
)
def test_sweep_equals_the_loop(shape: Any, mode: str, measure: Measure, seed: int, batch_size: int | None) -> None:
    family, changes = shape
    lm, ids = tiny_lm(family, seed, **changes), some_ids(5, 7, seed)
    lm.batch_size = batch_size
    drawn = int(np.random.default_rng(seed).integers(2**63))
    found = sweep(lm, heads(lm), ids, measure, mode, np.random.default_rng(seed))
    wanted = loop(lm, CONFIGS[family][3], ids, mode, derangement(5, drawn), measure)
    np.testing.assert_allclose(found.values, wanted, atol=1e-5, rtol=1e-5)
    assert not found.naive
    assert untouched(lm.model) == [] and not any("forward" in vars(part) for part in lm.model.modules())


LENGTHS = [7, 4, 7, 2, 4]


def padded(side: str, seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Rows of `LENGTHS` tokens at the left of [5, 7], and the same padded at a side with what is no token."""
    ids, mask = some_ids(5, 7, seed), np.arange(7) < np.array(LENGTHS)[:, None]
    columns = mask if side == "right" else mask[:, ::-1]
    given = np.full(ids.shape, VOCAB + 5)
    given[columns] = ids[mask]
    return ids, {"input_ids": given, "attention_mask": columns.astype(int)}


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("measure", [loss(), loss_at([1, -1]), last_token_loss(np.arange(5)), logit_difference([1] * 5, [2] * 5)])
def test_padded_rows_are_swept_as_if_each_were_alone(family: str, side: str, measure: Measure) -> None:
    lm = tiny_lm(family)
    ids, given = padded(side)
    found = sweep(lm, heads(lm), given, measure)
    for row, length in enumerate(LENGTHS):
        one = Measure(measure.name, lambda logits, ids, _, row=row: measure.of(logits, ids, slice(row, row + 1)), measure.positions)
        if measure.positions is not None:
            one = Measure(one.name, one.of, measure.places(length))
        wanted = loop(lm, CONFIGS[family][3], ids[row : row + 1, :length], "zero", np.zeros(1, int), one)
        np.testing.assert_allclose(found.values[:, row], wanted[:, 0], atol=1e-5)
    assert not found.naive and untouched(lm.model) == []


@pytest.mark.parametrize("mode", ["mean", "position mean"])
def test_padding_is_no_part_of_a_mean(mode: str) -> None:
    lm, (ids, given) = tiny_lm("llama"), padded("left")
    found = sweep(lm, ["L0.N3.neurons", "L1.mlp@1", "L0.post@-1"], given, loss(), mode)
    for number, site in enumerate(["L0.N3.neurons", "L1.mlp@1", "L0.post@-1"]):
        logits = lm.ablated(site, mode).logits(given)
        for row, length in enumerate(LENGTHS):
            wanted = loss().of(logits[row : row + 1, 7 - length :], torch.from_numpy(ids[row : row + 1, :length]), slice(0, 1))
            assert found.values[number, row] == pytest.approx(float(wanted), abs=1e-5)


def test_rows_of_unequal_lengths_are_refused_where_they_lack_what_is_asked() -> None:
    lm, (_, given) = tiny_lm("gpt2"), padded("right")
    with pytest.raises(DeclarationError, match="positions 0 to 1"):
        sweep(lm, ["L0.mlp"], given, loss_at([4]))
    with pytest.raises(UsageError, match="alone has 2 tokens"):
        sweep(lm, ["L0.mlp"], given, loss(), "resample", np.random.default_rng(0))


def by_views(lm: Any, sites: list[str], ids: np.ndarray, measure: Measure, mode: str) -> np.ndarray:
    """Each site by a view that runs as a whole; views have their own oracles."""
    found = []
    for site in sites:
        logits = lm.ablated(site, mode, np.random.default_rng(3)).logits(ids)
        read = logits if measure.positions is None else logits[:, list(measure.positions)]
        found.append(measure.of(read, torch.from_numpy(ids), slice(0, len(ids))).numpy())
    return np.stack(found)


@pytest.mark.parametrize("family", [*INTERFACE, *FALLBACK])
def test_every_family_is_swept_or_run_by_itself_with_the_same_numbers(family: str) -> None:
    lm, ids = tiny_lm(family), some_ids(4, 9)
    for measure in (loss(), last_token_loss([5, 6, 7, 8])):
        sites = [*blocks(lm, ("pre", "attn", "mlp", "post")), *positions(lm, 9)[::4]]
        found = sweep(lm, sites, ids, measure, "mean", np.random.default_rng(3))
        np.testing.assert_allclose(found.values, by_views(lm, sites, ids, measure, "mean"), atol=1e-5, rtol=1e-5)
    assert untouched(lm.model) == []


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_neurons_queries_and_edges(family: str) -> None:
    lm, ids = tiny_lm(family), some_ids(3, 6)
    sites = [*neurons(lm)[::17], "L0.H1.q", "L1.G1.k" if family == "llama" else "L1.H1.k", "L1.H0.v@2", "L1.H2.q"]
    for measure in (loss(), loss_at([-1])):
        found = sweep(lm, sites, ids, measure, "resample", np.random.default_rng(3))
        np.testing.assert_allclose(found.values, by_views(lm, sites, ids, measure, "resample"), atol=1e-5)
        cut = edges(lm, [(5, 2), (3, 3)], layers=[1])
        wanted = [sweep(view, ["L0.pre"], ids, measure).plain for view in cut]
        np.testing.assert_allclose(sweep(lm, cut, ids, measure).values, wanted, atol=1e-5)


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2", "bloom"])
def test_positions_before_the_first_that_changes_are_those_of_the_plain_run(family: str) -> None:
    """Reused keys and values change no number: the same sweep with the lever and without, and the loop over views."""
    lm, ids = tiny_lm(family), some_ids(3, 7)
    levers = levers_of(lm)
    assert levers.reuses
    sites = ["L0.pre@3", "L0.mlp@-1", "L1.attn@2:5", "L0.post@4,6", "L1.pre@0", "L1.N3.neurons@1:"]
    for mode in ("zero", "mean", "position mean", "resample"):
        for measure in (loss(), loss_at([2, -1]), last_token_loss([5, 6, 7])):
            found = sweep(lm, sites, ids, measure, mode, np.random.default_rng(3))
            np.testing.assert_allclose(found.values, by_views(lm, sites, ids, measure, mode), atol=1e-5)
    heads_at = ["L0.H1.z@4", "L0.H1.q@5", "L1.H0.k@3", "L0.H2.v@2:"] if family in ("gpt2", "llama") else []
    many = [*heads_at, *(edges(lm, [(5, 2), (3, 3)], layers=[0]) if heads_at else [])] or ["L0.mlp@3"]
    found = sweep(lm, many, ids, loss())
    levers.reuses = False
    plainly = sweep(lm, many, ids, loss())
    levers.reuses = True
    np.testing.assert_allclose(found.values, plainly.values, atol=1e-5)
    assert np.abs(found.effects).min() > 0 and not found.naive


def test_fewer_positions_run_where_keys_are_reused() -> None:
    lm, ids, seen = tiny_lm("gpt2"), some_ids(2, 8), []
    assert levers_of(lm).reuses
    handle = lm.model.transformer.h[1].mlp.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[1]))
    sweep(lm, ["L0.mlp@6"], ids, loss())
    handle.remove()
    assert 2 in seen


def test_sets_across_layers_and_views_of_other_kinds() -> None:
    lm, ids, other = tiny_lm("llama"), some_ids(4, 8), some_ids(4, 8, 9)
    views = [
        lm.without([(0, 1), (1, 3)], "resample", np.random.default_rng(1)),
        lm.without([(1, 0)], "mean").scaled("L1.mlp", 0.5),
        lm.patched("L0.post@-1", other),
        lm.patched("L1.H3.k", other),
        lm.added("L0.attn", 0.3),
        lm.frozen("L1.z").without([(0, 2)], "zero"),
        lm.patched("L1.z", lm.without([(0, 0)], "zero")),  # a source with an intervention: run by itself
        lm.without_direct("L0.mlp"),
    ]
    found = sweep(lm, views, ids, loss())
    wanted = np.stack([view.nll(ids).mean(1).numpy() for view in views])
    np.testing.assert_allclose(found.values, wanted, atol=1e-5)
    np.testing.assert_allclose(found.plain, lm.nll(ids).mean(1).numpy(), atol=1e-5)
    assert len(found.naive) == 2
    pairs = sweep(lm, [[(0, 1), (1, 3)], (1, 2)], ids, loss(), "zero")
    np.testing.assert_allclose(pairs.values[0], lm.without([(0, 1), (1, 3)], "zero").nll(ids).mean(1).numpy(), atol=1e-5)
    np.testing.assert_allclose(pairs.effects[1], lm.without([(1, 2)], "zero").nll(ids).mean(1).numpy() - found.plain, atol=1e-5)


def test_a_subject_under_an_intervention_is_swept_variant_by_variant() -> None:
    lm, ids = tiny_lm("gpt2"), some_ids(4, 8)
    view = lm.without([(0, 0)], "zero")
    found = sweep(view, ["L1.mlp"], ids, loss())
    np.testing.assert_allclose(found.values[0], view.ablated("L1.mlp", "zero").nll(ids).mean(1).numpy(), atol=1e-5)
    assert found.naive


def test_every_variant_leaves_receipts_and_a_site_that_is_not_wired_is_refused() -> None:
    lm, ids = tiny_lm("llama"), some_ids(4, 8)
    sweep(lm, heads(lm), ids, loss())
    assert len(lm.recorder.receipts) == lm.layers * lm.heads
    assert all(receipt.fired == 4 and receipt.wired and receipt.moved_logits > 0 for receipt in lm.recorder.receipts)
    with torch.no_grad():
        lm.model.model.layers[0].self_attn.o_proj.weight[:, :8] = 0  # nothing reads head 0.0
    found = sweep(lm, [(0, 0)], ids, loss())
    assert found.effects[0] == pytest.approx(0, abs=1e-7)
    lm.instrument.sites_wired[("z", 0, (1,))] = False
    with pytest.raises(InvalidMeasurement, match="not wired"):
        sweep(lm, [(0, 1)], ids, loss())


def test_weights_that_changed_between_sweeps_are_used() -> None:
    lm, ids = tiny_lm("gpt2"), some_ids(4, 8)
    sweep(lm, heads(lm), ids, loss())
    with torch.no_grad():
        lm.model.transformer.h[0].mlp.c_fc.weight.mul_(1.5)
    found = sweep(lm, ["L1.mlp"], ids, loss())
    np.testing.assert_allclose(found.plain, lm.nll(ids).mean(1).numpy(), atol=1e-5)


def test_a_model_that_gives_other_logits_in_parts_is_not_swept_in_parts() -> None:
    """A layer that remembers what its neighbour saw cannot be skipped: the identity check finds out."""
    lm, ids, ran = tiny_lm("gpt2"), some_ids(4, 8), []
    first, second = (block.mlp.c_fc for block in lm.model.transformer.h)
    first.register_forward_hook(lambda *_: ran.append(True))
    second.register_forward_hook(lambda module, args, output: output + ran.pop() if ran else output)
    assert levers_of(lm).split is None and "begins at layer 1" in levers_of(lm).refused["begin at a layer"]
    view = lm.ablated("L1.mlp", "zero")
    np.testing.assert_allclose(sweep(lm, ["L1.mlp"], ids, loss()).values[0], view.nll(ids).mean(1).numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("variants", "text"),
    [([], "nothing"), (["L9.mlp"], "nearest"), ([3], "nothing to sweep"), (["L0.H0.pattern"], "knocked_out"), ([[]], "empty")],
)
def test_bad_variants(variants: list[Any], text: str) -> None:
    with pytest.raises(DeclarationError, match=text):
        sweep(tiny_lm("gpt2"), variants, some_ids(), loss())


def test_bad_measures() -> None:
    lm, ids = tiny_lm("gpt2"), some_ids(4, 8)
    with pytest.raises(DeclarationError, match="positions 0 to 7"):
        sweep(lm, ["L0.mlp"], ids, of_logits(lambda logits, ids, rows: logits[:, 0, 0], [8]))
    with pytest.raises(DeclarationError, match="one integer for each"):
        sweep(lm, ["L0.mlp"], ids, last_token_loss([1, 2]))
    with pytest.raises(DeclarationError, match="one before them"):
        loss_at([0])


def test_pace_takes_the_smallest_size_that_is_nearly_the_fastest() -> None:
    pace = Pace(8)
    cost = {1: 1.0, 2: 0.8, 4: 0.79, 8: 0.9}
    for _ in range(9):
        size = pace.size(99)
        pace.took(size, cost[size])
    assert pace.chosen == 2 and pace.size(99) == 2 and pace.size(1) == 1


def test_memory_of_a_pass_does_not_grow_with_the_variants() -> None:
    """The head is shown a part at a time, and no more variants share a pass than the tokens of one allow."""
    lm, ids = tiny_lm("gpt2", n_layer=2), some_ids(4, 8)
    assert lm.vocab == VOCAB
    lm.batch_size = 4
    assert sweep(lm, neurons(lm), ids, loss()).batch == 1
