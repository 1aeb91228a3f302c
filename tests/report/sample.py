"""A made-up results document that exercises everything a report can show: all verdicts, controls, variants,
observations of every kind, open intervals, seeds and prompt batches. Its numbers are invented, its intervals are real.
"""

from __future__ import annotations

import copy

import numpy as np
from sample_parts import INF, PAPERS, VERSIONS, Doc, control, draw, effect, measured, rate, region, replicates, result, why


def _load_bearing() -> list[Doc]:
    where = region(0.10, INF, "share of gain")
    test = "test_heads.py::top_induction_heads_are_load_bearing"
    title = "Top induction heads are load-bearing"
    protocol = (
        "Heads are chosen afresh in each replicate on sequences of their own: excess induction score over the broken "
        "repeat, beyond the permutation null. Their outputs are replaced by those of another sequence (resample "
        "ablation). The effect is the share of order gain lost, minus that of as many random heads of the same layers."
    )
    grid = [[0.02, 0.04, 0.01, 0.03], [0.05, 0.02, 0.01, 0.06], [0.03, 0.91, 0.02, 0.88], [0.04, 0.01, 0.79, -0.12]]
    steps = [0, 1, 2, 3, 4]
    main = result(
        "load-bearing/top-heads-beat-random", test, title, "copying", "SUPPORTED",
        why(draw(1, 6, 0.94, 0.03), where, "inside"),
        statement="Share of order gain lost when the top induction heads are removed, over as many random heads.",
        protocol=protocol,
        **measured(draw(1, 6, 0.94, 0.03), where),
        documented={"text": "top 2 % of heads of every layer; tasks lose 20 to 40 % of their gain", "value": 0.28,
                    "unit": "share of gain"},
        preconditions=[
            {"name": "order gain on data of its own", "need": "≥ 0.5 nat", "value": 4.61, "unit": "nat",
             "passed": True},
            {"name": "heads above the null", "need": "≥ 1", "value": 3, "unit": "heads", "passed": True},
        ],
        receipts=[
            {"intervention": "without 2.1 2.3 3.2 (resample)", "fired": 192, "wired": True, "moved_activation": 3.42,
             "moved_logits": 8.17, "neutral": False, "count": 6},
            {"intervention": "without random heads (resample)", "fired": 768, "wired": True, "moved_activation": 2.9,
             "moved_logits": 0.031, "neutral": False, "count": 24},
        ],
        observations={
            "looks": {
                "kind": "attention", "title": "Attention of head 1.2, the strongest by induction score", "unit": "attention",
                "values": [[1.0], [0.2, 0.8], [0.7, 0.1, 0.2], [0.1, 0.05, 0.8, 0.05], [0.05, 0.05, 0.0, 0.85, 0.05]],
                "tokens": ["<|endoftext|>", " the", "\n", " the", "\n"], "marked": [[3, 2], [4, 3]],
            },
            "scores": {"kind": "heads", "title": "Induction score above the broken repeat, seed 0", "unit": "attention",
                       "values": grid, "marked": [[2, 1], [2, 3], [3, 2]]},
            "dose": {"kind": "curve", "title": "Gain left as heads are removed", "unit": "share of gain", "x": steps,
                     "x_label": "heads removed", "y_label": "share of order gain", "series": [
                         {"name": "by induction score", "y": [1.0, 0.71, 0.22, 0.04, 0.02], "low": [1, 0.6, 0.12,
                                                                                                    0.01, 0.0],
                          "high": [1, 0.8, 0.34, 0.09, 0.05]},
                         {"name": "random, same layers", "y": [1.0, 0.99, 0.985, 0.98, 0.96]}]},
            "rank": {"kind": "value", "title": "Rank among 100 matched random sets", "unit": "p", "value": 0.0099,
                     "note": "(1 + sets at least as extreme) / (1 + sets)"},
            "gains": {"kind": "table", "title": "Gains by protocol", "unit": "nat", "columns": ["gain", "whole",
                                                                                                "without top"],
                      "rows": [["order", 4.61, 0.09], ["swap", 4.72, 0.2], ["naive", 4.9, None]]},
        },
        variants=[
            {"name": "zero ablation", "binding": True, "agrees": True,
             "effects": [effect(draw(2, 6, 0.91, 0.05), where, unit="share of gain")]},
            {"name": "no BOS", "binding": True, "agrees": True,
             "effects": [effect(draw(3, 6, 0.93, 0.04), where, unit="share of gain")]},
            {"name": "paper's rule: top 2 % of every layer", "binding": False, "agrees": True,
             "effects": [effect(draw(4, 6, 0.55, 0.15), where, unit="share of gain")]},
        ],
        recorded={"weights": True, "retrained_seed": 3, "agrees": True},
        calibration={"date": "2026-11-22", "stale": ["code"], "rows": [
            rate("null", "permuted scores", 0.0, 0.0, 0.0974), rate("edge", "effect", 0.0278, 0.0007, 0.1453, meets=False),
            rate("power", "constructed induction head", 1.0, 0.9026, 1.0, on="constructed-induction-head"),
            rate("edge", "effect", 0.02, 0.0, 0.975, tier="resampled", independent=1, meets=False),
            {**rate("edge", "effect", None, None, None, tier="none", independent=0, meets=False),
             "note": "all effects are equal: there is no spread to move"}]},
        p_value=0.015625, adjusted={"verdict": "SUPPORTED", "method": "BH", "rate": 0.0313, "of": 12},
    )  # fmt: skip
    controls = [
        control(main, "constructed induction head", "positive", "SUPPORTED", why(draw(5, 6, 0.99, 0.004), where,
                                                                                 "inside"),
                subject="constructed-induction-head", evidence="instrument", **measured(draw(5, 6, 0.99, 0.004),
                                                                                        where)),
        control(main, "another seed's heads", "negative", "REFUTED", why(draw(6, 11, 0.0, 0.02), where, "outside"),
                **measured(draw(6, 11, 0.0, 0.02), where)),
        control(main, "permuted scores", "negative", "REFUTED", why(draw(7, 6, 0.0, 0.015), where, "outside"),
                **measured(draw(7, 6, 0.0, 0.015), where)),
        control(main, "no repetition in training", "guard", "NOT_APPLICABLE",
                "order gain 0.03 nat, at least 0.5 nat is needed", subject="no-repetition"),
    ]  # fmt: skip
    built = result(
        "load-bearing/top-heads-beat-random", test, title, "constructed-induction-head", "SUPPORTED",
        why(draw(5, 6, 0.99, 0.004), where, "inside"), evidence="instrument", protocol=protocol,
        controls=copy.deepcopy(main["controls"][1:3]), sound=True, documented=main["documented"],
        **measured(draw(5, 6, 0.99, 0.004), where),
    )  # fmt: skip
    models = []
    for name, gain in (("stories260K", 0.05), ("TinyStories-656K", 0.11)):
        models.append(result(
            "load-bearing/top-heads-beat-random", test, title, name, "NOT_APPLICABLE",
            f"order gain {gain} nat, at least 0.5 nat is needed: the model does not copy", subject_kind="model",
            evidence="model", protocol=protocol, replicate_unit="prompt batch", design={"most": 60},
            documented=main["documented"],
            preconditions=[{"name": "order gain on data of its own", "need": "≥ 0.5 nat", "value": gain, "unit": "nat",
                            "passed": False}],
            expected={"verdict": "NOT_APPLICABLE", "reason": "a story model with no induction head"}))  # fmt: skip
    return [main, *controls, built, *models, *_anti_induction()]


def _anti_induction() -> list[Doc]:
    test = "test_anti.py::anti_induction_stays_near_zero"
    title = "Anti-induction stays near zero, jointly with reverse copying"
    anti, loss = region(-0.05, 0.05, "attention rise"), region(-INF, 0.2, "nat")
    a, b = draw(11, 11, 0.012, 0.011), draw(12, 11, 0.31, 0.06)
    main = result(
        "load-bearing/anti-induction-near-zero", test, title, "reverse-copying", "REFUTED",
        "reverse copy loss: median 0.3 of eleven seeds lies outside below 0.2 nat; the score itself stays near zero",
        evidence="analogue", n=11, replicates=replicates({"anti score": a, "reverse copy loss": b}),
        effects=[effect(a, anti, "anti score", "attention rise"), effect(b, loss, "reverse copy loss", "nat")],
        protocol="Scores of every head on reversed copies minus those on shuffled ones; loss of the reversed half.",
        expected={"verdict": "REFUTED", "reason": "a net of this size does not learn reverse copying to 0.2 nat"},
        recorded={"weights": True, "retrained_seed": 7, "agrees": True},
        lock={"hash": "77c0de", "date": "2026-11-21", "amended": "2026-11-23: margin from 0.04 to 0.05",
              "measured_before": True},
    )  # fmt: skip
    mirror = control(
        main, "mirror head", "negative", "REFUTED", "anti score: median 0.93 lies outside within ±0.05",
        subject="mirror-head",
        evidence="instrument", n=6, replicates=replicates({"anti score": draw(13, 6, 0.93, 0.01)}),
        effects=[effect(draw(13, 6, 0.93, 0.01), anti, "anti score", "attention rise")],
    )  # fmt: skip
    model = result(
        "load-bearing/anti-induction-near-zero", test, title, "stories260K", "INVALID",
        "a rerun of prompt batch 3 gave 0.0121 and then 0.0184: the measurement is not repeatable",
        subject_kind="model",
        evidence="model", replicate_unit="prompt batch", design={"most": 60}, unexpected=True,
        expected={"verdict": "NOT_APPLICABLE", "reason": "scores are shown and not judged on a given model"},
    )  # fmt: skip
    return [main, mirror, model]


def _ih_clamp() -> list[Doc]:
    rate = region(0.5, INF, "rate", "rate")
    events = [(1.0, 1.0)] * 10 + [(0.0, 0.0)]
    spread = region(0.2, INF, "attention")
    wide = draw(21, 11, 0.61, 0.09)
    graded = result(
        "ih-clamp/many-graded-heads", "test_heads.py::several_graded_heads_form",
        "Several heads of graded strength form",
        "ih-clamp-eight", "SUPPORTED", "three or more heads in ten of eleven seeds; spread inside above 0.2 attention",
        n=11, replicates=replicates({"three or more heads": events, "spread": wide}), effects=[
            {**effect(events, rate, "three or more heads", "rate"), "estimate": 10 / 11, "low": 0.587, "high": 0.998,
             "method": "Clopper-Pearson", "t_low": None, "t_high": None},
            effect(wide, spread, "spread", "attention")],
        protocol="Attention of each layer-2 head to the correct label, on held-out episodes; a head counts above 0.3.",
        documented={"text": "one seed: 0.84 down to 0.10", "value": 0.74, "unit": "attention"},
        recorded={"weights": True, "retrained_seed": 2, "agrees": True},
        observations={"strengths": {
            "kind": "heads", "title": "Attention to the correct label, seed 0", "unit": "attention",
            "values": [[0.04, 0.03, 0.05, 0.02, 0.04, 0.06, 0.03, 0.0], [0.84, 0.71, 0.52, 0.44, 0.36, 0.28, 0.2, 0.1]],
            "marked": [[1, 0], [1, 1], [1, 2], [1, 3], [1, 4]]}},
    )  # fmt: skip
    one = control(graded, "one-head family", "negative", "REFUTED", "spread 0 in every seed, outside above 0.2", n=6,
                  subject="ih-clamp-one", replicates=replicates({"spread": [(0.0, 0.0)] * 6}),
                  effects=[effect([(0.0, 0.0)] * 6, spread, "spread", "attention")])  # fmt: skip
    trend = region(0.6, INF, "correlation")
    solo = result(
        "ih-clamp/strength-predicts-solo-accuracy", "test_solo.py::strength_predicts_solo_accuracy",
        "A head's strength predicts its accuracy alone", "ih-clamp-eight", "INCONCLUSIVE",
        "median 0.69 of six seeds, interval 0.41 to 0.88, not decided against above 0.6 correlation",
        **measured([(0.41, 0.41), (0.62, 0.62), (0.66, 0.66), (0.72, 0.72), (0.81, 0.81), (0.88, 0.88)], trend),
        detectable={"effect": 0.19}, needed=5,
        protocol="All layer-2 heads but one are removed; Spearman correlation of accuracy with label attention.",
        documented={"text": "one seed: 0.29 for the weakest head, 0.98 for the strongest", "value": None,
                    "unit": "accuracy"},
    )  # fmt: skip
    shuffled = control(solo, "output norm instead of strength", "negative", "INCONCLUSIVE",
                       "median 0.31, not decided", None,
                       **measured(draw(24, 6, 0.3, 0.25), trend))  # fmt: skip
    null = region(-0.03, 0.03, "accuracy")
    single = result(
        "ih-clamp/no-single-head-necessary", "test_single.py::no_single_head_is_necessary",
        "No single head is necessary",
        "ih-clamp-eight", "SUPPORTED", why(draw(25, 6, 0.005, 0.004), null, "inside"),
        **measured(draw(25, 6, 0.005, 0.004), null),
        protocol="Largest drop of accuracy over the eight single removals.",
        documented={"text": "accuracy stays at 0.987 or above", "value": 0.013, "unit": "accuracy"},
    )  # fmt: skip
    broken = control(single, "one-head family", "negative", "INCONCLUSIVE", "median 0.05, reaches across ±0.03", False,
                     subject="ih-clamp-one", **measured(draw(26, 6, 0.04, 0.03), null))  # fmt: skip
    adds = region(-INF, 0.0, "log nat")
    times = [(-0.9, -0.7), (-1.1, -0.8), (-INF, -0.6), (-0.5, -0.4), (-1.4, -1.2), (-INF, -0.9)]
    up = result(
        "ih-clamp/heads-add-up", "test_add.py::heads_add_up", "Heads add up in order of strength", "ih-clamp-eight",
        "SUPPORTED",
        "median below −0.4 in six seeds, inside below 0 log nat", **measured(times, adds),
        protocol="Smallest adjacent gap of log loss as heads are added back; a loss at the floor is an open interval.",
        documented={"text": "0.117, 0.044, 0.010, 0.005", "value": -0.69, "unit": "log nat"},
        observations={
            "loss": {"kind": "curve", "title": "Loss as heads are added back", "unit": "nat", "x": [1, 2, 3, 4, 5, 6,
                                                                                                    7, 8],
                     "y": [0.117, 0.044, 0.01, 0.005, 0.004, 0.0035, 0.0031, 0.003], "x_label": "heads",
                     "y_scale": "log"},
            "times": {"kind": "survival", "title": "Steps to a loss of 0.28", "unit": "steps", "arms": [
                {"name": "none clamped", "runs": 6, "at": [310, 480, 520], "left": [0.83333, 0.66667, 0.5],
                 "censored": [600, 600, 600]},
                {"name": "match", "runs": 6, "at": [30, 40, 90], "left": [0.66667, 0.33333, 0.0], "censored": []}],
                "columns": ["arm", "runs", "got there", "mean steps up to 600", "95 % from", "to"],
                "rows": [["none clamped", 6, 3, 518.3, 401, 636], ["match", 6, 6, 53.3, 22, 85]],
                "note": "Log-rank test, none clamped and match: p = 0.0007. Shown, not judged."},
            "seeds": {"kind": "curve", "title": "Accuracy over training", "unit": "accuracy", "x": [0, 100, 200, 300],
                      "x_label": "steps", "y_label": "accuracy", "series": [
                          {"name": f"net, seed {seed}", "y": [0.1, 0.2 + seed / 10, 0.8 + seed / 40, None if seed == 3 else 1.0]}
                          for seed in range(4)]},
            "overlap": {"kind": "matrix", "title": "Overlap of masks", "unit": "Jaccard index", "rows": ["early", "late"],
                        "columns": ["early", "late"], "values": [[1, 0.52], [0.52, 1]], "note": "Random masks have 0.43."},
            "way": {"kind": "graph", "title": "From 0 to 3", "edges": [[0, 1], [1, 2], [0, 2], [2, 3]],
                    "paths": [{"name": "path", "nodes": [0, 1, 2, 3]}, {"name": "network", "nodes": [0, 3]}]},
            "remark": {"kind": "text", "title": "Seed 2", "text": "Its loss reached the floor at four heads."}},
        recorded={"weights": True, "retrained_seed": 2, "agrees": False},
    )  # fmt: skip
    return [graded, one, solo, shuffled, single, broken, up]


def _attn_sae() -> list[Doc]:
    rise = region(0.1, INF, "attention rise")
    batches = draw(31, 46, 0.34, 0.16)
    low = float(np.mean([value for value, _ in batches]))
    on_model = {
        "replicates": replicates({"effect": batches}, seeds=False), "n": 46, "replicate_unit": "prompt batch",
        "design": {"most": 60, "bounds": {"effect": 1.0}}, "subject_kind": "model", "evidence": "model",
        "effects": [{**effect(batches, rise, unit="attention rise"), "method": "betting confidence sequence, clipped at ±1",
                     "estimate": low,
                     "low": 0.192, "high": 0.447, "clipped": 0.004, "t_low": low - 0.05, "t_high": low + 0.05}],
    }  # fmt: skip
    prefix = "test_prefix.py::long_and_short_prefix_heads"
    wanted = {"documented": {"text": "head 5.1 from 0.3 at prefix 1 to 0.7 at prefix 2", "value": 0.4,
                             "unit": "attention rise"},
              "protocol": "Rise of induction attention from prefix 1 to 4, long minus short."}  # fmt: skip
    family = result("attn-sae/long-short-prefix-heads", prefix, "Heads split by prefix length", "order-two-rules",
                    "SUPPORTED",
                    why(draw(32, 6, 0.42, 0.08), rise, "inside"), **measured(draw(32, 6, 0.42, 0.08), rise),
                    **wanted)  # fmt: skip
    family["replicates"].append({"index": 6, "seed": 6, "passed": False, "effects": {"effect": [0.02, 0.02]}})
    family["replicates"].append({"index": 7, "seed": 7, "passed": True, "effects": {"effect": [0.4, 0.4]}})
    twin = control(family, "order-one twin", "negative", "REFUTED", why(draw(33, 6, 0.0, 0.03), rise, "outside"),
                   subject="order-one-rules", **measured(draw(33, 6, 0.0, 0.03), rise))  # fmt: skip
    big = np.abs(np.random.default_rng(5).normal(0, 0.06, (12, 12)))
    big[5, 1], big[5, 5], big[6, 9], big[7, 10] = 0.81, 0.77, 0.6, 0.44
    model = result("attn-sae/long-short-prefix-heads", prefix, "Heads split by prefix length", "gpt2-small",
                   "SUPPORTED",
                   "mean 0.34 over 46 prompt batches, inside above 0.1 attention rise", **on_model, **wanted,
                   observations={
                       "scores": {"kind": "heads", "title": "Induction attention", "unit": "attention",
                                  "values": big.tolist(),
                                  "marked": [[5, 1], [5, 5]]}})  # fmt: skip
    test = "test_prefix.py::corruption_is_selective"
    title = "Prefix corruption is selective"
    few = result("attn-sae/prefix-corruption-selective", test, title, "order-two-rules", "INCONCLUSIVE",
                 "three seeds of six: too few to decide", expected={"verdict": "SUPPORTED",
                                                                    "reason": "the paper found it in two heads"},
                 unexpected=True, needed=3, **measured(draw(34, 3, 0.2, 0.1), rise))  # fmt: skip
    failed = result("attn-sae/prefix-corruption-selective", test, title, "gpt2-small", "ERROR",
                    "the claim returned NaN for effect “effect” in prompt batch 0; return a number or an interval",
                    subject_kind="model", evidence="replication", replicate_unit="prompt batch", design={"most": 60},
                    unexpected=True)  # fmt: skip
    return [family, twin, model, few, failed]


def sample() -> Doc:
    """The document: three papers, eight claims, 15 verdicts and their controls. Holds infinities, as judging does."""
    papers = [
        {**paper, "findings": [
            {"finding": f"{paper['slug']}/{short}", "statement": text, "status": status, "reason": why}
            for short, text, status, why in paper["findings"]]}
        for paper in PAPERS
    ]  # fmt: skip
    return {
        "schema": "claimbench-results/1", "created": "2026-11-24T18:09:40.412+00:00", "claimbench": "0.1.0",
        "versions": dict(VERSIONS), "machine": {"cpu": "x86-64 with AVX2", "cores": 2, "platform": "Linux"},
        "profile": "standard", "seed": 0, "command": "pytest claims --with-controls --report report", "papers": papers,
        "results": [*_load_bearing(), *_ih_clamp(), *_attn_sae()],
        "missing": ["attn_sae/test_prefix.py::corruption_is_selective[order-two-rules-order-one twin]"],
        "complete": False,
    }  # fmt: skip


HOSTILE = "<script>alert('x')</script> \"quoted\" & 'single' `tick` | pipe {{ 7*7 }}"
RIGHT_TO_LEFT = "نموذج־דגם العربية"
LONG = "a-very-long-name-" * 18


def hostile() -> Doc:
    """The sample with names that try to break the page: markup, quotes, right-to-left text, 300 characters."""
    document = copy.deepcopy(sample())
    for index, name in enumerate((HOSTILE, RIGHT_TO_LEFT, LONG)):
        entry = document["results"][[0, 10, 13][index]]
        entry.update(
            subject=name, title=name, reason=name, statement=name, protocol=name, finding=f"{entry['paper']}/{name}"
        )
        for mark in entry["controls"]:
            mark["name"] = f"{name} {mark['name']}"
        entry["observations"] = {name: {"kind": "table", "title": name, "columns": [name], "rows": [[name]]}}
        entry["receipts"] = [{"intervention": name, "fired": 1, "wired": True, "moved_activation": 0.1,
                              "moved_logits": 0.1,
                              "neutral": False, "count": 1}]  # fmt: skip
        entry["documented"] = {"text": name, "value": None, "unit": name}
    document["papers"][0].update(title=HOSTILE, authors=HOSTILE, url="javascript:alert(1)", identifier=HOSTILE)
    document["command"] = HOSTILE
    return document
