"""The grammar of sites, what is refused at the boundary, and capture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from claimbench.errors import ClaimbenchError, DeclarationError, InvalidMeasurement, NotApplicable, UsageError
from claimbench.interventions.sites import Site, Where
from claimbench.subjects.lm import LM
from claimbench.subjects.tokens import Tokens

from tiny_models import VOCAB, some_ids, tiny_lm, tiny_model, untouched

IDS = some_ids()


@pytest.fixture(scope="module")
def lm() -> LM:
    return tiny_lm()


@pytest.mark.parametrize(
    "text",
    [
        "L3.H5.z",
        "L3.H1,5.q",
        "L3.G1.k",
        "L3.pattern",
        "L0.post@-1",
        "L3.N17,2.neurons",
        "L1.mlp@0,3",
        "L1.attn@2:5",
        "L1.pre@:4",
        "L1.H0.v@bos",
        "L2.post@separator",
        "L2.post@token=17,19",
    ],
)
def test_sites_read_as_they_are_written(text: str) -> None:
    site = Site.parse(text)
    assert str(site) == text
    assert Site.parse(site) is site
    assert Site.parse(str(site)) == site


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3.5", "names no site: sites are written like L3.H5.z"),
        ("L3", "names no site"),
        ("", "names no site"),
        (3, "3 names no site"),
        ("L3.Hx.z", "names no site"),
        ("L3.H5.zz", "there is no kind 'zz': .*did you mean 'z'"),
        ("L3.patern", "did you mean 'pattern'"),
        ("L3.H5.post", "post has no heads: did you mean 'L3.post'"),
        ("L3.H5.neurons", "neurons has no heads"),
        ("L3.N5.z", "z has no neurons"),
        ("L3.post@last", "'last' names no positions"),
        ("L3.post@1-2", "names no positions"),
    ],
)
def test_what_is_no_site_is_said_with_the_nearest_form(text: Any, message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        Site.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("L2.H1.z", r"L2\.H1\.z: llama has layers 0 to 1; the nearest site is L1\.H1\.z"),
        ("L1.H4.z", r"query heads 0 to 3; the nearest site is L1\.H3\.z"),
        ("L1.G2.k", r"key-value groups 0 to 1; the nearest site is L1\.G1\.k"),
        ("L0.N48.neurons", r"neurons 0 to 47; the nearest site is L0\.N47\.neurons"),
        ([], "an empty set of sites"),
        (["L0.mlp", "L0.mlp"], "L0.mlp is named twice"),
    ],
)
def test_sites_that_the_model_lacks(lm: LM, text: Any, message: str) -> None:
    for ask in (lambda: lm.scaled(text, 2), lambda: lm.patched(text, IDS), lambda: lm.activations(IDS, text)):
        with pytest.raises(DeclarationError, match=message):
            ask()


def test_positions() -> None:
    ids = torch.tensor([[1, 5, 7, 5], [1, 2, 3, 5]])
    tokens = Tokens(np.arange(3, 9), bos=1)
    mask = lambda given: Where.parse(given).mask(ids, tokens).int().tolist()  # noqa: E731
    assert mask(-1) == mask("3") == [[0, 0, 0, 1]] * 2
    assert mask("1:") == mask(slice(1, None)) == [[0, 1, 1, 1]] * 2
    assert mask([0, 2]) == mask("0,2") == [[1, 0, 1, 0]] * 2
    assert mask("bos") == [[1, 0, 0, 0]] * 2
    assert mask("token=5,2") == [[0, 1, 0, 1], [0, 1, 0, 1]]
    assert Where.parse(-1).mask(ids[:, 2:], tokens, start=2).int().tolist() == [[0, 1]] * 2
    for wrong, message in ((4, "positions 0 to 3"), ("4:", "are empty"), ("separator", "no separator token")):
        with pytest.raises(DeclarationError, match=message):
            mask(wrong)
    for nothing in ((), True, 1.5, "x"):
        with pytest.raises(DeclarationError, match="names no positions"):
            Where.parse(nothing)


def test_capture_streams_and_keeps_what_is_asked(lm: LM) -> None:
    lm.batch_size = 4
    ids = IDS.copy()
    ids[:, 0] = 1
    ids[ids == 7] = 8
    ids[[0, 2, 5], [3, 4, 5]] = 7
    whole = lm.activations(ids, ["L0.post", "L1.H2.z", "L1.N3.neurons"])
    assert [tuple(value.shape) for value in whole.values()] == [(6, 12, 32), (6, 12, 1, 8), (6, 12, 1)]
    post = whole[Site.parse("L0.post")]
    for text, wanted in (
        ("@-1", post[:, [-1]]),
        ("@5,0", post[:, [5, 0]]),
        ("@2:4", post[:, 2:4]),
        ("@bos", post[torch.from_numpy(ids == 1)]),
        ("@token=7", post[[0, 2, 5], [3, 4, 5]]),
    ):
        site = Site.parse("L0.post" + text)
        torch.testing.assert_close(lm.activations(ids, site)[site], wanted, atol=0, rtol=0)
    seen: list[tuple[str, slice]] = []
    passes = lm.recorder.forward_passes
    lm.capture(ids, ["L0.mlp", "L1.mlp"], lambda site, values, rows: seen.append((str(site), rows)))
    assert [name for name, _ in seen] == ["L0.mlp", "L1.mlp"] * 2
    assert [rows.stop - rows.start for _, rows in seen] == [4, 4, 2, 2]
    assert lm.recorder.forward_passes - passes == 6
    # Under interventions, after all of them.
    site = Site.parse("L0.mlp")
    torch.testing.assert_close(
        lm.scaled("L0.mlp", 3).activations(ids, site)[site], 3 * lm.activations(ids, site)[site], atol=0, rtol=0
    )
    removed = lm.without([(1, 2)], "zero").activations(ids, "L1.H2.z")[Site.parse("L1.H2.z")]
    assert not removed.any()


_EYE = torch.eye(32)


@pytest.mark.parametrize(
    ("ask", "error", "message"),
    [
        (lambda lm: lm.scaled("L0.mlp", float("nan")), DeclarationError, "finite number"),
        (lambda lm: lm.added("L0.mlp", torch.ones(31)), DeclarationError, r"values \(31,\) do not fit L0.mlp.*\[32\]"),
        (lambda lm: lm.added("L0.mlp", float("inf")), DeclarationError, "finite"),
        (lambda lm: lm.added("L0.mlp", torch.ones(32, dtype=torch.bool)), DeclarationError, "real numbers"),
        (lambda lm: lm.replaced(["L0.mlp", "L1.z"], 1.0), DeclarationError, "hold different shapes"),
        (lambda lm: lm.replaced("L0.mlp", torch.ones(9, 32)).nll(IDS), UsageError, "sequences of 9 tokens"),
        (lambda lm: lm.replaced("L0.mlp", torch.ones(3, 12, 32)).nll(IDS), UsageError, "given for 3 rows; the run has 6"),
        (lambda lm: lm.projected_out("L0.post", torch.ones(32)), DeclarationError, "must be orthonormal"),
        (lambda lm: lm.projected_out("L0.post", torch.ones(0, 32)), DeclarationError, r"\(0, 32\)"),
        (lambda lm: lm.filtered("L0.post", torch.eye(8)), DeclarationError, "width 8; L0.post has 32"),
        (lambda lm: lm.filtered("L0.post", _EYE[:3] * 2), DeclarationError, "orthonormal"),
        (lambda lm: lm.filtered("L0.post", _EYE[[0, 0]]), DeclarationError, "orthonormal"),
        (lambda lm: lm.filtered("L0.pattern", _EYE), DeclarationError, "a pattern is not projected"),
        (lambda lm: lm.ablated("L0.z"), DeclarationError, "head outputs are removed by without"),
        (lambda lm: lm.ablated("L0.mlp", "means"), DeclarationError, "mode 'means' is unknown"),
        (lambda lm: lm.ablated("L0.mlp", "resample"), DeclarationError, "pass rng="),
        (lambda lm: lm.patched("L0.mlp", IDS[:, :9]).nll(IDS), UsageError, r"\(6, 9\) and the run \(6, 12\)"),
        (lambda lm: lm.patched("L0.mlp", IDS[:4]).nll(IDS), UsageError, r"\(4, 12\) and the run \(6, 12\)"),
        (lambda lm: lm.patched("L0.mlp", IDS + VOCAB), UsageError, "ids must be 0 to 60"),
        (lambda lm: lm.patched("L0.mlp", tiny_lm(hidden_size=64)), DeclarationError, "models must be of one shape"),
        (lambda lm: lm.patched("L0.H1.k", tiny_lm(num_key_value_heads=4)), DeclarationError, "one shape"),
        (lambda lm: lm.patched("L1.z", tiny_lm(num_hidden_layers=1)), DeclarationError, "nearest site is L0.z"),
        (
            lambda lm: lm.patched("L0.mlp", LM(tiny_model("llama").bfloat16(), tokens=lm.tokens)),
            DeclarationError,
            "computes in torch.bfloat16 and the model in torch.float32",
        ),
        (lambda lm: lm.knocked_out("L0.z", keys=0), DeclarationError, "edges belong to a pattern"),
        (lambda lm: lm.knocked_out("L0.pattern@3", keys=0), DeclarationError, "positions are given by queries="),
        (lambda lm: lm.knocked_out("L0.pattern", queries=3, keys=5).nll(IDS), UsageError, "must not lie after"),
        (lambda lm: lm.knocked_out("L0.pattern", keys=12).nll(IDS), DeclarationError, "positions 0 to 11"),
        (lambda lm: lm.knocked_out("L0.pattern", queries=0).nll(IDS), InvalidMeasurement, "nothing left to attend to"),
        (lambda lm: lm.knocked_out("L0.pattern", pairs=np.ones((12, 12), bool)), DeclarationError, "in the future"),
        (lambda lm: lm.knocked_out("L0.pattern", pairs=np.ones((12, 12))), DeclarationError, "must be bool"),
        (lambda lm: lm.knocked_out("L0.pattern", pairs=np.zeros((12, 12), bool)), DeclarationError, "empty set of edges"),
        (lambda lm: lm.knocked_out("L0.pattern", 1, 0, np.eye(12) > 0), DeclarationError, "not by both"),
        (
            lambda lm: lm.knocked_out("L0.pattern", pairs=np.tri(9, k=-1) > 0).nll(IDS),
            UsageError,
            "for 9 tokens; the sequences have 12",
        ),
        (
            lambda lm: lm.knocked_out("L0.pattern", pairs=np.tile(np.tri(12, k=-1) > 0, (3, 1, 1))).nll(IDS),
            UsageError,
            "given for 3 rows; the run has 6",
        ),
        (lambda lm: lm.clamped("L0.pattern", 1.5, keys=0), DeclarationError, "from 0 to 1; 1.5"),
        (lambda lm: lm.clamped("L0.pattern", 0.6, keys="0:2", rescale=True).nll(IDS), UsageError, "leave nothing"),
        (lambda lm: lm.replaced("L0.pattern", torch.ones(12, 12)), DeclarationError, "none may lie in the future"),
        (lambda lm: lm.replaced("L0.pattern", -_EYE), DeclarationError, "at least 0"),
        (lambda lm: lm.added("L0.pattern", _EYE), DeclarationError, "a pattern is replaced by"),
        (lambda lm: lm.without_direct("L0.post"), DeclarationError, "only attn and mlp"),
        (lambda lm: lm.path_patched("L1.H0.z", "L0.q", IDS), DeclarationError, "no path leads there"),
        (lambda lm: lm.path_patched("L0.H0.z", "L0.q", IDS), DeclarationError, "no path leads there"),
        (lambda lm: lm.path_patched("L0.post", "L1.q", IDS), DeclarationError, "paths start at head outputs"),
        (lambda lm: lm.without_by_row(np.ones((6, 2, 3), bool), "zero"), DeclarationError, r"4 heads\]; .*\(6, 2, 3\)"),
        (lambda lm: lm.without_by_row(np.ones((6, 2, 4)), "zero"), DeclarationError, "is bool"),
        (lambda lm: lm.without_by_row(np.zeros((6, 2, 4), bool), "zero"), DeclarationError, "the mask names none"),
        (lambda lm: lm.without_by_row(np.ones((5, 2, 4), bool), "zero").nll(IDS), UsageError, "5 rows; the run has 6"),
        (lambda lm: lm.without_groups([(0, 2)], "zero"), DeclarationError, "groups 0 to 1"),
        (lambda lm: lm.scaled("L0.mlp@token=60", 2).nll(np.minimum(IDS, 50)), UsageError, "no sequence has a token"),
    ],
)
def test_bad_input_is_named(lm: LM, ask: Any, error: type[ClaimbenchError], message: str) -> None:
    with pytest.raises(error, match=message):
        ask(lm)
    assert untouched(lm.model) == []


def test_what_a_family_cannot_bear_is_refused_by_name() -> None:
    falcon = tiny_lm("falcon")
    for ask in (
        lambda: falcon.patched("L0.H1.k", IDS),
        lambda: falcon.knocked_out("L0.pattern", keys=0),
        lambda: falcon.path_patched("L0.H1.z", "L1.q", IDS),
    ):
        with pytest.raises(NotApplicable, match="falcon computes its attention outside"):
            ask()
    with pytest.raises(NotApplicable, match="gpt_oss has no linear map that its MLP ends with"):
        tiny_lm("gpt_oss").scaled("L0.neurons", 2)
    for family in ("mamba", "rwkv", "jamba"):
        with pytest.raises(NotApplicable, match=r"attention heads|attends 1 times"):
            tiny_lm(family).scaled("L0.post", 2)
