"""Axes and figures: numbers where they belong."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from claimbench.reporting import forest, observations, words
from claimbench.reporting.figures import Axis, axis
from claimbench.reporting.results import complete
from hypothesis import given
from hypothesis import strategies as st
from sample import sample

finite = st.floats(-1e6, 1e6)


@given(st.lists(finite, min_size=1), st.booleans())
def test_an_axis_holds_its_values_in_order(values: list[float], log: bool) -> None:
    scale = axis(values, log=log)
    places = [scale.share(value) for value in sorted(values)]
    assert places == sorted(places) and all(0 <= place <= 1 for place in places)
    assert scale.low < scale.high
    ticks = scale.ticks()
    slack = 1e-6 * (scale.high - scale.low)
    assert len(ticks) <= 6 and all(scale.low - slack <= tick <= scale.high + slack for tick in ticks)


def test_an_axis_without_values_is_an_axis() -> None:
    assert axis([]).low < axis([]).high
    assert axis([None, math.inf]).ticks()
    assert axis([0.0]).low < 0 < axis([0.0]).high


def test_log_axes_are_even_in_ratio() -> None:
    scale = Axis(1, 100, log=True)
    assert scale.share(10) == pytest.approx(0.5)
    assert scale.ticks() == [1, 10, 100]


def results() -> list[dict[str, Any]]:
    return list(complete(sample())["results"])  # type: ignore[arg-type]


def test_a_forest_plot_has_a_row_for_each_replicate() -> None:
    result = results()[0]
    effect = result["effects"][0]
    drawn = forest.forest(effect, result, forest.shared_axis([result], effect, 0.28), 0.28)
    assert drawn.count('class="replicate used"') == 6
    assert drawn.count('class="interval"') == 1 and drawn.count('class="estimate"') == 1
    assert drawn.count('class="documented"') == 1 and drawn.count('class="edge"') == 1
    assert "holds above 0.1 share of gain" in drawn
    for index in range(6):
        assert f'<li class="used">seed {index}</li>' in drawn


def test_open_ends_are_arrows() -> None:
    result = next(r for r in results() if r["finding"].endswith("heads-add-up"))
    effect = result["effects"][0]
    drawn = forest.forest(effect, result, forest.shared_axis([result], effect))
    assert effect["low"] is None
    assert drawn.count("M6 -4 0 0 6 4") == 2  # two seeds reached the floor
    assert drawn.count('class="open"') == 1
    assert "(−∞, −0.6]" in drawn


def test_many_replicates_share_one_band() -> None:
    result = next(r for r in results() if r["n"] == 46)
    effect = result["effects"][0]
    drawn = forest.forest(effect, result, forest.shared_axis([result], effect))
    assert drawn.count('class="replicate used many"') == 46
    assert drawn.count("<li ") == 2 * 3


def test_the_interval_lies_where_its_numbers_say() -> None:
    result = results()[0]
    effect = result["effects"][0]
    scale = forest.shared_axis([result], effect)
    drawn = forest.strip(effect, scale, result)
    found = re.search(r'class="interval" x="([\d.]+)%" width="([\d.]+)%"', drawn)
    assert found
    assert float(found[1]) == pytest.approx(100 * scale.share(effect["low"]), abs=0.01)
    assert float(found[1]) + float(found[2]) == pytest.approx(100 * scale.share(effect["high"]), abs=0.02)


def test_replicates_that_failed_or_came_late_are_marked() -> None:
    result = next(r for r in results() if len(r["replicates"]) == 8)
    assert [state for _, state in forest.states(result)] == ["used"] * 6 + ["failed", "surplus"]


def test_maps_of_heads_mark_negative_absent_and_chosen_heads() -> None:
    drawn = observations.heads({"title": "t", "values": [[0.9, -0.5], [None, 0.0]], "marked": [[0, 0]]})
    assert 'class="p8"' in drawn and 'class="n4"' in drawn and 'class="absent"' in drawn and 'class="ring"' in drawn
    assert "0.0 (0.9), 0.1 (−0.5)" in drawn
    assert "Ringed: 0.0." in drawn
    assert observations.heads({"values": [[0.0, 0.0]]}).count("<text") == 5


def test_curves_keep_gaps_and_name_groups_once() -> None:
    seeds = [{"name": f"loss, seed {index}", "y": [1.0, None, 0.5, 0.2]} for index in range(2)]
    drawn = observations.curve({"title": "t", "x": [0, 1, 2, 3], "series": seeds})
    assert drawn.count("series s0 thin") == 2 and drawn.count("<li>") == 1
    assert "loss, each of 2" in drawn
    line = re.search(r'series s0 thin" d="([^"]+)"', drawn)
    assert line and line[1].count("M") == 2


def heights(points: str) -> list[float]:
    """Vertical places of a path or polygon, of 1000 from above."""
    return [float(place) for place in re.findall(r"[\d.]+[ ,]([\d.]+)", points)]


def test_many_seeds_are_their_median_with_a_band_from_the_least_to_the_largest() -> None:
    values = {0: [0.0, 0.2, 1.0], 1: [0.0, 0.6, 1.0], 2: [0.0, 0.5, None]}  # the last ended early, and stays at 0.5
    seeds = [{"name": f"net, seed {index}", "y": y} for index, y in values.items()]
    lone = {"name": "theory", "y": [0.0, None, 1.0]}
    content = {"title": "t", "x": [0, 1, 2], "series": [*seeds, lone], "x_label": "steps", "y_label": "accuracy"}
    drawn = observations.curve(content)
    band = re.search(r'<polygon class="spread s0" points="([^"]+)"', drawn)
    line = re.search(r'<path class="series s0" d="([^"]+)"', drawn)
    scale = axis([0.0, 1.0])
    wanted = {at: 1000 * (1 - scale.share(at)) for at in (0.0, 0.2, 0.5, 0.6, 1.0)}
    assert band and heights(band[1]) == pytest.approx([wanted[at] for at in (0.0, 0.6, 1.0, 0.5, 0.2, 0.0)], abs=0.1)
    assert line and heights(line[1]) == pytest.approx([wanted[at] for at in (0.0, 0.5, 1.0)], abs=0.1)
    assert drawn.count("<li>") == 2 and drawn.count('class="series s1"') == 2  # the line that is alone, and its key
    assert "median of 3 seeds" in drawn and "with its last value" in drawn and "accuracy against steps" in drawn
    assert "Curve: t of net, theory; from 0 to 1, 0 to 1." in drawn


def test_between_its_own_records_a_seed_counts_on_a_straight_line() -> None:
    seeds = [
        {"name": f"net, seed {index}", "y": y} for index, y in enumerate(([0.0, None, 1.0], [0.0, 0.5, None], [0.0, 0.4, 1.0]))
    ]
    drawn = observations.curve({"title": "t", "x": [0, 1, 2], "series": seeds})
    line = re.search(r'<path class="series s0" d="([^"]+)"', drawn)
    assert line and heights(line[1])[1] == pytest.approx(500, abs=0.1)  # the median of 0.5, 0.5 and 0.4


def test_where_no_seed_has_a_value_the_band_has_a_gap() -> None:
    seeds = [{"name": f"net, seed {index}", "y": [0.0, None, 1.0]} for index in range(3)]
    drawn = observations.curve({"title": "t", "x": [0, 1, 2], "series": seeds})
    line = re.search(r'<path class="series s0" d="([^"]+)"', drawn)
    assert line and line[1].count("M") == 2


def test_the_scale_of_a_narrow_range_has_no_number_twice() -> None:
    drawn = observations.curve({"title": "t", "x": [0, 1], "y": [2.3102, 2.3141], "y_label": "1", "x_label": "steps"})
    ruler = drawn[drawn.index('class="ruler"') :].partition("</svg>")[0]
    named = re.findall(r">([^<>]+)</text>", ruler)
    assert len(named) >= 3 and len(set(named)) == len(named)
    assert "no unit against steps" in drawn


def test_survival_curves_fall_where_seeds_get_there_and_tick_where_runs_ended() -> None:
    arms = [
        {"name": "<dense>", "runs": 4, "at": [50, 80], "left": [0.75, 0.5], "censored": [60, 100]},
        {"name": "ticket", "runs": 2, "at": [20], "left": [0.0], "censored": []},
    ]
    content = {"kind": "survival", "title": "Steps", "unit": "steps", "arms": arms,
               "columns": ["arm", "runs"], "rows": [["<dense>", 4], ["ticket", 2]], "note": "Log-rank"}  # fmt: skip
    drawn = observations.observation("x", content)
    first, second = re.findall(r'<path class="series s[01]" d="(M0\.0[^"]+)"', drawn)
    scale = Axis(0.0, 1.04)
    assert heights(first) == pytest.approx([1000 * (1 - scale.share(at)) for at in (1, 1, 0.75, 0.75, 0.5, 0.5)], abs=0.1)
    assert re.findall(r"[ML]([\d.]+) ", first) == ["0.0", "500.0", "500.0", "800.0", "800.0", "1000.0"]
    assert re.findall(r"[ML]([\d.]+) ", second) == ["0.0", "200.0", "200.0", "200.0"]
    ticks = re.findall(r'censored" d="M([\d.]+) ([\d.]+)V', drawn)
    levels = [1000 * (1 - scale.share(at)) - 28 for at in (0.75, 0.5)]
    assert [float(x) for x, _ in ticks] == [600, 1000] and [float(y) for _, y in ticks] == pytest.approx(levels, abs=0.1)
    assert "share not there yet against steps" in drawn and "censored" in drawn and "Log-rank" in drawn
    assert "&lt;dense&gt;: 2 of 4 got there, half of them by 80 steps; ticket: 2 of 2 got there, half of them by 20 steps" in drawn
    assert "<dense>" not in drawn and "<table>" in drawn


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.9312, "0.931"), (-0.5, "−0.5"), (12345, "12\u202f345"), (0.00012, "1.2e−4"), (0, "0"), (None, "–"),
     (999.6, "1000"), (True, "yes"), (2.5e12, "2.50e+12")],
)  # fmt: skip
def test_numbers(value: float | None, shown: str) -> None:
    assert words.number(value) == shown


def test_intervals_and_durations() -> None:
    assert words.interval(0.1, 0.4) == "[0.1, 0.4]"
    assert words.interval(None, 0.4) == "(−∞, 0.4]"
    assert words.interval(0.1, None) == "[0.1, ∞)"
    assert words.interval(None, None) == "unbounded"
    assert [words.duration(s) for s in (None, 0.44, 41, 432, 7500)] == [
        "not recorded", "0.4 s", "41 s", "7 min 12 s", "2 h 05 min"]  # fmt: skip
    assert words.memory(1900) == "1.9 GB"


def test_a_map_of_attention_has_a_cell_for_each_pair_and_its_tokens_escaped() -> None:
    content = {
        "kind": "attention", "title": "Looks", "values": [[1.0], [0.25, 0.75], [0.9, 0.1, 0.0]],
        "tokens": ["<b>", " the", "\n"], "marked": [[2, 0]],
    }  # fmt: skip
    drawn = observations.attention(content)
    assert sum(path.count("M") for path in re.findall(r'<path class="p\d" d="([^"]*)"', drawn)) == 6
    assert "<b>" not in drawn and drawn.count("&lt;b&gt;") >= 2
    assert "\u2423the" in drawn and "\u21b5" in drawn
    assert "On 1 ringed place lies 0.9 of" in drawn and drawn.count('class="ring"') == 1
    assert 'aria-label="Looks: 3 tokens. Most: ' in drawn and "(place 2) to" in drawn
    assert "Looks" in observations.observation("x", {**content, "tokens": ["one"]})  # a shape that does not fit is shown as it is


def test_a_map_of_named_rows_and_columns_has_a_number_in_each_cell_and_says_them_all() -> None:
    content = {"kind": "matrix", "title": "Overlap", "values": [[1.0, 0.25], [None, -0.5]], "rows": ["<early>", "late"],
               "columns": ["early", "late"], "note": "Shared over all."}  # fmt: skip
    drawn = observations.observation("x", content)
    assert [drawn.count(f'class="{kind}"') for kind in ("p8", "p2", "n4", "absent")] == [1, 1, 1, 1]
    assert re.findall(r'class="cell on-\w+"[^>]*>([^<]+)<', drawn) == ["1", "0.25", "\u22120.5"]
    assert "&lt;early&gt; and late 0.25; late and early \u2013; late and late \u22120.5" in drawn and "<early>" not in drawn
    assert "Shared over all." in drawn
    assert (
        'class="observation kind-matrix"' in drawn
    )  # "matrix" alone is the table of findings by subjects, which a script looks for
    assert "<pre>" in observations.observation("x", {**content, "columns": ["one"]})  # a shape that does not fit


def test_a_graph_runs_from_left_to_right_and_its_ways_pass_through_their_nodes() -> None:
    content = {
        "kind": "graph", "title": "Ways", "edges": [[0, 1], [1, 2], [0, 2], [2, 3], [4, 3]], "note": "Left to right.",
        "paths": [{"name": "<path>", "nodes": [0, 1, 2, 3]}, {"name": "jump", "nodes": [0, 3]}],
    }  # fmt: skip
    drawn = observations.observation("x", content)
    nodes = {int(n): (float(x), float(y)) for x, y, n in re.findall(r'cx="([\d.]+)" cy="([\d.]+)".*?<text[^>]*>(\d+)<', drawn)}
    assert sorted(nodes) == [0, 1, 2, 3, 4]
    assert all(nodes[one][0] < nodes[other][0] for one, other in content["edges"])
    assert len(set(nodes.values())) == 5 and nodes[0][0] == nodes[4][0]
    first, second = re.findall(r'class="series s\d" d="(M[^"]+)"', drawn)[:2]
    through = [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", first)]
    assert through == [nodes[n] for n in (0, 1, 2, 3)]
    (x, y), (on, up) = nodes[0], nodes[3]  # it skips two columns, so it bends over what stands there
    assert second == f"M{x:g} {y:g}Q{(x + on) / 2:g} {(y + up) / 2 - 26:g} {on:g} {up:g}"
    assert drawn.count('class="node on"') == 4 and drawn.count('class="node"') == 1
    assert "Ways: 5 nodes, 5 edges. &lt;path&gt;: 0, 1, 2, 3. jump: 0, 3." in drawn and "0 \u2192 3" in drawn
    assert "Left to right." in drawn and "<path>" not in drawn


def test_a_graph_with_a_circle_is_shown_as_it_is() -> None:
    content = {"kind": "graph", "title": "Circle", "edges": [[0, 1], [1, 0]], "paths": []}
    assert "<pre>" in observations.observation("x", content)
    assert "0 nodes, 0 edges" in observations.observation("x", {**content, "edges": []})


def test_neighbours_stand_beside_each_other() -> None:
    """Two bundles whose numbers are interleaved are drawn without a crossing."""
    edges = [[0, 11], [2, 11], [4, 11], [1, 10], [3, 10], [5, 10]]
    drawn = observations.observation("x", {"kind": "graph", "title": "Bundles", "edges": edges, "paths": []})
    height = {int(n): float(y) for y, n in re.findall(r'cy="([\d.]+)".*?<text[^>]*>(\d+)<', drawn)}
    crossings = sum((height[a] - height[c]) * (height[b] - height[d]) < 0 for a, b in edges for c, d in edges)
    assert crossings == 0
