"""A directed graph drawn from left to right, with ways through it. For the reader; never judged."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from .figures import join, legend, scrolled

WIDE, TALL, MARGIN, RADIUS = 96, 26, 16, 10
SWEEPS = 4
"""How often the order of nodes is adapted to their neighbours, to the left and to the right in turn."""

Edge = tuple[int, int]


def graph(content: Mapping[str, Any]) -> Markup:
    """Nodes in columns, each to the right of those that lead to it; ways are thick, each with its own dash as well as colour."""
    edges: list[Edge] = [(int(one), int(other)) for one, other in content["edges"]]
    ways = [(str(way["name"]), [int(node) for node in way["nodes"]]) for way in content.get("paths", ())]
    columns = _ordered(_columns(edges, ways), edges)
    rows = max(map(len, columns), default=0)
    places = {
        node: (MARGIN + at * WIDE, MARGIN + (row + (rows - len(column)) / 2) * TALL)
        for at, column in enumerate(columns)
        for row, node in enumerate(column)
    }
    links = "".join(_line([places[one], places[other]]) for one, other in edges)
    drawn = [Markup('<path class="link" d="{}"/>').format(links)]
    drawn += [
        Markup('<path class="series s{}" d="{}"/>').format(at % 6, _line([places[node] for node in nodes]))
        for at, (_, nodes) in enumerate(ways)
    ]
    passed = {node for _, nodes in ways for node in nodes}
    for node, (x, y) in places.items():
        circle = Markup('<circle class="node{}" cx="{:g}" cy="{:g}" r="{}"/><text x="{:g}" y="{:g}" text-anchor="middle">{}</text>')
        drawn.append(circle.format(" on" if node in passed else "", x, y, RADIUS, x, y + 4, node))
    told = "".join(f" {name}: {', '.join(map(str, nodes))}." for name, nodes in ways)
    size = (2 * MARGIN + max(len(columns) - 1, 0) * WIDE, 2 * MARGIN + max(rows - 1, 0) * TALL)
    figure = Markup('<svg class="heads" role="img" aria-label="{}" width="{}" height="{}">{}</svg>').format(
        f"{content.get('title', 'Graph')}: {len(places)} nodes, {len(edges)} edges.{told}", *size, join(drawn)
    )
    named = legend((at, f"{name}: {' → '.join(map(str, nodes))}") for at, (name, nodes) in enumerate(ways))
    return scrolled(str(content.get("title") or "graph"), figure) + named


def _line(points: Sequence[tuple[float, float]]) -> str:
    """Straight from column to column; what skips one bends over the nodes in between."""
    drawn = [f"M{points[0][0]:g} {points[0][1]:g}"]
    for (x, y), (on, up) in itertools.pairwise(points):
        drawn.append(f"L{on:g} {up:g}" if abs(on - x) <= WIDE else f"Q{(x + on) / 2:g} {(y + up) / 2 - TALL:g} {on:g} {up:g}")
    return "".join(drawn)


def _columns(edges: Sequence[Edge], ways: Sequence[tuple[str, list[int]]]) -> list[list[int]]:
    """Nodes by the number of edges on the longest path that leads to them; ValueError where a circle makes it endless."""
    nodes = sorted({node for edge in edges for node in edge} | {node for _, way in ways for node in way})
    depth = dict.fromkeys(nodes, 0)
    for _ in nodes:
        before = dict(depth)
        for one, other in edges:
            depth[other] = max(depth[other], before[one] + 1)
        if depth == before:
            return [[node for node in nodes if depth[node] == level] for level in sorted(set(depth.values()))]
    if nodes:
        raise ValueError("a graph with a circle has no order from left to right")
    return []


def _ordered(columns: list[list[int]], edges: Sequence[Edge]) -> list[list[int]]:
    """The columns, each ordered by where its nodes' neighbours stand, so that fewer edges cross."""
    for sweep in range(SWEEPS):
        height = {node: row - len(column) / 2 for column in columns for row, node in enumerate(column)}
        for column in columns if sweep % 2 == 0 else columns[::-1]:
            near = {
                node: [
                    height[one if sweep % 2 == 0 else other] for one, other in edges if node == (other if sweep % 2 == 0 else one)
                ]
                for node in column
            }
            column.sort(key=lambda node, near=near: sum(near[node]) / len(near[node]) if near[node] else height[node])  # type: ignore[misc]
            height |= {node: row - len(column) / 2 for row, node in enumerate(column)}
    return columns
