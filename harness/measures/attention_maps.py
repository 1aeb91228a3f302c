"""The attention of one head on one row, token by token, for a reader to look at; nothing is judged by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import UsageError

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from ..subjects.lm import LM

    Ids = NDArray[np.int64]
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")


def attention_map(lm: LM, row: Ids, head: tuple[int, int]) -> NDArray[np.float64]:
    """Weights of a head (layer, head) on a row of ids [t]: float64 [queries t, keys t], 0 above the diagonal.

    Raises:
        UsageError: no such head.
    """
    at, which = (int(number) for number in head)
    if not (0 <= at < lm.layers and 0 <= which < lm.heads):
        raise UsageError(f"head {(at, which)} is out of range: the subject has {lm.layers} layers of {lm.heads} heads")
    found = np.zeros((len(row), len(row)))

    def read(layer: int, pattern: torch.Tensor, rows: slice) -> None:
        if layer == at:
            found[:] = pattern[0, which].double().cpu().numpy()

    lm.attend(torch.from_numpy(np.asarray(row)[None, :]), read)
    return found


def token_names(lm: LM, row: Ids) -> list[str]:
    """What each id of a row is called: its text where the subject has a tokenizer, else its number."""
    if lm.tokenizer is None:
        return [str(int(token)) for token in row]
    return [str(lm.tokenizer.decode([int(token)])) for token in row]
