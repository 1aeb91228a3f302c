"""Filters of every task and layer of a subject, and what they make of states and heads: the shared parts of icl-info-removal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .filters import Filter, cut_accuracy, flux, last_states, random_filter, train_filters
from .labelled import Asked, Part, Shown, Tasks, open_accuracy

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from ..subjects.lm import LM

    Floats = NDArray[np.float64]

Filters = Mapping[int, Sequence[Filter]]
Head = tuple[int, int]
#: A head is called denoising where the flux falls by more than this without it, the paper's larger bound.
DROP = 0.05


def layers_looked_at(lm: LM, most: int = 4) -> list[int]:
    """All layers of a shallow model, else `most` at equal distances, the last among them."""
    if lm.layers <= most:
        return list(range(lm.layers))
    return sorted({round(float(at)) for at in np.linspace(0, lm.layers, most + 1)[1:] - 1})


def rank_for(lm: LM) -> int:
    """Rank of a filter: three, one less than an organism's labels; eight, as in the paper, where the stream is wide."""
    return 3 if int(lm.config.hidden_size) <= 128 else 8


def zero_shot(lm: LM, tasks: Tasks, rng: Generator, layer: int, part: Part) -> list[tuple[Floats, Any]]:
    """For each task (last states [n, width], answers [n]) of prompts without demonstrations."""
    asked = [tasks.asked(rng, tasks.rows(part), task, 0, part) for task in range(tasks.number)]
    return [(last_states(lm, each, layer), each.answer) for each in asked]


def filters_of(
    lm: LM,
    tasks: Tasks,
    rng: Generator,
    rank: int | None = None,
    permuted: bool = False,
    layers: Sequence[int] | None = None,
) -> dict[int, list[Filter]]:
    """A filter for each layer (by default those looked at) and task, trained without demonstrations; permuted: on wrong labels."""
    found = {}
    for layer in layers or layers_looked_at(lm):
        sets = zero_shot(lm, tasks, rng, layer, "fit")
        if permuted:
            sets = [(states, rng.permutation(answer)) for states, answer in sets]
        found[layer] = train_filters(lm, layer, sets, rank or rank_for(lm), rng)
    return found


def accuracies(lm: LM, layer: int, filters: Sequence[Filter], sets: Sequence[tuple[Floats, Any]], judged: Any) -> float:
    """Mean accuracy over the judged tasks where each task's states go through its filter and the rest of the sequence is cut."""
    return float(np.mean([cut_accuracy(lm, layer, filters[task](sets[task][0]), sets[task][1]) for task in judged]))


def others(filters: Sequence[Filter]) -> list[Filter]:
    """To each task the filter of the next one."""
    return [*filters[1:], *filters[:1]]


def at_random(filters: Sequence[Filter], rank: int, rng: Generator) -> list[Filter]:
    """To each filter a random one of its rank and size."""
    return [random_filter(each, rank, rng) for each in filters]


def states_by_shots(
    lm: LM, tasks: Tasks, rng: Generator, shots: Sequence[int], layers: Sequence[int], n: int
) -> dict[int, dict[int, list[Floats]]]:
    """Last states of n test prompts of every judged task, by number of demonstrations and layer."""
    found: dict[int, dict[int, list[Floats]]] = {}
    for number in shots:
        asked = [tasks.asked(rng, n, task, number, "test") for task in tasks.judged]
        found[number] = {layer: [last_states(lm, each, layer) for each in asked] for layer in layers}
    return found


def right_label_attention(lm: LM, asked: Asked) -> Floats:
    """Attention from the last token to the demonstrations' labels that are the query's, [layers, heads]: what induction gives."""
    last, right = asked.mask.sum(1) - 1, (asked.ids == asked.answer[:, None]) & (asked.mask == 1)
    found = np.zeros((lm.layers, lm.heads))

    def read(layer: int, pattern: Any, rows: slice) -> None:
        weights = pattern.double().numpy()
        for row, at, there in zip(weights, last[rows], right[rows], strict=True):
            found[layer] += row[:, at, : len(there)][:, there[: row.shape[-1]]].sum(1) / len(asked)

    lm.attend(asked.given, read)
    return found


def flux_without_heads(lm: LM, tasks: Tasks, filters: Filters, asked: Sequence[Asked]) -> Floats:
    """Relative change of the flux behind a head's layer where that head is zeroed, mean over judged tasks, [layers, heads].

    Layers that no filter was trained in are 0.
    """
    found = np.zeros((lm.layers, lm.heads))
    for layer, trained in filters.items():
        for task in tasks.judged:
            whole = flux(last_states(lm, asked[task], layer), trained[task])
            for head in range(lm.heads):
                view = lm.without([(layer, head)], mode="zero")
                found[layer, head] += (flux(last_states(view, asked[task], layer), trained[task]) / whole - 1) / len(tasks.judged)
    return found


def denoising(change: Floats, noise: Floats | float = 0.0) -> list[Head]:
    """Heads without which the flux falls by more than 5 % and by more than `noise`, the strongest first."""
    fallen = np.argwhere(-change > np.maximum(DROP, noise))
    return sorted(((int(layer), int(head)) for layer, head in fallen), key=lambda head: change[head])


def hits(tasks: Tasks, views: Sequence[LM], rng: Generator, n: int, shown: Shown = "any") -> list[float]:
    """Open accuracy of several views on the same test prompts behind the most demonstrations, mean over judged tasks."""
    asked = [tasks.asked(rng, n, task, tasks.shots, "test", shown) for task in tasks.judged]
    return [float(np.mean([open_accuracy(view, each) for each in asked])) for view in views]
