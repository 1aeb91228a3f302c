"""Where a network goes on a graph, against networks whose next token is written down."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from claimbench.errors import EffectError
from claimbench.measures.walks import graph_of_lines, walked

END = 4
#: source, target, and the path 0 1 2 3; then that of 1 to 3.
LINES = np.array([[0, 3, 0, 1, 2, 3, END], [1, 3, 1, 2, 3, END, END]])


class Follows:
    """A network that writes what follows a token by a table, whatever came before."""

    def __init__(self, following: dict[int, int]) -> None:
        self.following = following

    def __call__(self, input_ids: Any, use_cache: bool) -> Any:
        assert input_ids[0, 0] == input_ids[0, 2], "a line begins with source, target, source"
        logits = torch.zeros(1, input_ids.shape[1], END + 1)
        logits[0, -1, self.following[int(input_ids[0, -1])]] = 1.0
        return SimpleNamespace(logits=logits)


def test_the_graph_of_lines_has_their_steps_and_neither_their_heads_nor_their_ends() -> None:
    graph = graph_of_lines(LINES, END)
    assert np.argwhere(graph.adjacent).tolist() == [[0, 1], [1, 2], [2, 3]]
    assert graph.distance[0, 3] == 3


@pytest.mark.parametrize(
    ("following", "width", "path"),
    [
        ({0: 1, 1: 2, 2: 3}, 9, [0, 1, 2, 3]),  # there
        ({0: 1, 1: 2, 2: 3}, 5, [0, 1, 2]),  # the line is full
        ({0: 1, 1: 3}, 9, [0, 1, 3]),  # at the target by a step that is no edge
        ({0: 2, 2: 3}, 9, [0, 2]),  # no edge
        ({0: 1, 1: END}, 9, [0, 1]),  # the network ends it
    ],
)
def test_a_way_ends_where_it_must(following: dict[int, int], width: int, path: list[int]) -> None:
    assert walked(Follows(following), graph_of_lines(LINES, END), 0, 3, width) == path


def test_ends_of_a_way_are_nodes() -> None:
    with pytest.raises(EffectError, match="must be nodes of a graph of 4"):
        walked(Follows({}), graph_of_lines(LINES, END), 0, END, 9)
