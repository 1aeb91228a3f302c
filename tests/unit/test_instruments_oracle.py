"""Instruments at every kind of site, against GPT-2 and Llama (grouped queries) written out plainly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from claimbench.interventions.heads import derangement
from claimbench.interventions.sites import Site
from claimbench.subjects.lm import LM

from plain_models import forward, recorded
from tiny_models import FALLBACK, HEADS, INTERFACE, projection, some_ids, tiny_lm, untouched

TOLERANCE = 1e-5
BOTH = ("gpt2", "llama")
PER_HEAD = ("q", "k", "v", "z", "pattern")
STREAM = ("pre", "attn", "mlp", "post")
IDS, OTHER = some_ids(), some_ids(seed=9)


@pytest.fixture(params=BOTH)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def lm(family: str) -> LM:
    found = tiny_lm(family)
    found.batch_size = 4  # rows are split unevenly
    return found


def same(view: LM, wanted: torch.Tensor, moves: bool = True) -> None:
    """The view gives these logits, another thing than the plain model, says so, and leaves nothing behind."""
    base = view.plain()
    plain = base.logits(IDS)
    found = view.logits(IDS)
    assert float((found - wanted).abs().max()) <= TOLERANCE * float(wanted.abs().max())
    assert (float((found - plain).abs().max()) > 1e-3) == moves
    receipt = view.recorder.receipts[-1]
    assert receipt.intervention == str(view.changes[-1])
    assert receipt.wired and receipt.fired and receipt.neutral != moves
    assert untouched(view.model) == []
    assert torch.equal(base.logits(IDS), plain)


def at(kind: str, layer: int, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """An edit of the oracle at one place; `change` may write into what it gets."""
    return lambda where, number, values: change(values.clone()) if (where, number) == (kind, layer) else values


def put(index: Any, values: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    def change(found: torch.Tensor) -> torch.Tensor:
        found[index] = values
        return found

    return change


def test_the_oracle_is_the_model(lm: LM, family: str) -> None:
    torch.testing.assert_close(forward(family, lm.model, IDS), lm.logits(IDS), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("kind", PER_HEAD)
def test_heads_parts_are_read_scaled_and_patched(lm: LM, family: str, kind: str, layer: int) -> None:
    mine, theirs = (recorded(family, lm.model, ids)[kind, layer] for ids in (IDS, OTHER))
    found = lm.activations(IDS, f"L{layer}.H2.{kind}")[Site.parse(f"L{layer}.H2.{kind}")]
    torch.testing.assert_close(found[:, :, 0], mine[:, 2], atol=1e-5, rtol=1e-5)
    heads = [1, 2]
    logits = forward(family, lm.model, IDS, at(kind, layer, put((slice(None), heads), theirs[:, heads])))
    same(lm.patched(f"L{layer}.H1,2.{kind}", OTHER), logits)
    logits = forward(family, lm.model, IDS, at(kind, layer, put((slice(None), 3, 5), theirs[:, 3, 5])))
    same(lm.patched(f"L{layer}.H3.{kind}@5", OTHER), logits)
    if kind != "pattern":
        logits = forward(family, lm.model, IDS, at(kind, layer, lambda x: put((slice(None), 0), x[:, 0] * 0.3)(x)))
        same(lm.scaled(f"L{layer}.H0.{kind}", 0.3), logits)


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("kind", STREAM)
def test_the_stream_is_read_and_changed(lm: LM, family: str, kind: str, layer: int) -> None:
    mine, theirs = (recorded(family, lm.model, ids)[kind, layer] for ids in (IDS, OTHER))
    site, rng = f"L{layer}.{kind}", torch.Generator().manual_seed(0)
    torch.testing.assert_close(lm.activations(IDS, site)[Site.parse(site)], mine, atol=1e-5, rtol=1e-5)
    vector = torch.randn(32, generator=rng)
    basis = torch.linalg.qr(torch.randn(32, 3, generator=rng)).Q.T
    some = (slice(None), [0, 11])

    def wanted(change: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        return forward(family, lm.model, IDS, at(kind, layer, change))

    same(lm.patched(f"{site}@0,-1", OTHER), wanted(put(some, theirs[some])))
    same(lm.added(site, vector), wanted(lambda x: x + vector))
    same(lm.added(f"{site}@2:4", vector), wanted(lambda x: put(np.s_[:, 2:4], x[:, 2:4] + vector)(x)))
    same(lm.replaced(f"{site}@3", vector), wanted(put(np.s_[:, 3], vector)))
    same(lm.replaced(site, mine.flip(0)), wanted(lambda x: mine.flip(0)))
    same(lm.projected_out(site, basis), wanted(lambda x: x - x @ basis.T @ basis))
    same(lm.filtered(site, basis), wanted(lambda x: x @ basis.T @ basis))
    same(lm.ablated(site, "mean"), wanted(lambda x: mine.mean((0, 1)).expand_as(x)))
    same(lm.ablated(f"{site}@1,4", "mean"), wanted(put(np.s_[:, [1, 4]], mine[:, [1, 4]].mean((0, 1)))))
    same(lm.ablated(site, "position mean"), wanted(lambda x: mine.mean(0).expand_as(x)))
    seed = int(np.random.default_rng(7).integers(2**63))
    same(lm.ablated(site, "resample", np.random.default_rng(7)), wanted(lambda x: mine[derangement(6, seed)]))
    if kind in ("attn", "mlp"):
        same(lm.ablated(site, "zero"), wanted(torch.zeros_like))


def test_neurons(lm: LM, family: str) -> None:
    theirs = recorded(family, lm.model, OTHER)["neurons", 1]
    wanted = lambda change: forward(family, lm.model, IDS, at("neurons", 1, change))  # noqa: E731
    some = np.s_[:, :, [3, 17]]
    same(lm.replaced("L1.N3,17.neurons", 2.5), wanted(put(some, 2.5)))
    same(lm.scaled("L1.N3,17.neurons", -2), wanted(lambda x: put(some, x[some] * -2)(x)))
    same(lm.ablated("L1.N3,17.neurons", "zero"), wanted(put(some, 0)))
    same(lm.patched("L1.N3,17.neurons", OTHER), wanted(put(some, theirs[some])))


def test_position_means_and_groups_of_heads(lm: LM, family: str) -> None:
    mine = recorded(family, lm.model, IDS)["z", 0]
    heads = [2, 3] if family == "llama" else [1]
    wanted = forward(family, lm.model, IDS, at("z", 0, put(np.s_[:, heads], mine[:, heads].mean(0))))
    found = lm.without([(0, head) for head in heads], "position mean").logits(IDS)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    assert torch.equal(lm.without_groups([(0, 1)], "position mean").logits(IDS), found)
    theirs = recorded(family, lm.model, OTHER)["k", 1]
    wanted = forward(family, lm.model, IDS, at("k", 1, put(np.s_[:, heads], theirs[:, heads])))
    same(lm.patched("L1.G1.k", OTHER), wanted)


@pytest.mark.parametrize("mode", ["zero", "mean", "position mean", "resample"])
def test_heads_by_row(lm: LM, family: str, mode: str) -> None:
    """Row i of one batch loses what it alone is said to lose."""
    mask = np.zeros((6, 2, HEADS), dtype=bool)
    mask[0, 0, 1] = mask[1, 1, 3] = mask[2, 0, 0] = mask[2, 1, 0] = mask[5, 0, 2] = True
    view = lm.without_by_row(mask, mode, np.random.default_rng(3))
    wanted = lm.logits(IDS)
    for row in (0, 1, 2, 5):
        lost = [(int(layer), int(head)) for layer, head in np.argwhere(mask[row])]
        wanted[row] = lm.without(lost, mode, np.random.default_rng(3)).logits(IDS)[row]
    same(view, wanted)


def test_edges_are_cut_and_held(lm: LM, family: str) -> None:
    ids = torch.from_numpy(IDS)
    wanted = lambda kind, change: forward(family, lm.model, IDS, at(kind, 1, change))  # noqa: E731
    same(lm.knocked_out("L1.H2.pattern", queries=-1, keys="0:3"), wanted("scores", put(np.s_[:, 2, 11, :3], -torch.inf)))
    pairs = np.zeros((12, 12), dtype=bool)
    pairs[5, 2] = pairs[7, 7] = True
    same(lm.knocked_out("L1.pattern", pairs=pairs), wanted("scores", put(np.s_[:, :, pairs], -torch.inf)))
    token = int(IDS[0, 4])
    there = (ids == token)[:, None, None, :] & ~torch.eye(12, dtype=torch.bool)
    there[..., 0, 0] = False
    class_pairs = there[:, 0].clone().tril()
    class_pairs[:, 0, 0] = False
    same(lm.knocked_out("L1.pattern", pairs=class_pairs), wanted("scores", lambda x: x.masked_fill(there, -torch.inf)))
    to_token = lm.knocked_out("L1.H1.pattern", queries="5:", keys=f"token={token}")
    gone = (ids == token)[:, None, :].expand(6, 12, 12).clone()
    gone[:, :5] = False

    def cut(scores: torch.Tensor) -> torch.Tensor:
        scores[:, 1] = scores[:, 1].masked_fill(gone, -torch.inf)
        return scores

    same(to_token, wanted("scores", cut))
    same(lm.clamped("L1.H0.pattern", 0.7, queries=8, keys=3), wanted("pattern", put(np.s_[:, 0, 8, 3], 0.7)))

    def rescaled(pattern: torch.Tensor) -> torch.Tensor:
        row = pattern[:, 0, 8].clone()
        rest = 1 - row[:, 3]
        row *= (0.3 / rest)[:, None]
        row[:, 3] = 0.7
        return put(np.s_[:, 0, 8], row)(pattern)

    same(lm.clamped("L1.H0.pattern", 0.7, queries=8, keys=3, rescale=True), wanted("pattern", rescaled))
    uniform = torch.ones(12, 12).tril() / torch.arange(1, 13)[:, None]
    same(lm.replaced("L1.H3.pattern", uniform), wanted("pattern", put(np.s_[:, 3], uniform)))


def test_values_from_a_view_and_from_another_model(lm: LM, family: str) -> None:
    """K-composition: the keys of one head as they are without an earlier head, and everything else plain."""
    removed = forward(family, lm.model, IDS, at("z", 0, put(np.s_[:, 1], 0)))
    assert removed is not None
    kept: dict[tuple[str, int], torch.Tensor] = {}

    def without(kind: str, layer: int, values: torch.Tensor) -> torch.Tensor:
        values = put(np.s_[:, 1], 0)(values.clone()) if (kind, layer) == ("z", 0) else values
        return kept.setdefault((kind, layer), values)

    forward(family, lm.model, IDS, without)
    for kind in ("q", "k", "v"):
        wanted = forward(family, lm.model, IDS, at(kind, 1, put(np.s_[:, 3], kept[kind, 1][:, 3])))
        same(lm.patched(f"L1.H3.{kind}", lm.without([(0, 1)], "zero")), wanted)
    other = tiny_lm(family, seed=4)
    theirs = recorded(family, other.model, IDS)["post", 0]
    same(lm.patched("L0.post", other), forward(family, lm.model, IDS, at("post", 0, lambda _: theirs)))
    theirs = recorded(family, other.model, OTHER)["z", 1]
    same(
        lm.patched("L1.H2.z", (other, OTHER)),
        forward(family, lm.model, IDS, at("z", 1, put(np.s_[:, 2], theirs[:, 2]))),
    )


def test_direct_effect(lm: LM, family: str) -> None:
    """The end of the stream loses what layer 0 added to it; layer 1 still read it."""
    mine, theirs = recorded(family, lm.model, IDS), recorded(family, lm.model, OTHER)
    wanted = forward(family, lm.model, IDS, at("post", 1, lambda x: x - mine["attn", 0] - mine["mlp", 0]))
    same(lm.without_direct(["L0.attn", "L0.mlp"]), wanted)
    wanted = forward(family, lm.model, IDS, at("post", 1, lambda x: x - mine["mlp", 1] + theirs["mlp", 1]))
    same(lm.without_direct("L1.mlp", OTHER), wanted)
    wanted = forward(family, lm.model, IDS, at("post", 1, lambda x: put(np.s_[:, 11], x[:, 11] - mine["attn", 0][:, 11])(x)))
    same(lm.without_direct("L0.attn@-1"), wanted)


@pytest.mark.parametrize("receiver", ["L1.H2.q", "L1.H2.k", "L1.H0.v", "logits"])
@pytest.mark.parametrize("through_mlps", [False, True])
def test_path_patching(lm: LM, family: str, receiver: str, through_mlps: bool) -> None:
    """Two passes by hand: sender patched with all else held at its plain value; then only the receiver patched."""
    mine, theirs = recorded(family, lm.model, IDS), recorded(family, lm.model, OTHER)
    seen: dict[tuple[str, int], torch.Tensor] = {}

    def carry(kind: str, layer: int, values: torch.Tensor) -> torch.Tensor:
        if kind == "z":
            values = mine["z", layer].clone()
            if layer == 0:
                values[:, 1] = theirs["z", 0][:, 1]
        if kind == "mlp" and not through_mlps:
            values = mine["mlp", layer]
        return seen.setdefault((kind, layer), values)

    direct = forward(family, lm.model, IDS, carry)
    if receiver == "logits":
        wanted = direct
    else:
        site = Site.parse(receiver)
        assert site.index is not None
        head = site.index[0]
        wanted = forward(family, lm.model, IDS, at(site.kind, 1, put(np.s_[:, head], seen[site.kind, 1][:, head])))
    same(lm.path_patched("L0.H1.z", receiver, OTHER, through_mlps), wanted)


def test_composition_in_the_order_of_writing(lm: LM, family: str) -> None:
    wanted = forward(family, lm.model, IDS, at("mlp", 0, lambda x: x * 2 + 1))
    same(lm.scaled("L0.mlp", 2).added("L0.mlp", 1.0), wanted)
    same(lm.added("L0.mlp", 1.0).scaled("L0.mlp", 2), forward(family, lm.model, IDS, at("mlp", 0, lambda x: (x + 1) * 2)))
    # Heads are removed first, whatever the order of writing.
    lost = forward(family, lm.model, IDS, at("z", 1, lambda x: put(np.s_[:, 1], 0)(x) + 1))
    same(lm.added("L1.z", 1.0).without([(1, 1)], "zero"), lost)
    same(lm.without([(1, 1)], "zero").added("L1.z", 1.0), lost)


@pytest.mark.parametrize("family", INTERFACE + FALLBACK)
def test_every_family_against_hooks_on_its_output_projection(family: str) -> None:
    """Scaling heads, patching them, and what is added to the stream, by a hook on a module named by hand."""
    lm = tiny_lm(family)
    lm.batch_size = 4
    plain = lm.logits(IDS)
    part = slice(lm.instrument.head_dim, 2 * lm.instrument.head_dim)
    inputs: dict[str, torch.Tensor] = {}

    def run(ids: np.ndarray, change: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        hook = lambda _, args: (change(args[0].clone()), *args[1:])  # noqa: E731
        handle = projection(lm, family, 1).register_forward_pre_hook(hook)
        try:
            with torch.no_grad():
                return lm.model(input_ids=torch.from_numpy(ids), use_cache=False).logits.float()
        finally:
            handle.remove()

    run(OTHER, lambda x: inputs.setdefault("other", x))
    same(lm.scaled("L1.H1.z", 3), run(IDS, lambda x: put(np.s_[..., part], x[..., part] * 3)(x)))
    same(lm.patched("L1.H1.z", OTHER), run(IDS, put(np.s_[..., part], inputs["other"][..., part])))
    for site in ("L0.attn", "L1.mlp", "L0.pre@3", "L1.post", "L0.post@-1"):
        assert torch.equal(lm.patched(site, lm).logits(IDS), plain)
        assert torch.equal(lm.scaled(site, 1.0).logits(IDS), plain)
        assert lm.recorder.receipts[-1].neutral
        assert float((lm.patched(site, OTHER).logits(IDS) - plain).abs().max()) > 1e-3
    here = lm.activations(IDS, ["L0.mlp", "L1.mlp", "L1.post"])
    mlps, end = [here[Site.parse(f"L{layer}.mlp")] for layer in (0, 1)], here[Site.parse("L1.post")]
    same(lm.without_direct(["L0.mlp", "L1.mlp"]), lm.replaced("L1.post", end - mlps[0] - mlps[1]).logits(IDS))
    every = [f"L0.{kind}" for kind in ("attn", "mlp")]
    same(lm.patched(["L0.pre", *every], OTHER), lm.patched("L0.post", OTHER).logits(IDS))
    assert untouched(lm.model) == []
