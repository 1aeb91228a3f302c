"""Device, dtype and attention implementation: they reach what is measured, and a measurement's key tells them apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from claimbench.running.collecting import load_all_organisms
from claimbench.subjects.loading import live_model

from running_fakes import declared, item, session
from saved_models import llama


def loss_and_dtype(lm: Any) -> float:
    """Mean loss on fixed tokens, nats."""
    ids = np.arange(24).reshape(2, 12) % 16 + 2
    return float(lm.nll(ids).mean())


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-4), ("bfloat16", 0.1)])
def test_a_dtype_reaches_families(dtype: str, tolerance: float, tmp_path: Path) -> None:
    """Another key, and numbers that are close and not the same."""
    load_all_organisms([], tmp_path)
    made = item(declared(loss_and_dtype), "untrained-copying")
    plain, other = session(tmp_path), session(tmp_path, dtype=dtype)
    lm = other.subjects.get(made.subject, 0)
    assert lm is not None and str(lm.dtype) == f"torch.{dtype}" and lm.device.type == "cpu"
    first = plain.measurer.replicate(made, 0)
    assert other.measurer.replicate(made, 0, measure=False) is None
    second = other.measurer.replicate(made, 0)
    assert first is not None and second is not None
    (one, _), (two, _) = (found.parts["effect:"]["effects"]["effect"] for found in (first, second))
    assert one != two and one == pytest.approx(two, rel=tolerance)
    assert session(tmp_path, dtype=dtype).measurer.replicate(made, 0, measure=False) == second


def test_the_attention_implementation_is_in_the_key(tmp_path: Path) -> None:
    made = item(declared(loss_and_dtype), "mine", "model")
    found = {}
    for attention in ("eager", "sdpa"):
        model = llama()
        model.set_attn_implementation(attention)
        here = session(tmp_path, live={"mine": live_model(model, name="mine")})
        assert here.subjects.parameters(made.subject)["attention"] == attention
        assert here.measurer.replicate(made, 0, measure=False) is None
        found[attention] = here.measurer.replicate(made, 0)
    (one, _), (two, _) = (replicate.parts["effect:"]["effects"]["effect"] for replicate in found.values())
    assert one == pytest.approx(two, rel=1e-4)
