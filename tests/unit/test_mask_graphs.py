"""Masks as graphs and partial rank correlations, against networkx and statements that are known."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from claimbench.errors import EffectError
from claimbench.measures.mask_graphs import clustering, jaccard_distance, layered, path_length, spectral_gap
from claimbench.measures.partial_ranks import partial_rank_correlation


def masks(seed: int, density: float = 0.3) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.random(shape) < density for shape in ((7, 5), (5, 6), (6, 4))]


def graph(seed: int, density: float = 0.3) -> tuple[np.ndarray, nx.Graph]:
    adjacent = layered(masks(seed, density))
    return adjacent, nx.from_numpy_array(adjacent.astype(int))


def test_layers_follow_on_each_other() -> None:
    found = masks(0)
    adjacent = layered(found)
    assert adjacent.shape == (22, 22) and (adjacent == adjacent.T).all()
    assert adjacent.sum() == 2 * sum(mask.sum() for mask in found)
    assert (adjacent[:7, 7:12] == found[0]).all() and (adjacent[12:18, 18:] == found[2]).all()
    with pytest.raises(EffectError, match="do not fit"):
        layered([np.ones((2, 3)), np.ones((2, 3))])


@pytest.mark.parametrize("density", [0.1, 0.3, 0.9])
def test_path_length_is_the_mean_over_joined_pairs(density: float) -> None:
    adjacent, known = graph(3, density)
    lengths = [n for _, row in nx.all_pairs_shortest_path_length(known) for n in row.values() if n]
    assert path_length(adjacent) == pytest.approx(np.mean(lengths))


@pytest.mark.parametrize("density", [0.1, 0.3, 0.9])
def test_clustering_is_that_of_bipartite_graphs(density: float) -> None:
    adjacent, known = graph(4, density)
    assert clustering(adjacent) == pytest.approx(np.mean(list(nx.bipartite.clustering(known).values())), abs=1e-6)


def test_a_graph_without_edges_has_no_paths() -> None:
    with pytest.raises(EffectError, match="no paths"):
        path_length(np.zeros((3, 3), bool))


def test_distance_of_masks() -> None:
    one, other = {"a": np.array([1, 1, 0, 0]), "b": np.array([1])}, {"a": np.array([0, 1, 1, 0]), "b": np.array([1])}
    assert jaccard_distance(one, one) == 0.0
    assert jaccard_distance(one, other) == pytest.approx(1 - 2 / 4)
    with pytest.raises(EffectError, match="different layers"):
        jaccard_distance(one, {"a": one["a"]})


def test_spectral_gap() -> None:
    assert spectral_gap([np.diag([4.0, 1.0]), np.eye(3)]) == pytest.approx((0.75 + 0.0) / 2)


def test_partial_correlation_takes_the_drift_out() -> None:
    rng = np.random.default_rng(0)
    steps = np.arange(200.0)
    drift = steps + rng.normal(0, 20, 200), steps + rng.normal(0, 20, 200)
    assert np.corrcoef(*drift)[0, 1] > 0.8
    assert abs(partial_rank_correlation(*drift, steps)) < 0.2
    wave = np.sin(steps / 10)
    assert partial_rank_correlation(steps + 50 * wave, steps - 50 * wave, steps) < -0.9
    assert partial_rank_correlation(steps, wave, steps) == 0.0


def test_partial_correlation_is_that_of_the_three_correlations() -> None:
    x, y, z = np.random.default_rng(1).normal(size=(3, 30))
    r = np.corrcoef([np.argsort(np.argsort(v)) for v in (x, y, z)])
    expected = (r[0, 1] - r[0, 2] * r[1, 2]) / np.sqrt((1 - r[0, 2] ** 2) * (1 - r[1, 2] ** 2))
    assert partial_rank_correlation(x, y, z) == pytest.approx(expected)
    with pytest.raises(EffectError, match="equally long"):
        partial_rank_correlation(x, y[:5], z)
