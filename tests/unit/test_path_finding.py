"""Path-finding: graphs, what lines let one observe, and read-outs of networks whose weights were written by hand."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from claimbench.errors import EffectError
from claimbench.measures.path_graphs import (
    PathGraph,
    as_lines,
    centred,
    leading,
    observed_reach,
    random_dag,
    random_path,
    separation,
    share_of_gap,
    shuffled_among,
    waist_graph,
)
from claimbench.measures.path_nets import (
    additivity,
    attention_of_steps,
    forward_read_out,
    free_paths,
    legal_success,
    value_read_out,
)
from claimbench.running.collecting import load_all_organisms, load_module
from claimbench.training import lm_of, recipes, train
from claimbench.training.preparing import prepared_network

FILE = Path(__file__).parents[2] / "fixtures" / "organisms" / "path_finding.py"
SEED = 71


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def diamond() -> PathGraph:
    """0 -> 1, 2 -> 3 -> 4, and 0 -> 4."""
    adjacent = np.zeros((5, 5), bool)
    adjacent[[0, 0, 1, 2, 3, 0], [1, 2, 3, 3, 4, 4]] = True
    return PathGraph.of(adjacent)


@pytest.fixture(scope="module")
def organisms() -> ModuleType:
    load_all_organisms([], FILE.parents[2])
    return load_module(FILE)


def model_of(name: str, **changes: Any) -> Any:
    return prepared_network(recipes()[name].with_(**changes), SEED, lambda *_: None).model.eval().requires_grad_(False)


def test_reach_and_distance_of_a_small_graph() -> None:
    graph = diamond()
    assert graph.distance[0].tolist() == [0, 1, 1, 2, 1]
    assert graph.reach[:, 4].tolist() == [True, True, True, True, False] and not graph.reach[1, 2]
    assert graph.forward[0, 1] and not graph.forward[4, 0] and len(graph.pairs) == 9
    assert leading(graph, np.array([[0, 3], [0, 4], [3, 4]])).tolist() == pytest.approx([2 / 3, 1, 1])


def test_random_graphs_are_acyclic_in_an_order_of_their_own() -> None:
    graph = random_dag(rng(), 40, 0.1)
    assert not (graph.adjacent & ~graph.forward).any()
    assert 40 <= graph.adjacent.sum() <= 120, "780 pairs, a tenth of them"
    assert not (graph.rank == np.arange(40)).all(), "numbers do not give the order away"


def test_the_waist_graph_needs_one_plan_of_one_in_four() -> None:
    graph = waist_graph(rng())
    sources, before, waist, _, targets = (np.array(block) for block in graph.blocks)
    pairs = np.array([(s, t) for s in sources for t in targets])
    assert (leading(graph, pairs) == 0.25).all() and (graph.adjacent[sources].sum(1) == 4).all()
    assert (graph.adjacent[before].sum(1) == 1).all() and graph.reach[np.ix_(sources, waist)].all()
    half = sources[:5]
    assert graph.adjacent[half][:, before].any(0).all() and graph.adjacent[sources[5:]][:, before].any(0).all()
    with pytest.raises(EffectError, match="multiples of the waist"):
        waist_graph(rng(), (4, 5, 2, 4, 4))


def test_walks_take_all_ways_and_shortest_paths_are_short() -> None:
    graph, draw = diamond(), rng()
    walks = {tuple(random_path(draw, graph, 0, 4)) for _ in range(200)}
    assert walks == {(0, 4), (0, 1, 3, 4), (0, 2, 3, 4)}
    assert {tuple(random_path(draw, graph, 0, 4, shortest=True)) for _ in range(20)} == {(0, 4)}
    assert {tuple(random_path(draw, graph, 0, 4, most=3)) for _ in range(50)} == {(0, 4)}


def test_lines_and_what_they_let_targets_observe() -> None:
    lines, lengths = as_lines([[0, 1, 3], [2, 3]], 7, end=5)
    assert lines.tolist() == [[0, 3, 0, 1, 3, 5, 5], [2, 3, 2, 3, 5, 5, 5]] and lengths.tolist() == [6, 5]
    seen = observed_reach(lines, lengths, 5)
    assert np.argwhere(seen).tolist() == [[3, 1], [3, 3]], "no source, no end"
    assert as_lines([[0, 1]], 5, end=5, targets=[4])[0].tolist() == [[0, 4, 0, 1, 5]]
    with pytest.raises(EffectError, match="needs 6 tokens"):
        as_lines([[0, 1, 3]], 5, end=5)


def test_separation_is_the_area_under_the_curve() -> None:
    read = np.array([[3.0, 1.0, 2.0], [0.0, 5.0, 1.0]])
    high, low = read > 2, read <= 2
    assert separation(read, high, low) == 1 and separation(read, low, high) == 0 and separation(0 * read, low, high) == 0.5
    some = np.array([[True, False, False], [False, False, True]])
    assert separation(read, some, ~some) == pytest.approx((3 + 1.5) / 8)
    with pytest.raises(EffectError, match="both kinds"):
        separation(read, high & low, high)


def test_share_of_gap_is_taken_within_rows() -> None:
    low, cells, high = np.eye(3, dtype=bool)[None].repeat(2, 0).transpose(1, 0, 2)
    read = np.array([[0.0, 1.0, 4.0], [100.0, 101.0, 104.0]])
    assert share_of_gap(read, cells, low, high) == pytest.approx(0.25)
    assert share_of_gap(read, low, low, high) == 0 and share_of_gap(read, high, low, high) == 1
    with pytest.raises(EffectError, match="all three kinds"):
        share_of_gap(read, cells, low, ~high & low & cells)


def test_shuffling_keeps_the_number_and_the_places() -> None:
    graph = random_dag(rng(), 30, 0.2)
    shuffled = shuffled_among(rng(), graph.adjacent, graph.forward)
    assert shuffled.sum() == graph.adjacent.sum() and not (shuffled & ~graph.forward).any() and (shuffled != graph.adjacent).any()


def test_lines_of_a_seed_keep_pairs_out(organisms: ModuleType) -> None:
    some, every = organisms.lines_of(SEED), organisms.lines_of(SEED, pairs="all")
    trained = {tuple(pair) for pair in some.pairs}
    assert not trained & {tuple(pair) for pair in some.kept_out} and some.graph.adjacent[tuple(some.graph.pairs.T)].sum() < len(
        trained
    )
    assert {tuple(line[:2]) for line in some.lines} == trained
    assert (some.observed <= every.observed).all() and some.observed.sum() < every.observed.sum()
    assert (every.observed <= some.graph.reach.T | np.eye(50, dtype=bool)).all()
    shuffled = organisms.lines_of(SEED, targets="shuffled")
    assert (shuffled.lines[:, 2:] == some.lines[:, 2:]).all() and (shuffled.lines[:, 1] != some.lines[:, 1]).mean() > 0.9
    assert (shuffled.observed == some.observed).all(), "what is observed is read off the true lines"


def test_waist_lines_join_no_source_to_a_target(organisms: ModuleType) -> None:
    some, joined = organisms.lines_of(SEED, "waist"), organisms.lines_of(SEED, "waist", "all")
    sources, before, _, _, targets = some.graph.blocks
    ends = np.isin(some.lines[:, 0], sources) & np.isin(some.lines[:, 1], targets)
    assert not ends.any() and not some.observed[np.ix_(targets, before)].any()
    assert len(some.kept_out) == 60 == len(joined.kept_out) and not {tuple(p) for p in joined.pairs} & {
        tuple(p) for p in joined.kept_out
    }
    reach = some.graph.reach.T[np.ix_(targets, before)]
    assert (joined.observed[np.ix_(targets, before)] == reach).all(), "other sources show all way stations of each target"


def test_the_construction_is_read_off_as_written(organisms: ModuleType) -> None:
    known, model = organisms.lines_of(SEED), model_of("paths-by-hand")
    graph, off = known.graph, ~np.eye(50, dtype=bool)
    forward, value = forward_read_out(model, 50), value_read_out(model, 50)
    np.testing.assert_allclose(forward, centred(forward), atol=1e-5)
    assert separation(forward, graph.adjacent, off & ~graph.adjacent) == 1
    assert separation(value, known.observed & off, off & ~known.observed) == 1
    assert separation(value, graph.adjacent, graph.forward & ~graph.adjacent) < 0.65, "the value path knows no edges"
    unseen = graph.reach.T & ~known.observed
    kinds = unseen, off & ~graph.reach.T, known.observed & off
    assert abs(share_of_gap(value, *kinds)) < 0.05
    assert share_of_gap(value_read_out(model_of("paths-reach-by-hand"), 50), *kinds) > 0.9
    drawn = rng().integers(0, 50, (2, 64))
    assert additivity(model, *drawn, 50) > 0.95 and additivity(model, *drawn, 50, shift=1) < 0.3
    on_target, other = attention_of_steps(lm_of(model), known.lines[:64], known.lengths[:64])
    assert on_target > 0.99 and other < 0.01


def test_attention_elsewhere_is_found(organisms: ModuleType) -> None:
    """Keys that only the repeated source has: attention lies two places behind the first node of the path, not on the target."""
    known, model = organisms.lines_of(SEED), model_of("paths-by-hand")
    positions = model.transformer.wpe.weight
    positions[[1, 2]] = positions[[2, 1]].clone()
    on_target, other = attention_of_steps(lm_of(model), known.lines[:64], known.lengths[:64])
    assert on_target < 0.01 and other > 0.99


def test_the_construction_finds_paths(organisms: ModuleType) -> None:
    known = organisms.lines_of(SEED, "waist")
    observed, true = model_of("paths-waist-by-hand"), model_of("paths-waist-oracle-by-hand")
    assert free_paths(observed, known.graph, known.pairs, 8) == (1.0, 1.0)
    assert free_paths(true, known.graph, known.kept_out, 8) == (1.0, 1.0)
    assert legal_success(observed, known.graph, known.kept_out, 8).mean() == pytest.approx(0.25, abs=0.05)
    assert legal_success(true, known.graph, known.kept_out, 8).min() > 0.99
    arrived, legal = free_paths(model_of("paths-waist-untrained"), known.graph, known.pairs, 8)
    assert arrived < 0.1 and legal < 0.2


def test_probabilities_of_legal_paths_add_up_over_targets(organisms: ModuleType) -> None:
    """From one source the walk among edges passes exactly one way station, so these probabilities sum to one."""
    known, model = organisms.lines_of(SEED, "waist"), model_of("paths-waist", std=0.3)
    source = known.graph.blocks[0][0]
    stations = np.flatnonzero(known.graph.adjacent[source])
    lines, _ = as_lines([[source, int(node)] for node in stations], 8, end=50)
    lines[:, 1] = stations[0]  # one target, so that the first step is one distribution
    logits = model(input_ids=torch.from_numpy(lines)).logits[0, 2, stations].double().softmax(0)
    found = legal_success(model, known.graph, np.array([[source, stations[0]]]), 8)
    assert found[0] == pytest.approx(float(logits[0]), rel=1e-5) and 0 < found[0] < 1


def test_a_short_training_learns_edges_and_no_reach_from_shuffled_targets(organisms: ModuleType) -> None:
    run = train(recipes()["paths-shuffled-targets"].with_(steps=60, evaluate_every=60), SEED)
    assert run.final["edges"] > 0.8 and run.final["edges told"] > 0.85
    assert run.final["observed told"] < 0.65 and run.final["paths"] < 0.6
