"""Observations: per-head maps, attention, tables, single values and text; curves have a module of their own. Never judged."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from . import words
from .curves import curve, survival
from .figures import join, scrolled, text
from .graph import graph

LEVELS = 9


def observation(name: str, content: Mapping[str, Any]) -> Markup:
    """One observation as a figure with its caption; a shape that is not known is shown as it is."""
    try:
        drawn = DRAWN[content["kind"]](content)
    except (KeyError, TypeError, ValueError, IndexError):
        drawn = Markup("<pre>{}</pre>").format(json.dumps(dict(content), indent=1, default=str)[:4000])
    title, unit = str(content.get("title") or name), str(content.get("unit") or "")
    unit_text = Markup(' <span class="unit">{}</span>').format(unit) if unit not in ("", "1") else ""
    note = Markup('<p class="note">{}</p>').format(content["note"]) if content.get("note") else ""
    return Markup('<figure class="observation kind-{}"><figcaption>{}{}</figcaption>{}{}</figure>').format(
        content.get("kind", ""), title, unit_text, drawn, note
    )


def value(content: Mapping[str, Any]) -> Markup:
    shown = content["value"]
    shown = words.number(shown) if isinstance(shown, int | float) else "–" if shown is None else str(shown)
    return Markup('<p class="big">{}</p>').format(shown)


def paragraph(content: Mapping[str, Any]) -> Markup:
    return Markup('<p dir="auto">{}</p>').format(content["text"])


def table(content: Mapping[str, Any]) -> Markup:
    """A table; columns of numbers are set to the right."""
    rows: Sequence[Sequence[Any]] = content["rows"]
    numeric = [
        all(isinstance(row[index], int | float) or row[index] is None for row in rows) for index in range(len(content["columns"]))
    ]
    kinds = ["number" if is_number else "" for is_number in numeric]
    head = join(
        Markup('<th scope="col" class="{}">{}</th>').format(kind, name)
        for kind, name in zip(kinds, content["columns"], strict=True)
    )
    body: list[Markup] = []
    for row in rows:
        cells = []
        for kind, cell in zip(kinds, row, strict=True):
            shown = words.number(cell) if isinstance(cell, int | float) else "–" if cell is None else str(cell)
            cells.append(Markup('<td class="{}" dir="auto">{}</td>').format(kind, shown))
        body.append(Markup("<tr>{}</tr>").format(join(cells)))
    drawn = Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(head, join(body))
    return scrolled(str(content.get("title") or "table"), drawn)


def times(content: Mapping[str, Any]) -> Markup:
    """Survival curves of arms, and below them how many got there and their mean times."""
    return survival(content) + table(content)


def heads(content: Mapping[str, Any]) -> Markup:
    """A map of layers by heads. Small maps carry their numbers; large ones name the strongest heads below."""
    values: Sequence[Sequence[float | None]] = content["values"]
    layers, width = len(values), max(len(row) for row in values)
    known = [cell for row in values for cell in row if cell is not None]
    most = max((abs(cell) for cell in known), default=0.0) or 1.0
    marked = {(int(layer), int(head)) for layer, head in content.get("marked", ())}
    numbered = width <= 8
    wide, tall = (46, 30) if numbered else (22, 22) if width <= 16 else (14, 14)
    left, top = 52, 20
    cells: dict[str, list[str]] = {}
    labels: list[str] = []
    rings: list[str] = []
    for layer, row in enumerate(values):
        labels.append(text(str(left - 8), top + layer * tall + tall / 2 + 4, f"layer {layer}", anchor="end"))
        for head, cell in enumerate(row):
            x, y = left + head * wide, top + layer * tall
            kind = "absent" if cell is None else f"{'n' if cell < 0 else 'p'}{round(abs(cell) / most * (LEVELS - 1))}"
            cells.setdefault(kind, []).append(f"M{x} {y}h{wide - 2}v{tall - 2}h{2 - wide}z")
            if numbered and cell is not None:
                tone = "on-dark" if abs(cell) / most > 0.55 else "on-light"
                labels.append(text(str(x + wide / 2 - 1), y + tall / 2 + 3, words.number(cell, 2), kind=f"cell {tone}"))
            if (layer, head) in marked:
                rings.append(f"M{x - 1} {y - 1}h{wide}v{tall}h{-wide}z")
    every = max(1, width // 16)
    for head in range(0, width, every):
        labels.append(text(str(left + head * wide + wide / 2 - 1), top - 7, f"{head}"))
    fills = [Markup('<path class="{}" d="{}"/>').format(kind, "".join(paths)) for kind, paths in cells.items()]
    ring = [Markup('<path class="ring" d="{}"/>').format("".join(rings))] if rings else []
    strongest = sorted(
        ((abs(cell), cell, f"{layer}.{head}") for layer, row in enumerate(values) for head, cell in enumerate(row) if cell),
        reverse=True,
    )[:5]
    top_heads = ", ".join(f"{name} ({words.number(cell, 2)})" for _, cell, name in strongest)
    said = f"{content.get('title', 'Heads')}: {layers} layers of {width} heads. Strongest (layer.head): {top_heads}."
    size = (left + width * wide + 2, top + layers * tall + 2)
    drawn = Markup('<svg class="heads" role="img" aria-label="{}" width="{}" height="{}">{}</svg>').format(
        said, *size, join([*fills, *ring, *labels])
    )
    chosen = Markup(' <span class="ringed">Ringed: {}.</span>').format(
        ", ".join(f"{layer}.{head}" for layer, head in sorted(marked))
    ) if marked else ""  # fmt: skip
    told = Markup('<p class="note">Columns are heads. Strongest, as layer.head: {}.{}</p>').format(top_heads or "none", chosen)
    return scrolled(str(content.get("title") or "heads"), drawn) + told


def attention(content: Mapping[str, Any]) -> Markup:
    """A map of queries (rows) by keys (columns) of one head, the tokens beside it; ringed cells are named by the caption."""
    values: Sequence[Sequence[float]] = content["values"]
    tokens = [_shown(token) for token in content["tokens"]]
    if len(tokens) != len(values):
        raise ValueError(f"{len(values)} rows of attention for {len(tokens)} tokens")
    size, left, top = 15, 12 + 7 * max(map(len, tokens)), 10 + 7 * max(map(len, tokens))
    cells: dict[str, list[str]] = {}
    for query, row in enumerate(values):
        for key, weight in enumerate(row):
            place = f"M{left + key * size} {top + query * size}h{size - 1}v{size - 1}h{1 - size}z"
            cells.setdefault(f"p{round(min(max(weight, 0), 1) * (LEVELS - 1))}", []).append(place)
    fills = [Markup('<path class="{}" d="{}"/>').format(kind, "".join(paths)) for kind, paths in cells.items()]
    marked = [(int(query), int(key)) for query, key in content.get("marked", ())]
    rings = "".join(f"M{left + k * size - 1} {top + q * size - 1}h{size}v{size}h{-size}z" for q, k in marked)
    ring = [Markup('<path class="ring" d="{}"/>').format(rings)] if rings else []
    labels = [text(str(left - 6), top + at * size + size / 2 + 3, token, anchor="end") for at, token in enumerate(tokens)]
    labels += [_upright(left + at * size + size / 2 + 3, top - 6, token) for at, token in enumerate(tokens)]
    pairs = sorted(((weight, q, k) for q, row in enumerate(values) for k, weight in enumerate(row) if k < q), reverse=True)[:3]
    most = ", ".join(f"{tokens[q]} (place {q}) to {tokens[k]} (place {k}) {words.number(weight, 2)}" for weight, q, k in pairs)
    wide, tall = left + len(values) * size + 2, top + len(values) * size + 2
    drawn = Markup('<svg class="heads" role="img" aria-label="{}" width="{}" height="{}">{}</svg>').format(
        f"{content.get('title', 'Attention')}: {len(values)} tokens. Most: {most}.", wide, tall, join([*fills, *ring, *labels])
    )
    told = "Each row is a token that looks, each column one that it may look at."
    if marked:
        share = sum(values[query][key] for query, key in marked) / len(marked)
        told += f" On {words.count(len(marked), 'ringed place')} lies {words.number(share, 2)} of a row’s attention on average."
    return scrolled(str(content.get("title") or "attention"), drawn) + Markup('<p class="note">{}</p>').format(told)


def matrix(content: Mapping[str, Any]) -> Markup:
    """A map of named rows by named columns, each cell with its number; the note says how to read it."""
    values: Sequence[Sequence[float | None]] = content["values"]
    rows, columns = ([str(name) for name in content[side]] for side in ("rows", "columns"))
    if [len(row) for row in values] != [len(columns)] * len(rows):
        raise ValueError(f"{len(rows)} rows of {len(columns)} columns are named, the values have another shape")
    most = max((abs(cell) for row in values for cell in row if cell is not None), default=0.0) or 1.0
    wide, tall, left = 46, 30, 12 + 7 * max(map(len, rows))
    top = 10 + 7 * max(map(len, columns))
    cells: dict[str, list[str]] = {}
    labels = [text(str(left - 6), top + at * tall + tall / 2 + 4, name, anchor="end") for at, name in enumerate(rows)]
    labels += [_upright(left + at * wide + wide / 2 + 4, top - 6, name) for at, name in enumerate(columns)]
    for row, numbered in enumerate(values):
        for column, cell in enumerate(numbered):
            x, y = left + column * wide, top + row * tall
            kind = "absent" if cell is None else f"{'n' if cell < 0 else 'p'}{round(abs(cell) / most * (LEVELS - 1))}"
            cells.setdefault(kind, []).append(f"M{x} {y}h{wide - 2}v{tall - 2}h{2 - wide}z")
            if cell is not None:
                tone = "on-dark" if abs(cell) / most > 0.55 else "on-light"
                labels.append(text(str(x + wide / 2 - 1), y + tall / 2 + 3, words.number(cell, 2), kind=f"cell {tone}"))
    fills = [Markup('<path class="{}" d="{}"/>').format(kind, "".join(paths)) for kind, paths in cells.items()]
    every = [f"{rows[r]} and {columns[c]} {words.number(cell, 2)}" for r, row in enumerate(values) for c, cell in enumerate(row)]
    said = f"{content.get('title', 'Map')}: {len(rows)} rows of {len(columns)}. {'; '.join(every[:40])}."
    drawn = Markup('<svg class="heads" role="img" aria-label="{}" width="{}" height="{}">{}</svg>').format(
        said, left + len(columns) * wide + 2, top + len(rows) * tall + 2, join([*fills, *labels])
    )
    return scrolled(str(content.get("title") or "map"), drawn)


def _upright(x: float, y: float, name: str) -> Markup:
    """Text that runs upwards from (x, y)."""
    return Markup('<text class="tick" transform="translate({:g} {:g}) rotate(-90)">{}</text>').format(x, y, name)


def _shown(token: str) -> str:
    """A token of at most ten characters, its blanks and line breaks visible."""
    seen = token.replace(" ", "\u2423").replace("\n", "\u21b5") or "\u2205"
    return seen if len(seen) <= 10 else seen[:9] + "\u2026"


DRAWN = {
    "curve": curve,
    "survival": times,
    "heads": heads,
    "attention": attention,
    "matrix": matrix,
    "graph": graph,
    "table": table,
    "value": value,
    "text": paragraph,
}
