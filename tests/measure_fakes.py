"""Stand-in subjects whose attention and losses are written down, so that every measure can be computed by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

FIXTURES = Path(__file__).parents[1] / "fixtures"


def constructed(name: str, seed: int = 0) -> Any:
    """A shipped organism as a real subject."""
    from claimbench.subjects.family import family, load_organisms

    load_organisms([FIXTURES / "organisms"])
    return family(name).subject(seed)


@cache
def story_model() -> Any:
    """A real pretrained model without induction heads."""
    from claimbench.subjects.loading import load_model

    return load_model(str(FIXTURES / "models" / "stories260K"))


Rule = Callable[
    [np.ndarray, int], int | None
]  # (row, query position) -> the one position attended to; None: position 0
Pattern = Callable[[np.ndarray], np.ndarray]  # row -> [t, t]


@dataclass
class FakeTokens:
    frequent: np.ndarray
    natural: Callable[[np.random.Generator, int], np.ndarray] | None = None
    bos: int | None = 0
    separator: int | None = None


@dataclass
class FakeLM:
    """`patterns` [layer][head] give attention, `loss` gives a row's losses, `choose` gives logits of the last token."""

    patterns: Sequence[Sequence[Pattern]] = ()
    loss: Callable[[np.ndarray], np.ndarray] | None = None
    tokens: FakeTokens = field(default_factory=lambda: FakeTokens(np.arange(1, 200)))
    context: int = 256
    vocab: int = 200
    batch_size: int = 5
    facts: Mapping[str, Any] = field(default_factory=dict)
    tokenizer: Any = None
    config: Any = None
    logits_of: Callable[[np.ndarray, frozenset], np.ndarray] | None = None
    removed: frozenset = frozenset()
    shape: tuple[int, int] | None = None

    @property
    def layers(self) -> int:
        return self.shape[0] if self.shape else len(self.patterns)

    @property
    def heads(self) -> int:
        return self.shape[1] if self.shape else len(self.patterns[0])

    def attend(self, ids: torch.Tensor, reduce: Callable[[int, torch.Tensor, slice], None]) -> None:
        for start in range(0, len(ids), self.batch_size):
            rows = slice(start, min(start + self.batch_size, len(ids)))
            for layer, heads in enumerate(self.patterns):
                values = [[head(row) for head in heads] for row in ids[rows].numpy()]
                reduce(layer, torch.tensor(np.array(values), dtype=torch.float32), rows)

    def nll(self, ids: torch.Tensor) -> torch.Tensor:
        assert self.loss is not None
        return torch.tensor(np.array([self.loss(row) for row in ids.numpy()]), dtype=torch.float32)

    def logits(self, ids: torch.Tensor) -> torch.Tensor:
        assert self.logits_of is not None
        return torch.tensor(np.array([self.logits_of(row, self.removed) for row in ids.numpy()]), dtype=torch.float32)

    def without(self, heads: Any, mode: str = "resample", rng: Any = None) -> FakeLM:
        view = FakeLM(**{name: getattr(self, name) for name in self.__dataclass_fields__})
        view.removed = self.removed | frozenset(heads)
        return view


def pointing(rule: Rule) -> Pattern:
    def pattern(row: np.ndarray) -> np.ndarray:
        weights = np.zeros((len(row), len(row)))
        for query in range(len(row)):
            key = rule(row, query)
            weights[query, key if key is not None and 0 <= key <= query else 0] = 1.0
        return weights

    return pattern


def uniform(row: np.ndarray) -> np.ndarray:
    return np.tril(np.ones((len(row), len(row)))) / np.arange(1, len(row) + 1)[:, None]


def blend(share: float, first: Pattern, second: Pattern) -> Pattern:
    return lambda row: share * first(row) + (1 - share) * second(row)


def earlier(row: np.ndarray, query: int, prefix: int = 1) -> int | None:
    """Latest earlier place whose last `prefix` tokens equal those at the query."""
    for place in range(query - 1, prefix - 2, -1):
        if np.array_equal(row[place - prefix + 1 : place + 1], row[query - prefix + 1 : query + 1]):
            return place
    return None


def relative_to_match(offset: int, prefix: int = 1) -> Rule:
    def rule(row: np.ndarray, query: int) -> int | None:
        place = earlier(row, query, prefix)
        return None if place is None else place + offset

    return rule


induction = pointing(relative_to_match(1))
duplicate = pointing(relative_to_match(0))
anti = pointing(relative_to_match(-1))
previous = pointing(lambda row, query: query - 1)
sink = pointing(lambda row, query: 0)


def lag(distance: int) -> Pattern:
    return pointing(lambda row, query: query - distance)


def copying_loss(row: np.ndarray, hit: float = 0.1, miss: float = 5.0, direction: int = 1) -> np.ndarray:
    """A copier: `hit` nats where the token beside the earlier occurrence comes, else `miss`."""
    losses = np.full(len(row) - 1, miss)
    for place in range(len(row) - 1):
        match = earlier(row, place)
        if match is not None and 0 <= match + direction <= place and row[match + direction] == row[place + 1]:
            losses[place] = hit
    return losses


def bag_loss(row: np.ndarray, hit: float = 2.0, miss: float = 6.0) -> np.ndarray:
    """Knows which tokens are present, not their order."""
    return np.array([hit if row[i + 1] in row[: i + 1] else miss for i in range(len(row) - 1)])


def drift_loss(row: np.ndarray) -> np.ndarray:
    """Later tokens are easier, whatever they are."""
    return 10.0 - 0.1 * np.arange(len(row) - 1)
