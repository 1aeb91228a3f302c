"""The hand-written organisms do exactly what their docstrings say, measured with stock transformers alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from claimbench.errors import DeclarationError
from claimbench.subjects.construct import Construction
from claimbench.subjects.construct_heads import (
    COHERENCE,
    SIDELOBE,
    bystanders,
    position_codes,
    shift,
    token_codes,
)
from claimbench.subjects.family import Built, families, family, load_organisms
from claimbench.subjects.lm import LM
from claimbench.subjects.shipped import shipped_root
from scipy.stats import spearmanr

NAMES = [
    "constructed-induction-head",
    "constructed-graded-heads",
    "constructed-prefix-heads",
    "constructed-mirror-head",
    "constructed-reverse-head",
]
#: Nets of other tasks or depths: test_labels_clamped.py, test_copy_heads.py, test_steering.py.
ELSEWHERE = {
    "constructed-composed-heads",
    "constructed-graded-copying",
    "constructed-carried-copying",
    "constructed-task-codes",
    "constructed-one-head",
}
SEEDS = [0, 1, 10]
Heads = list[tuple[int, int]]


@pytest.fixture(scope="module", autouse=True)
def organisms() -> None:
    load_organisms([shipped_root() / "fixtures" / "organisms"])


@cache
def built(name: str, seed: int) -> Built:
    made = family(name).make(seed)
    made.model.set_attn_implementation("eager")  # so that attention weights can be asked for
    return made


def forward(model: Any, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Logits [n, t, vocab], NLL of the next token [n, t - 1], attention [n, heads, t, t] by layer."""
    with torch.no_grad():
        out = model(torch.from_numpy(ids), output_attentions=True)
        nll = -out.logits[:, :-1].log_softmax(-1).gather(2, torch.from_numpy(ids[:, 1:, None]))[..., 0]
    return out.logits.numpy(), nll.numpy(), [a.numpy() for a in out.attentions]


@contextmanager
def zeroed(model: Any, heads: Iterable[tuple[int, int]]) -> Iterator[None]:
    """The model with the outputs of these heads set to zero before the output projection."""
    size, hooks = model.config.n_embd // model.config.n_head, []
    for layer, head in heads:

        def cut(module: Any, args: tuple[Any, ...], head: int = head) -> tuple[Any, ...]:
            z = args[0].clone()
            z[..., head * size : (head + 1) * size] = 0
            return (z, *args[1:])

        hooks.append(model.transformer.h[layer].attn.c_proj.register_forward_pre_hook(cut))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def spans(made: Built, rng: np.random.Generator, n: int, length: int) -> np.ndarray:
    """[n, length] of different words."""
    return np.stack([rng.permutation(made.tokens.frequent)[:length] for _ in range(n)])


def begun(made: Built, *parts: np.ndarray, bos: bool = True) -> np.ndarray:
    first = [np.full((len(parts[0]), 1), made.tokens.bos)] if bos else []
    return np.concatenate([*first, *parts], axis=1).astype(np.int64)


def order_gain(made: Built, rng: np.random.Generator, length: int, bos: bool, n: int = 12) -> float:
    """Mean NLL of the second copy after a shuffled first copy minus after the same first copy, nats."""
    copy = spans(made, rng, n, length)
    losses = [
        forward(made.model, begun(made, first, copy, bos=bos))[1][:, -(length - 1) :].mean()
        for first in (rng.permuted(copy, axis=1), copy)
    ]
    return float(losses[0] - losses[1])


# ---- all families


@pytest.mark.parametrize("name", NAMES)
def test_is_a_stock_attention_only_gpt2(name: str) -> None:
    model = built(name, 0).model
    assert type(model) is transformers.GPT2LMHeadModel and not model.training
    config = model.config
    assert (config.n_layer, config.n_head, config.tie_word_embeddings) == (2, 8, False) and config.n_positions >= 256
    assert all(p.dtype == torch.float32 and not p.requires_grad for p in model.parameters())
    for block in model.transformer.h:
        assert all(not p.any() for p in block.mlp.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_weights_and_seeds_differ(name: str) -> None:
    state = torch.random.get_rng_state()
    again, first, other = family(name).make(3), family(name).make(3), family(name).make(4)
    assert torch.equal(state, torch.random.get_rng_state())  # building leaves the global generator alone
    a, b, c = (made.model.state_dict() for made in (again, first, other))
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not torch.equal(a["transformer.wte.weight"], c["transformer.wte.weight"])
    assert again.facts == first.facts


@pytest.mark.parametrize("name", NAMES)
def test_seeds_shuffle_heads_in_each_layer_on_its_own(name: str) -> None:
    places = [family(name).make(seed).facts for seed in range(11)]
    first = [tuple(facts["previous_token_heads"]) for facts in places]
    key = next(k for k in places[0] if k.endswith("_heads") and k != "previous_token_heads")
    second = [tuple(facts[key]) for facts in places]
    assert len(set(first)) > 3 and len(set(second)) > 3
    assert len({(a[0][1] - b[0][1]) % 8 for a, b in zip(first, second, strict=True)}) > 2
    for facts in places:
        named = [head for k, heads in facts.items() if k.endswith("_heads") or k == "bystanders" for head in heads]
        assert sorted(named) == [(layer, head) for layer in range(2) for head in range(8)]  # every head has one role


@pytest.mark.parametrize("name", NAMES)
def test_saves_and_loads_equal(name: str, tmp_path: Any) -> None:
    made = built(name, 0)
    made.model.save_pretrained(tmp_path)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, local_files_only=True)
    ids = torch.from_numpy(spans(made, np.random.default_rng(0), 2, 30))
    made.model.set_attn_implementation("sdpa")
    with torch.no_grad():
        assert torch.equal(made.model(ids).logits, loaded(ids).logits)
        sdpa = made.model(ids).logits
        made.model.set_attn_implementation("eager")
        assert torch.allclose(made.model(ids).logits, sdpa, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", SEEDS)
def test_logits_are_finite_over_the_whole_context_and_any_ids(name: str, seed: int) -> None:
    made = built(name, seed)
    ids = np.random.default_rng(seed).integers(0, made.model.config.vocab_size, (2, made.model.config.n_positions))
    logits, _, _ = forward(made.model, ids)
    assert np.isfinite(logits).all() and logits.std(-1).min() > 0.005


@pytest.mark.parametrize("name", [name for name in NAMES if name != "constructed-graded-heads"])
def test_bystanders_act_but_change_little(name: str) -> None:
    made = built(name, 1)
    ids = begun(made, spans(made, np.random.default_rng(0), 4, 40))
    plain, _, _ = forward(made.model, ids)
    for head in made.facts["bystanders"]:
        with zeroed(made.model, [head]):
            moved = np.abs(forward(made.model, ids)[0] - plain).max()
        assert 1e-3 < moved < 0.5, head


def test_every_constructed_family_is_covered_here_and_ships_eleven_seeds() -> None:
    assert {name for name in families() if name.startswith("constructed-")} == {*NAMES, *ELSEWHERE}
    assert all(family(name).seeds == 11 and family(name).evidence == "instrument" for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_is_a_subject_with_the_same_logits(name: str) -> None:
    subject = family(name).subject(2)
    assert isinstance(subject, LM) and (subject.layers, subject.heads, subject.context) == (2, 8, 256)
    ids = spans(built(name, 2), np.random.default_rng(0), 2, 20)
    assert subject.logits(torch.from_numpy(ids)).numpy() == pytest.approx(
        forward(built(name, 2).model, ids)[0], abs=1e-3
    )


# ---- one family each


@pytest.mark.parametrize("bos", [True, False])
@pytest.mark.parametrize("length", [20, 50])
@pytest.mark.parametrize("seed", SEEDS)
def test_induction_head(seed: int, length: int, bos: bool) -> None:
    made, rng = built("constructed-induction-head", seed), np.random.default_rng(seed)
    ((layer, head),), ((below, previous),) = made.facts["induction_heads"], made.facts["previous_token_heads"]
    assert (layer, below) == (1, 0)
    copy = spans(made, rng, 8, length)
    ids = begun(made, copy, copy, bos=bos)
    _, nll, attention = forward(made.model, ids)
    query = np.arange(ids.shape[1] - length, ids.shape[1] - 1)
    assert attention[1][:, head, query, query - length + 1].min() > 0.999
    assert attention[0][:, previous, np.arange(1, ids.shape[1]), np.arange(ids.shape[1] - 1)].min() > 0.999
    assert nll[:, -(length - 1) :].max() < 0.3
    if bos:  # nothing to copy: BOS takes the attention and the prediction is flat
        assert attention[1][:, head, 1 : length + 1, 0].min() > 0.99
        assert np.abs(nll[:, : length - 1] - np.log(made.model.config.vocab_size)).mean() < 0.3


@pytest.mark.parametrize("bos", [True, False])
@pytest.mark.parametrize("seed", SEEDS)
def test_only_the_induction_head_and_the_one_it_reads_carry_the_gain(seed: int, bos: bool) -> None:
    made = built("constructed-induction-head", seed)

    def gain(without: Heads) -> float:
        with zeroed(made.model, without):
            return order_gain(made, np.random.default_rng(seed), 35, bos)

    whole = gain([])
    assert whole > 5
    for name in ("induction_heads", "previous_token_heads"):
        assert abs(gain(made.facts[name])) < 0.1
    for head in made.facts["bystanders"]:
        assert abs(gain([head]) - whole) < 0.02 * whole
    assert abs(gain(made.facts["bystanders"]) - whole) < 0.05 * whole


def episodes(made: Built, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ids [n, 5] = x1 y1 x2 y2 q, the answer [n], and which pair was asked for [n]."""
    items, labels = np.array(made.facts["items"]), np.array(made.facts["labels"])
    item = np.stack([rng.permutation(items)[:2] for _ in range(n)])
    label = np.stack([rng.permutation(labels)[:2] for _ in range(n)])
    asked, rows = rng.integers(0, 2, n), np.arange(n)
    return np.stack([item[:, 0], label[:, 0], item[:, 1], label[:, 1], item[rows, asked]], 1), label[rows, asked], asked


@pytest.mark.parametrize("seed", range(11))
def test_graded_heads(seed: int) -> None:
    made = built("constructed-graded-heads", seed)
    ids, answer, asked = episodes(made, np.random.default_rng(seed), 1000)
    rows, every = np.arange(len(ids)), [(1, head) for head in range(8)]

    def score(without: Heads) -> tuple[float, float]:
        with zeroed(made.model, without):
            logits = torch.from_numpy(forward(made.model, ids)[0][:, -1])
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(answer))
        return float((logits.argmax(-1).numpy() == answer).mean()), float(loss)

    attention = forward(made.model, ids)[2][1][:, :, -1]
    strength = (attention[rows, :, 1 + 2 * asked] - attention[rows, :, 3 - 2 * asked]).mean(0)
    order = [(1, int(head)) for head in np.argsort(-strength)]
    solo = [score([other for other in every if other != head]) for head in order]
    accuracy, loss = score([])
    assert accuracy > 0.99
    assert strength.min() > 0 and strength.max() - strength.min() > 0.2 and (strength > 0.3).sum() >= 3
    assert spearmanr(-np.arange(8), [s[0] for s in solo]).statistic > 0.8
    assert solo[0][0] > 0.9 and solo[-1][0] < 0.7
    assert all(accuracy - score([head])[0] < 0.03 for head in every)
    added = [score(order[k:])[1] for k in range(1, 9)]
    assert all(np.diff(added) < 0) and added[-1] == pytest.approx(loss)
    assert score(order[:1])[1] < 0.25 * solo[1][1]
    nothing, ignorant = score(every)
    assert nothing < 0.4 and ignorant == pytest.approx(np.log(5), abs=0.05)


def test_graded_heads_state_the_task() -> None:
    facts = built("constructed-graded-heads", 0).facts
    pairs = facts["train_pairs"] + facts["held_out_pairs"]
    assert facts["task"] == "two-pair labels"
    assert (len(facts["items"]), len(facts["labels"]), len(facts["held_out_pairs"])) == (50, 5, 2)
    assert sorted(pairs) == [[a, b] for a in facts["labels"] for b in facts["labels"] if a < b]


@pytest.mark.parametrize("bos", [True, False])
@pytest.mark.parametrize("seed", SEEDS)
def test_prefix_heads(seed: int, bos: bool) -> None:
    made, rng = built("constructed-prefix-heads", seed), np.random.default_rng(seed)
    ((_, short),), ((_, long),) = made.facts["short_prefix_heads"], made.facts["long_prefix_heads"]

    def at_target(prefix: int, corrupt: bool = False) -> tuple[np.ndarray, np.ndarray]:
        words = spans(made, rng, 16, 40)
        before, recurring, target, between = words[:, :5], words[:, 5 : 5 + prefix], words[:, 20:21], words[:, 21:32]
        again = recurring.copy()
        if corrupt:
            again[:, -2] = words[:, 33]
        pattern = forward(made.model, begun(made, before, recurring, target, between, again, bos=bos))[2][1]
        return pattern[:, short, -1, bos + 5 + prefix], pattern[:, long, -1, bos + 5 + prefix]

    for prefix in range(1, 10):
        one, two = at_target(prefix)
        assert one.min() > 0.7
        assert two.mean() < 0.1 if prefix == 1 else two.min() > 0.7
    one, two = at_target(4, corrupt=True)
    assert one.min() > 0.7 and two.mean() < 0.1
    assert order_gain(made, rng, 30, bos) > 3


@pytest.mark.parametrize("name", ["constructed-reverse-head", "constructed-mirror-head"])
@pytest.mark.parametrize("length", [20, 50])
@pytest.mark.parametrize("seed", SEEDS)
def test_reverse_copying_goes_through_the_duplicate_token_head(name: str, length: int, seed: int) -> None:
    made, rng = built(name, seed), np.random.default_rng(seed)
    assert made.facts["reverse_copies"] is True
    (duplicate,) = made.facts["duplicate_token_heads"]
    words = spans(made, rng, 8, length + 5)
    copy, between = words[:, :length], np.full((8, 1), made.tokens.separator)
    ids = begun(made, words[:, length:], copy, between, copy[:, ::-1])
    _, nll, attention = forward(made.model, ids)
    query = np.arange(6 + length + 1, ids.shape[1])
    first = 6 + length - 1 - np.arange(length)
    assert attention[1][:, duplicate[1], query, first].min() > 0.99
    assert nll[:, -(length - 1) :].max() < 0.3
    anti = attention[1][:, :, query, first - 1].mean((0, 2))
    assert anti.max() < 0.1 if name == "constructed-reverse-head" else anti[duplicate[1]] < 0.01
    for head in [duplicate, *made.facts["previous_token_heads"]]:
        with zeroed(made.model, [head]):
            assert forward(made.model, ids)[1][:, -(length - 1) :].mean() > 4
    for head in made.facts["bystanders"] + made.facts.get("mirror_heads", []):
        with zeroed(made.model, [head]):
            assert forward(made.model, ids)[1][:, -(length - 1) :].max() < 0.3


@pytest.mark.parametrize("seed", SEEDS)
def test_mirror_head_sits_before_the_first_occurrence_at_one_length_only(seed: int) -> None:
    made, rng = built("constructed-mirror-head", seed), np.random.default_rng(seed)
    ((_, mirror),), length = made.facts["mirror_heads"], made.facts["repeat_length"]
    assert (length, made.facts["prefix"]) == (24, 0)
    for tried in (length - 4, length, length + 4):
        copy = spans(made, rng, 4, tried)
        for second in (copy, rng.permuted(copy, axis=1)):  # blind to content: a broken repeat changes nothing
            pattern = forward(made.model, begun(made, copy, second))[2][1][:, mirror]
            query = np.arange(1 + tried, 1 + 2 * tried)
            anti = pattern[:, query, query - tried - 1]
            assert anti.min() > 0.99 if tried == length else anti[:, 5:].max() < 0.01


# ---- natural spans, codes, and mistakes


def test_natural_spans_have_recurring_phrases_and_a_preference() -> None:
    made, rng = built("constructed-prefix-heads", 0), np.random.default_rng(0)
    drawn = [made.tokens.natural(rng, 64) for _ in range(50)]
    assert all(span.shape == (64,) and np.isin(span, made.tokens.frequent).all() for span in drawn)
    for span in drawn:
        pairs = list(pairwise(span))
        assert len(set(pairs)) < len(pairs)
    assert np.mean(drawn) < np.mean(made.tokens.frequent) - 5
    assert [len(made.tokens.natural(rng, n)) for n in range(301)] == list(range(301))


def test_codes_have_the_stated_similarities() -> None:
    codes = token_codes(np.random.default_rng(0), 144)
    similarity = codes @ codes.T - np.eye(144)
    assert np.abs(similarity).max() == pytest.approx(COHERENCE)
    places = position_codes(256)
    similarity = places @ places.T - np.eye(256)
    assert np.diag(similarity) == pytest.approx(0)
    assert similarity.min() > -0.48 and similarity.max() <= SIDELOBE + 1e-4
    assert places[7:] @ shift(7) == pytest.approx(places[:-7])


def test_a_construction_that_does_not_fit_is_refused() -> None:
    with pytest.raises(DeclarationError, match="none are left for noise"):
        Construction("tight", 0, slots={"token": 16}, vocab=8, head_dim=4)
    net = Construction("few", 0, slots={"token": 16, "position": 16, "first": 1}, vocab=8, head_dim=16)
    with pytest.raises(DeclarationError, match="layer 0 has 8 heads; got 3"):
        net.layer(0, bystanders(net, 3))
