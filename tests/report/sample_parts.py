"""Parts of made-up results: regions, effects with real intervals, replicates, results and their controls."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

Doc = dict[str, Any]
INF = float("inf")

VERSIONS = {"python": "3.12.4", "torch": "2.13.0", "transformers": "5.24.0", "numpy": "2.4.1", "scipy": "1.17.0"}
PAPERS: list[Doc] = [
    {
        "slug": "load-bearing",
        "title": "Induction Signatures Are Not Enough: A Matched-Compute Study of Load-Bearing Structure in ICL",
        "identifier": "arXiv 2509.22947",
        "year": 2025,
        "url": "https://arxiv.org/abs/2509.22947",
        "authors": ["Sabry", "Belz"],
        "findings": [
            ("top-heads-beat-random",
             "Ablating the top heads by induction score lowers in-context performance more than "
             "matched random heads.", "executable", None),
            ("anti-induction-near-zero",
             "Heads attending to the token before an earlier occurrence stay near zero even when "
             "training snippets ask for reverse copying.", "executable", None),
            ("copy-snippets-raise-induction",
             "Mixing induction copy snippets into pre-training raises the induction-head "
             "activity of the model.", "registered", "needs a pair of trained checkpoints"),
            ("no-consistent-icl-gain",
             "The extra induction activity from copy snippets brings no consistent gain in few-shot "
             "performance.", "registered", "needs few-shot tasks above chance"),
        ],
    },
    {
        "slug": "ih-clamp",
        "title": "What needs to go right for an induction head?",
        "identifier": "arXiv 2404.07129",
        "year": 2024,
        "url": "https://arxiv.org/abs/2404.07129",
        "authors": ["Singh", "Moskovitz", "Hill", "Chan", "Saxe"],
        "findings": [
            ("many-graded-heads", "With eight layer-2 heads several become induction heads with a wide spread of "
             "strengths (one seed: 0.84 down to 0.10).", "executable", None),
            ("strength-predicts-solo-accuracy",
             "Keeping a single layer-2 head gives accuracy that rises almost monotonically "
             "with that head's induction strength.", "executable", None),
            ("no-single-head-necessary", "Removing any one layer-2 head leaves accuracy at 0.987 or above, while the "
             "strongest head alone already gives 0.980.", "executable", None),
            ("heads-add-up", "Adding heads back in order of strength lowers loss monotonically.", "executable", None),
            ("clamping-removes-plateau",
             "Clamping subcircuits in training shortens time to criterion in a fixed order.",
             "registered", "needs training clamps"),
        ],
    },
    {
        "slug": "attn-sae",
        "title": "Interpreting Attention Layer Outputs with Sparse Autoencoders",
        "identifier": "arXiv 2406.17759",
        "year": 2024,
        "url": "https://arxiv.org/abs/2406.17759",
        "authors": "Kissane et al.",
        "findings": [
            ("long-short-prefix-heads", "Seemingly redundant induction heads split by prefix length.", "executable",
             None),
            ("prefix-corruption-selective",
             "Replacing the second-back prefix token cuts the long-prefix head's induction "
             "attention but not the short-prefix head's.", "executable", None),
            ("sparse-and-faithful", "Dictionaries on concatenated head outputs are sparse and faithful.", "registered",
             "needs a sparse autoencoder"),
        ],
    },
]  # fmt: skip


def effect(values: Sequence[tuple[float, float]], region: Doc, name: str = "effect", unit: str = "nat") -> Doc:
    """Median with its exact order-statistic interval, from intervals by their outer ends."""
    lows, highs = sorted(low for low, _ in values), sorted(high for _, high in values)
    n, skip = len(values), 1 if len(values) == 11 else 0
    mids = [(low + high) / 2 for low, high in values]
    finite = [mid for mid in mids if np.isfinite(mid)]
    shown = n >= 6
    spread = 2.5 * float(np.std(finite, ddof=1)) / len(finite) ** 0.5 if len(finite) > 1 else 0.0
    mean = float(np.mean(finite)) if finite else 0.0
    whole = shown and len(finite) == n
    return {
        "name": name, "unit": unit, "level": 0.95, "method": "order statistics", "clipped": None, "region": region,
        "estimate": float(np.median(mids)) if np.isfinite(np.median(mids)) else None,
        "low": lows[skip] if shown else -INF, "high": highs[n - 1 - skip] if shown else INF,
        "t_low": mean - spread if whole else None, "t_high": mean + spread if whole else None,
    }  # fmt: skip


def region(low: float, high: float, unit: str, of: str = "typical") -> Doc:
    """A region with its text, as `str(region)` has it."""
    tail = "" if unit in ("1", "rate") else f" {unit}"
    head = "rate " if of == "rate" else ""
    text = f"above {low:g}{tail}" if high == INF else f"below {high:g}{tail}" if low == -INF else ""
    text = text or (f"within ±{high:g}{tail}" if low == -high else f"{low:g} to {high:g}{tail}")
    return {"low": low, "high": high, "unit": unit, "of": of, "scale": "linear", "text": head + text}


def draw(seed: int, n: int, mean: float, spread: float) -> list[tuple[float, float]]:
    values = np.random.default_rng(seed).normal(mean, spread, n).round(4)
    return [(float(value), float(value)) for value in values]


def replicates(effects: dict[str, Sequence[tuple[float, float]]], seeds: bool = True) -> list[Doc]:
    n = len(next(iter(effects.values())))
    return [
        {
            "index": i,
            "seed": i if seeds else None,
            "passed": True,
            "effects": {k: list(v[i]) for k, v in effects.items()},
        }
        for i in range(n)
    ]


def result(finding: str, test: str, title: str, subject: str, verdict: str, reason: str, **more: Any) -> Doc:
    """A whole result; `more` overrides fields."""
    paper = finding.partition("/")[0]
    claim = f"{paper.replace('-', '_')}/{test}"
    made: Doc = {
        "item": f"claims/{claim}[{subject}]", "finding": finding, "claim": claim, "title": title, "paper": paper,
        "subject": subject,
        "subject_kind": "family", "control": None, "subject_digest": "9f2c41d07b6e85a3" * 4, "evidence": "organism",
        "verdict": verdict, "reason": reason, "effects": [], "replicates": [], "replicate_unit": "seed", "n": 0,
        "observations": {}, "variants": [], "receipts": [], "preconditions": [], "controls": [], "sound": None,
        "expected": None, "unexpected": False, "documented": None, "statement": "", "protocol": "",
        "region_why": "the paper gives a direction only; the edge is the smallest effect worth the word",
        "recorded": None,
        "calibration": None, "lock": {"hash": "6b1f0c3ad2e4", "date": "2026-11-20", "amended": None,
                                      "measured_before": False},
        "design": {"looks": [6, 11]}, "detectable": None, "needed": None, "seconds": 11.4, "forward_passes": 9216,
        "peak_memory_mb": 840.5, "code_digest": "51aa90c2f3b7d8e6" * 4, "profile": "standard",
        "measured_at": "2026-11-24T18:02:11Z",
        "rerun": f"pytest 'claims/{claim}[{subject}]' --profile standard --seed 0",
    }  # fmt: skip
    return {**made, **more}


def control(main: Doc, name: str, kind: str, verdict: str, reason: str, ok: bool | None = True, **more: Any) -> Doc:
    """A control of `main` as a result of its own; `main` gets an entry for it."""
    expected = {"positive": "SUPPORTED", "negative": "REFUTED", "guard": "NOT_APPLICABLE"}[kind]
    entry = {"name": name, "kind": kind, "expected": expected, "ok": ok}
    main["controls"].append({**entry, "verdict": verdict, "source": "run"})
    main["sound"] = not any(c["ok"] is False for c in main["controls"])
    made = copy.deepcopy(main)
    plain = {"controls": [], "variants": [], "observations": {}, "sound": None, "expected": None, "unexpected": False,
             "replicates": [], "effects": [], "n": 0, "recorded": None, "detectable": None, "needed": None}  # fmt: skip
    return {**made, **plain, "control": entry, "verdict": verdict, "reason": reason, **more}


def why(values: Sequence[tuple[float, float]], where: Doc, place: str) -> str:
    """A reason as judging words it."""
    made = effect(values, where)
    return (
        f"median {made['estimate']:.3g} of {len(values)} seeds, interval {made['low']:.3g} to {made['high']:.3g}, "
        f"{place} {where['text']}"
    )


def measured(values: Sequence[tuple[float, float]], where: Doc) -> Doc:
    return {
        "replicates": replicates({"effect": values}),
        "effects": [effect(values, where, unit=where["unit"])],
        "n": len(values),
    }


def rate(
    what: str, of: str, share: float | None, low: float | None, high: float | None, *, on: str = "copying",
    tier: str = "direct", independent: int = 36, meets: bool = True,
) -> Doc:  # fmt: skip
    """One support rate of a calibration."""
    return {
        "what": what, "of": of, "on": on, "share": share, "low": low, "high": high, "independent": independent,
        "tier": tier, "meets": meets, "note": "",
    }  # fmt: skip
