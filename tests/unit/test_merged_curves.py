"""Curves of several replicates in one observation: each keeps the places at which it was recorded."""

from __future__ import annotations

from typing import Any

from claimbench.running.measure import Replicate
from claimbench.running.observe import Observations
from claimbench.running.result import MOST_POINTS, merged


def recorded(index: int, x: list[float], y: list[float]) -> Replicate:
    observe = Observations()
    observe.curve("Accuracy", x, {"net": y}, x_label="steps", unit="accuracy")
    return Replicate(index, {"effect:": {"observations": observe.found}})


def test_a_map_says_how_to_read_it_and_which_seed_it_is_of() -> None:
    observe = Observations()
    observe.matrix("Overlap", [[1.0, float("nan")]], ["a"], ["a", "b"], unit="Jaccard index", told="More is more.")
    observe.matrix("Plain", [[1.0]], ["a"], ["a"], unit="1")
    replicates = [Replicate(index, {"effect:": {"observations": observe.found}}) for index in (3, 4)]
    found = merged(replicates, "seed")
    assert found["Overlap"]["values"] == [[1.0, None]]
    assert [found[title]["note"] for title in ("Overlap", "Plain")] == ["More is more. Shown: seed 3.", "seed 3"]


def lines(*replicates: Replicate) -> dict[str, Any]:
    found: dict[str, Any] = merged(replicates, "seed")["Accuracy"]
    return found


def test_a_run_that_ended_early_or_was_recorded_elsewhere_stays_in() -> None:
    found = lines(recorded(0, [10, 20], [0.1, 0.2]), recorded(1, [10, 20, 30], [0.3, 0.4, 0.5]), recorded(2, [15], [0.6]))
    assert found["x"] == [10, 15, 20, 30]
    assert {line["name"]: line["y"] for line in found["series"]} == {
        "net, seed 0": [0.1, None, 0.2, None],
        "net, seed 1": [0.3, None, 0.4, 0.5],
        "net, seed 2": [None, 0.6, None, None],
    }


def test_places_without_an_order_are_not_mixed() -> None:
    found = lines(recorded(0, [3, 1, 2], [0.1, 0.2, 0.3]), recorded(1, [3, 1], [0.1, 0.2]))
    assert found["x"] == [3, 1, 2] and [line["name"] for line in found["series"]] == ["net, seed 0"]
    same = lines(recorded(0, [3, 1, 2], [0.1, 0.2, 0.3]), recorded(1, [3, 1, 2], [0.4, 0.5, 0.6]))
    assert [line["y"] for line in same["series"]] == [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]


def test_long_curves_are_thinned_and_lines_that_end_before_x_are_kept() -> None:
    steps = [float(step) for step in range(1, 451)]
    found = lines(recorded(0, steps, steps), recorded(1, steps, steps[:10]))
    assert found["x"] == steps[2::3] and len(found["x"]) <= MOST_POINTS and found["x"][-1] == 450
    assert found["series"][0]["y"] == steps[2::3]
    assert found["series"][1]["y"] == [3, 6, 9] + [None] * 147
