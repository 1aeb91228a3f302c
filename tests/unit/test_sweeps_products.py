"""Products by oneDNN are those of the modules themselves, and only modules that bear them are taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from claimbench.sweeps import heads, last_token_loss, loss, sweep
from claimbench.sweeps.exact import levers_of
from claimbench.sweeps.products import by_onednn, faster
from transformers.pytorch_utils import Conv1D

from tiny_models import some_ids, tiny_lm, untouched

pytestmark = pytest.mark.skipif(not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="a torch without oneDNN")


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claimbench.sweeps.products._is_faster", lambda module: True)


@pytest.mark.parametrize(
    "made", [lambda: torch.nn.Linear(24, 40), lambda: torch.nn.Linear(24, 40, bias=False), lambda: Conv1D(40, 24)]
)
def test_a_product_is_the_module_s_own(made: Any) -> None:
    torch.manual_seed(0)
    module = made()
    for values in (torch.randn(3, 5, 24), torch.randn(3, 7, 24)[:, 2:], torch.randn(1, 24)):
        with torch.no_grad():
            torch.testing.assert_close(by_onednn(module)(values), module(values.contiguous()), atol=1e-5, rtol=1e-5)


def test_only_what_bears_it_is_taken(always: None) -> None:
    class Own(torch.nn.Linear):
        pass

    plain, other = torch.nn.Linear(8, 8), torch.nn.Linear(8, 8)
    other.forward = lambda values: values  # type: ignore[method-assign]
    assert faster([plain, Own(8, 8), torch.nn.Linear(8, 8).double(), torch.nn.LayerNorm(8), other]) == [plain]


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_sweep_by_onednn_is_the_sweep(family: str, always: None) -> None:
    lm, ids = tiny_lm(family), some_ids(4, 8)
    split = levers_of(lm).split
    assert split is not None and len(split.products) > 4 * lm.layers
    for measure in (loss(), last_token_loss([5, 6, 7, 8])):
        found = sweep(lm, heads(lm), ids, measure)
        split.products, kept = [], split.products
        np.testing.assert_allclose(found.values, sweep(lm, heads(lm), ids, measure).values, atol=1e-6)
        split.products = kept
    assert untouched(lm.model) == [] and not any("forward" in vars(part) for part in lm.model.modules())
    with torch.no_grad():
        lm.model.get_output_embeddings().weight.mul_(1.5)  # weights are used as they are now
    np.testing.assert_allclose(sweep(lm, heads(lm), ids, loss()).plain, lm.nll(ids).mean(1).numpy(), atol=1e-5)
