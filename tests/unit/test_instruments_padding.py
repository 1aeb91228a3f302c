"""Batches whose rows have unequal lengths: a position means the token, and padding is nothing, on whichever side it is."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from claimbench.errors import ClaimbenchError, DeclarationError, UsageError
from claimbench.interventions.padding import Batch
from claimbench.interventions.sites import Site
from claimbench.subjects.lm import LM
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tiny_models import some_ids, tiny_lm, untouched

few = settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
FAMILIES = ("gpt2", "llama", "mistral", "gemma2", "opt", "bloom")
LENGTHS = (5, 9, 7, 9)


@cache
def subject(family: str) -> LM:
    return tiny_lm(family)


def padded(side: str, lengths: tuple[int, ...] = LENGTHS, seed: int = 0, columns: int | None = None) -> dict[str, Any]:
    """A tokenizer's batch. What stands in the padding is drawn too: it must not matter."""
    columns = columns or max(lengths)
    ids = some_ids(len(lengths), columns, seed + 50)
    mask = np.zeros_like(ids)
    for row, length in enumerate(lengths):
        place = slice(0, length) if side == "right" else slice(columns - length, columns)
        ids[row, place] = some_ids(1, length, seed + row)[0]
        ids[row, place.start] = 1
        mask[row, place] = 1
    return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}


def rows_of(batch: dict[str, Any]) -> list[torch.Tensor]:
    """The rows by themselves, [1, length] each."""
    pairs = zip(batch["input_ids"], batch["attention_mask"].bool(), strict=True)
    return [ids[real][None] for ids, real in pairs]


#: Interventions that act on each row by itself; `source` is a batch of the same lengths, or one row of it.
VIEWS: dict[str, Callable[[LM, Any], LM]] = {
    "heads": lambda lm, _: lm.without([(0, 1), (1, 2)], "zero"),
    "stream": lambda lm, _: lm.scaled("L0.mlp", 2.0).added("L1.pre@1,-2", 0.7),
    "last": lambda lm, _: lm.replaced("L0.post@-1", torch.linspace(-1, 1, 32)).scaled("L1.attn@-3:", 0.5),
    "range": lambda lm, _: lm.scaled("L0.H1.z@1:-1", -1).ablated("L1.mlp@3", "zero"),
    "patched": lambda lm, source: lm.patched(["L0.post@-1", "L1.H2.z@2"], source),
    "frozen": lambda lm, _: lm.frozen("L1.H0,1.z").scaled("L0.mlp", 3),
    "classes": lambda lm, source: lm.patched("L1.mlp@2:", source).scaled("L1.mlp@bos", 2),
}
ATTENTION: dict[str, Callable[[LM, Any], LM]] = {
    "queries and keys": lambda lm, source: lm.scaled("L0.H1.q@-1", 3).patched("L1.G1.k", source).scaled("L0.H3.v@1", 0),
    "edges": lambda lm, _: lm.knocked_out("L0.pattern", queries=-1, keys="1:3").knocked_out("L1.H2.pattern", "2:", "bos"),
    "pairs": lambda lm, _: lm.knocked_out("L0.pattern", pairs=np.eye(9, k=-2) > 0),
    "held weights": lambda lm, _: lm.clamped("L1.H1.pattern", 0.4, queries=-1, keys=-2, rescale=True),
    "pattern": lambda lm, source: lm.patched("L1.H1.pattern", source),
    "path": lambda lm, source: lm.path_patched("L0.H1.z", "L1.H2.q", source),
}


def cut(view: LM, ids: torch.Tensor, name: str, lm: LM, source: torch.Tensor) -> LM:
    """The same view for one row, whose sources are rows too."""
    if name == "pairs":
        return lm.knocked_out("L0.pattern", pairs=np.eye(ids.shape[1], k=-2) > 0)
    return {**VIEWS, **ATTENTION}[name](lm, source)


@few
@given(st.sampled_from(FAMILIES), st.sampled_from([*VIEWS, *ATTENTION]), st.sampled_from(["left", "right"]), st.integers(0, 99))
@pytest.mark.parametrize("way", ["measured", "held"])
def test_a_padded_batch_is_its_rows(way: str, family: str, name: str, side: str, seed: int) -> None:
    """Left and right, through `logits` and while the model itself is called with a mask, as lm-eval does."""
    if family == "bloom" and name in ATTENTION:
        name = "patched"
    lm = subject(family)
    lm.batch_size = 3
    batch, source = padded(side, seed=seed), padded("left" if seed % 2 else "right", seed=seed + 7)
    view = {**VIEWS, **ATTENTION}[name](lm, source)
    real = batch["attention_mask"].bool()
    if way == "measured":
        found = view.logits(batch)
        assert not found[~real].any()
    else:
        positions = (real.cumsum(1) - 1).clamp_min(0)
        with view.held() as model, torch.no_grad():
            found = model(**batch, **({} if family in ("bloom", "opt") else {"position_ids": positions})).logits
    for row, (ids, other) in enumerate(zip(rows_of(batch), rows_of(source), strict=True)):
        wanted = cut(view, ids, name, lm, other).logits(ids)
        torch.testing.assert_close(found[row][real[row]], wanted[0], atol=3e-5, rtol=1e-4)
    assert float((found - lm.logits(batch))[real].abs().max()) > 1e-3, "the intervention did something"
    assert untouched(lm.model) == []


@pytest.mark.parametrize("family", ["gpt2", "llama", "mamba"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_losses_stand_in_the_columns_that_were_given(family: str, side: str) -> None:
    lm, batch = subject(family), padded(side, columns=11)
    logits, nll = lm.logits(batch), lm.nll(batch)
    assert logits.shape[:2] == (4, 11) and nll.shape == (4, 10)
    real = batch["attention_mask"].bool()
    pairs = real[:, 1:] & real[:, :-1]
    for row, ids in enumerate(rows_of(batch)):
        torch.testing.assert_close(nll[row][pairs[row]], lm.nll(ids)[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(logits[row][real[row]], lm.logits(ids)[0], atol=1e-5, rtol=1e-5)
    assert not nll[~pairs].any()
    batch["input_ids"][~real] = -100  # no token at all
    torch.testing.assert_close(lm.nll(batch), nll, atol=0, rtol=0)
    full = {"input_ids": some_ids(), "attention_mask": np.ones((6, 12))}
    assert torch.equal(lm.logits(full), lm.logits(some_ids()))


@pytest.mark.parametrize("side", ["left", "right"])
def test_what_is_captured_is_by_token(side: str) -> None:
    lm, batch = tiny_lm("llama"), padded(side)
    sites = ["L0.post", "L1.H2.z@-1", "L1.mlp@1,3", "L0.attn@2:-1", "L1.neurons@bos", "L1.H1.pattern"]
    found = lm.activations(batch, sites)
    patterns: dict[int, torch.Tensor] = {}
    lm.attend(batch, lambda layer, pattern, rows: patterns.__setitem__(layer, pattern.clone()))
    for row, (ids, length) in enumerate(zip(rows_of(batch), LENGTHS, strict=True)):
        wanted = lm.activations(ids, sites)
        close = lambda mine, theirs: torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)  # noqa: E731
        post, last, some, span, bos, pattern = (found[Site.parse(site)] for site in sites)
        close(post[row, :length], wanted[Site.parse("L0.post")][0])
        assert not post[row, length:].any()
        close(last[row], wanted[Site.parse("L1.H2.z@-1")][0])
        close(some[row], wanted[Site.parse("L1.mlp@1,3")][0])
        close(span[row, : length - 3], wanted[Site.parse("L0.attn@2:-1")][0])
        assert not span[row, length - 3 :].any()
        close(bos[row], wanted[Site.parse("L1.neurons@bos")][0])
        close(pattern[row, :length, :, :length], wanted[Site.parse("L1.H1.pattern")][0])
        close(patterns[1][row, 1, :length, :length], pattern[row, :length, 0, :length])
        assert not patterns[1][row, :, length:].any()


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("way", ["measured", "held"])
def test_means_leave_padding_out_and_donors_have_the_length(side: str, way: str) -> None:
    lm = tiny_lm("llama")
    batch = padded(side, (6, 8, 6, 8, 8))
    z, mlp = Site.parse("L1.z"), Site.parse("L0.mlp")
    parts = [lm.activations(ids, [z, mlp]) for ids in rows_of(batch)]
    mean = torch.cat([part[z][0, :, 1] for part in parts]).mean(0)
    by_place = torch.stack([torch.stack([p[mlp][0, at] for p in parts if p[mlp].shape[1] > at]).mean(0) for at in range(8)])
    views = (
        (lm.without([(1, 1)], "mean"), lambda ids: lm.replaced("L1.H1.z", mean).logits(ids)),
        (lm.ablated("L0.mlp", "position mean"), lambda ids: lm.replaced("L0.mlp", by_place[: ids.shape[1]]).logits(ids)),
    )
    real = batch["attention_mask"].bool()

    def logits(view: LM) -> torch.Tensor:
        if way == "measured":
            return view.logits(batch)
        with view.held() as model, torch.no_grad():
            return model(**batch, position_ids=(real.cumsum(1) - 1).clamp_min(0)).logits

    for view, alone in views:
        found = logits(view)
        for row, ids in enumerate(rows_of(batch)):
            torch.testing.assert_close(found[row][real[row]], alone(ids)[0], atol=1e-5, rtol=1e-4)
    found = logits(lm.without([(1, 1)], "resample", np.random.default_rng(3)))
    rows = rows_of(batch)
    torch.testing.assert_close(found[0][real[0]], lm.patched("L1.H1.z", rows[2]).logits(rows[0])[0], atol=1e-5, rtol=1e-4)
    with pytest.raises(UsageError, match="row 0 alone has 5 tokens"):
        lm.without([(1, 1)], "resample", np.random.default_rng(3)).logits(padded(side))


def test_values_are_by_token() -> None:
    lm = subject("llama")
    values = torch.randn(4, 9, 32, generator=torch.Generator().manual_seed(0))
    for side in ("left", "right"):
        batch = padded(side, columns=12)
        real = batch["attention_mask"].bool()
        each, one = lm.added("L0.post", values).logits(batch), lm.added("L0.post", values[0]).logits(batch)
        put_back = lm.replaced("L0.mlp", lm.activations(batch, "L0.mlp")[Site.parse("L0.mlp")]).logits(batch)
        torch.testing.assert_close(put_back, lm.logits(batch), atol=1e-5, rtol=1e-5)
        for row, ids in enumerate(rows_of(batch)):
            length = ids.shape[1]
            for found, value in ((each, values[row]), (one, values[0])):
                wanted = lm.added("L0.post", value[:length]).logits(ids)[0]
                torch.testing.assert_close(found[row][real[row]], wanted, atol=1e-5, rtol=1e-4)
        with pytest.raises(UsageError, match="sequences of 8 tokens; these have 9"):
            lm.added("L0.post", values[0, :8]).logits(batch)


@pytest.mark.parametrize("family", ["gpt2", "llama", "falcon"])
@pytest.mark.parametrize("when", ["every step", "prompt"])
def test_prompts_of_unequal_length_generate_as_each_alone(family: str, when: str) -> None:
    lm = subject(family)
    options: dict[str, Any] = dict(max_new_tokens=4, do_sample=False, pad_token_id=0, eos_token_id=None)
    views = [lm, lm.scaled("L0.mlp@-1", 3), lm.scaled("L1.attn@1:", -1)]
    if family != "falcon":
        views += [lm.knocked_out("L0.pattern", queries="1:", keys=0), lm.scaled("L0.H3.v@1", -2)]
    for side in ("left", "right"):
        batch = padded(side, (4, 7, 5))
        for view in views:
            found = view.generate(batch, when, **options)
            assert found.shape == (3, 11)
            for row, ids in enumerate(rows_of(batch)):
                assert torch.equal(found[row, 7 - ids.shape[1] :], view.generate(ids, when, **options)[0]), str(view.changes)
        beams = lm.scaled("L0.mlp@-1", 3).generate(batch, when, **options, num_beams=2)
        for row, ids in enumerate(rows_of(batch)):
            alone = lm.scaled("L0.mlp@-1", 3).generate(ids, when, **options, num_beams=2)
            assert torch.equal(beams[row, 7 - ids.shape[1] :], alone[0])


def test_gradients_of_a_padded_batch_are_those_of_its_rows() -> None:
    lm, batch = tiny_lm("llama"), padded("left")
    real = batch["attention_mask"].bool()
    vectors = [torch.zeros(32, requires_grad=True) for _ in range(2)]
    with lm.added("L0.post@-2", vectors[0]).held() as model:
        model(**batch).logits[real].sum().backward()
    with lm.added("L0.post@-2", vectors[1]).held() as model:
        for ids in rows_of(batch):
            model(input_ids=ids).logits.sum().backward()
    torch.testing.assert_close(vectors[0].grad, vectors[1].grad, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"attention_mask": torch.ones(4, 8)}, UsageError, r"\(4, 8\) was given for ids \(4, 9\)"),
        ({"attention_mask": torch.full((4, 9), 0.5)}, UsageError, "0 for padding and 1 for tokens"),
        ({"attention_mask": torch.zeros(4, 9, dtype=torch.long)}, UsageError, "row 0 has no token at all"),
        ({"attention_mask": torch.tensor([[1, 0, 1] * 3] * 4)}, UsageError, "row 0 has holes"),
        ({"input_ids": torch.full((4, 9), 99)}, UsageError, "ids must be 0 to 60; 99"),
        ({"input_ids": torch.ones(9, dtype=torch.long)}, UsageError, r"integers \[n, t\]"),
    ],
)
def test_masks_that_say_nothing_are_refused(change: dict[str, Any], error: type[ClaimbenchError], message: str) -> None:
    lm = subject("llama")
    for ask in (lm.logits, lambda ids: lm.patched("L0.post", ids), lm.generate):
        with pytest.raises(error, match=message):
            ask({**padded("right"), **change})
    with pytest.raises(UsageError, match="holds input_ids and attention_mask; input_ids given"):
        lm.nll({"input_ids": some_ids()})


def test_places_that_the_shortest_row_lacks_are_refused() -> None:
    lm, batch = subject("llama"), padded("left")
    for at in (5, -6):
        with pytest.raises(DeclarationError, match=f"position {at} is out of range: the shortest sequence has positions 0 to 4"):
            lm.scaled(f"L0.mlp@{at}", 2).logits(batch)
    with pytest.raises(UsageError, match=r"\(4, 9\) with 4 to 9 tokens a row and the run \(4, 9\) with 5 to 9"):
        lm.patched("L0.mlp", padded("right", (4, 9, 7, 9))).logits(batch)
    with pytest.raises(UsageError, match="for 8 tokens; the sequences have 9"):
        lm.knocked_out("L0.pattern", pairs=np.eye(8, k=-2) > 0).logits(batch)


def test_token_order_and_back() -> None:
    batch = padded("left", (2, 4))
    turned = Batch.masked(batch["input_ids"], batch["attention_mask"])
    assert torch.equal(turned.tokens[0, :2], batch["input_ids"][0, 2:])
    assert torch.equal(turned.back(turned.tokens), batch["input_ids"])
    assert turned.real is not None and turned.real.tolist() == [[True, True, False, False], [True] * 4]
    assert torch.equal(turned.compact().leftward().ids[1], batch["input_ids"][1])
