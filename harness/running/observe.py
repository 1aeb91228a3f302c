"""Observations: what a replicate shows its reader besides effects. Never judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..effect import Value

#: Numbers in stored observations keep this many significant digits: enough to draw, small to ship.
DIGITS = 5


class Observations:
    """Collects curves, tables, maps, graphs, values and texts by name."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, Any]] = {}

    def curve(
        self, title: str, x: Sequence[float], series: Mapping[str, Sequence[float]], *, x_label: str, unit: str, told: str = ""
    ) -> None:
        """Lines over a shared x: `series` maps a label to as many numbers as `x` has. told: a sentence on how to read them."""
        self.found[title] = {
            "kind": "curve",
            "title": title,
            "unit": unit,
            "x": numbers(x),
            "x_label": x_label,
            "y_label": unit,
            "series": [{"name": name, "y": numbers(values)} for name, values in series.items()],
            **({"note": told} if told else {}),
        }

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, unit: str = "") -> None:
        """Rows of cells under column names."""
        cells = [[plain(cell) for cell in row] for row in rows]
        self.found[title] = {"kind": "table", "title": title, "unit": unit, "columns": list(columns), "rows": cells}

    def heads(self, title: str, values: Any, *, unit: str, marked: Sequence[tuple[int, int]] = ()) -> None:
        """One number for each head: array [layers, heads]; `marked` heads are outlined."""
        grid = [numbers(row) for row in np.asarray(values, dtype=float)]
        outlined = [[int(layer), int(head)] for layer, head in marked]
        self.found[title] = {"kind": "heads", "title": title, "unit": unit, "values": grid, "marked": outlined}

    def attention(self, title: str, weights: Any, tokens: Sequence[str], *, marked: Sequence[tuple[int, int]] = ()) -> None:
        """One head on one row: weights [queries, keys] of as many tokens; `marked` pairs of query and key are outlined."""
        rows = [[round(float(weight), 3) for weight in row[: query + 1]] for query, row in enumerate(np.asarray(weights))]
        outlined = [[int(query), int(key)] for query, key in marked]
        self.found[title] = {
            "kind": "attention", "title": title, "unit": "attention", "values": rows, "tokens": list(tokens), "marked": outlined,
        }  # fmt: skip

    def matrix(self, title: str, values: Any, rows: Sequence[str], columns: Sequence[str], *, unit: str, told: str = "") -> None:
        """One number for each pair: array [rows, columns], None or NaN where there is none. told: a sentence on how to read it."""
        self.found[title] = {
            "kind": "matrix", "title": title, "unit": unit, "values": [numbers(row) for row in values], "rows": list(rows),
            "columns": list(columns), **({"note": told} if told else {}),
        }  # fmt: skip

    def graph(
        self, title: str, edges: Sequence[tuple[int, int]], ways: Mapping[str, Sequence[int]], *, unit: str = "", told: str = ""
    ) -> None:
        """A directed graph of numbered nodes, without circles, and named ways on it. told: a sentence on how to read it."""
        self.found[title] = {
            "kind": "graph", "title": title, "unit": unit, "edges": [[int(one), int(other)] for one, other in edges],
            "paths": [{"name": name, "nodes": [int(node) for node in nodes]} for name, nodes in ways.items()],
            **({"note": told} if told else {}),
        }  # fmt: skip

    def value(self, title: str, value: float, *, unit: str) -> None:
        """A single number."""
        self.found[title] = {"kind": "value", "title": title, "unit": unit, "value": plain(value)}

    def times(self, title: str, times: Mapping[str, Value], *, budget: float, unit: str) -> None:
        """When each arm got there, an open end where it did not by then; over all replicates the report shows the mean time
        up to the budget, and the log-rank test of the first arm against each other one.
        """
        ends = {name: time.to_json() for name, time in times.items()}
        self.found[title] = {"kind": "times", "title": title, "unit": unit, "budget": float(budget), "times": ends}

    def text(self, title: str, text: str) -> None:
        """A sentence."""
        self.found[title] = {"kind": "text", "title": title, "unit": "", "text": text}


def plain(cell: Any) -> Any:
    """A JSON value: numbers rounded to `DIGITS`, what is not finite as None."""
    if isinstance(cell, bool | str) or cell is None:
        return cell
    if isinstance(cell, int | np.integer):
        return int(cell)
    number = float(cell)
    return float(f"{number:.{DIGITS}g}") if np.isfinite(number) else None


def numbers(values: Any) -> list[Any]:
    """A flat list of JSON numbers."""
    return [plain(value) for value in np.asarray(values, dtype=float).ravel()]
