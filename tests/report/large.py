"""Large documents made of the sample's results: many findings on many models, with effects of their own."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from claimbench.reporting.results import complete
from sample import sample


def large(findings: int, models: int) -> dict[str, Any]:
    """A completed document of `findings` x `models` verdicts on given models."""
    made = complete(sample())
    kinds = [result for result in made["results"] if not result["control"] and result["n"]]
    draw = np.random.default_rng(0)
    results = []
    for finding in range(findings):
        kind = kinds[finding % len(kinds)]
        for model in range(models):
            result = copy.deepcopy(kind)
            result |= {
                "finding": f"{kind['finding']}-{finding}", "claim": f"{kind['claim']}_{finding}",
                "title": f"{kind['title']} ({finding})",
                "item": f"{kind['item']}-{finding}-{model}", "subject": f"model-{model}", "subject_kind": "model",
                "evidence": "model", "recorded": None, "replicate_unit": "prompt batch",
            }  # fmt: skip
            for replicate in result["replicates"]:
                move = round(float(draw.normal(0, 0.05)), 4)
                replicate["effects"] = {
                    name: [end if end is None else end + move for end in pair] for name, pair in replicate["effects"].items()
                }
            for seen in result["observations"].values():
                if seen["kind"] == "heads":
                    seen["values"] = [[round(float(value), 3) for value in row] for row in draw.random((12, 12))]
            results.append(result)
    return {**made, "results": results, "missing": [], "complete": True}
