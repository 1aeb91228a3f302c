"""Results: what one item came to, as the document that reporting, notebooks and `results.json` share."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..verdict import Verdict
from . import committed
from .arm_times import times_of_arms
from .judging import Standing
from .keep import calibration_of
from .measure import Replicate
from .trust import trust_of

if TYPE_CHECKING:
    from ..claim import Claim
    from ..statistics import EffectSummary, Judgement
    from .item import Item
    from .session import Session


#: A replicate's curve is drawn through so many points.
MOST_POINTS = 200


def result_of(item: Item, standing: Standing, replicates: Sequence[Replicate], session: Session) -> dict[str, Any]:
    """Assemble the result of an item; plain JSON values only."""
    claim, options = item.claim, session.options
    expected = None if item.control else committed.expected(item, options.profile.name)
    bodies = [body for replicate in replicates for body in replicate.parts.values()]
    control = item.control
    verdict = standing.verdict
    code = session.measurer.keys.code([claim.function])
    return {
        "item": item.id,
        "finding": claim.finding,
        "claim": item.claim_id,
        "title": session.title(claim),
        "paper": claim.paper,
        "subject": item.subject.name,
        "subject_kind": item.subject.kind,
        "series": None if item.subject.step is None else {"name": item.subject.series, "step": item.subject.step},
        "control": control
        and {
            "name": control.name,
            "kind": control.kind,
            "expected": control.expected.value,
            "ok": None
            if session.subjects.gap(item.subject)
            else control_ok(control.expected, verdict, options.profile.name, item.subject.kind, control.on),
        },
        "subject_digest": session.digest_of(item, replicates),
        "evidence": claim.evidence or session.subjects.evidence(item.subject),
        "verdict": verdict.value,
        "reason": standing.reason,
        "effects": effect_docs(standing.judgement),
        "replicates": [_replicate(replicate, item.subject.kind) for replicate in replicates],
        "replicate_unit": item.subject.unit,
        "n": standing.judgement.n if standing.judgement else 0,
        "observations": merged(replicates, item.subject.unit),
        "variants": _variants(item, standing),
        "receipts": _receipts(bodies),
        "preconditions": _preconditions(item, replicates),
        "controls": [],  # filled in once every item of the claim is known
        "sound": None,
        "expected": expected,
        "unexpected": is_unexpected(expected, verdict),
        "documented": _documented(claim, session),
        "statement": claim.statement,
        "protocol": claim.protocol,
        "region_why": claim.why,
        "recorded": session.recorded_of(item),
        "calibration": None if control else calibration_of(claim, code),
        "lock": committed.lock_of(claim),
        "trust": None if control else trust_of(claim, code),
        "design": _design(item, session),
        "detectable": dict(standing.judgement.detectable) if standing.judgement and standing.judgement.detectable else None,
        "needed": standing.judgement.needed if standing.judgement else None,
        "p_value": standing.judgement.p_value if standing.judgement else None,
        "e_value": standing.judgement.e_value if standing.judgement else None,
        "adjusted": None,  # filled in once the whole suite is known
        "seconds": round(sum(body["seconds"] for body in bodies), 3),
        "forward_passes": int(sum(body["forward_passes"] for body in bodies)),
        "peak_memory_mb": max((body["peak_memory_mb"] for body in bodies), default=0.0),
        "code_digest": code,
        "profile": options.profile.name,
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "rerun": session.rerun_line(item),
    }


def _documented(claim: Claim, session: Session) -> dict[str, Any]:
    """What the paper says, and what its card says of why the measured effect is another."""
    paper, told = session.paper(claim), claim.documented
    found = next((finding for finding in paper.findings if finding.id == claim.finding), None) if paper else None
    return {"text": told.text, "value": told.value, "unit": told.unit, "difference": found.difference if found else ""}


def control_ok(expected: Verdict, verdict: Verdict, profile: str, kind: str, on: str | None) -> bool | None:
    """Whether a control did its work; None where nothing can be said.

    Nothing can be said of an inconclusive control in smoke, nor of a step control on a given model to which the claim
    itself does not apply.
    """
    if verdict is expected:
        return True
    if verdict is Verdict.INCONCLUSIVE and profile == "smoke":
        return None
    if verdict is Verdict.NOT_APPLICABLE and kind == "model" and on is None:
        return None
    return False


def is_unexpected(expected: Mapping[str, str] | None, verdict: Verdict) -> bool:
    """Whether a verdict differs from the committed one; without a commitment nothing is unexpected."""
    return expected is not None and expected["verdict"] != verdict.value


def effect_docs(judgement: Judgement | None) -> list[dict[str, Any]]:
    """The judged effects with interval and region."""
    return [_effect(summary) for summary in judgement.effects] if judgement and judgement.n else []


def _effect(summary: EffectSummary) -> dict[str, Any]:
    return {
        "name": summary.name,
        "estimate": finite(summary.estimate),
        "low": finite(summary.low),
        "high": finite(summary.high),
        "level": summary.level,
        "unit": summary.unit,
        "region": {**summary.region.to_json(), "text": str(summary.region)},
        "method": summary.method,
        "clipped": summary.clipped,
        "t_low": finite(summary.t_low),
        "t_high": finite(summary.t_high),
    }


def finite(number: float | None) -> float | None:
    """A JSON number: an open end or NaN as None."""
    return None if number is None or not math.isfinite(number) else float(number)


def _replicate(replicate: Replicate, kind: str) -> dict[str, Any]:
    body = replicate.parts.get("effect:", {})
    effects = body.get("effects", {})
    seed = replicate.index if kind != "model" else None
    return {"index": replicate.index, "seed": seed, "effects": effects, "passed": replicate.passed}


def _variants(item: Item, standing: Standing) -> list[dict[str, Any]]:
    from ..statistics import agrees

    docs = []
    for variant in item.claim.variants if not item.control else ():
        found = standing.variants.get(variant.name)
        same = agrees(standing.judgement, found) if standing.judgement and found else None
        docs.append({"name": variant.name, "binding": variant.binding, "effects": effect_docs(found), "agrees": same})
    return docs


def _preconditions(item: Item, replicates: Sequence[Replicate]) -> list[dict[str, Any]]:
    docs = []
    for requirement in item.claim.requires:
        bodies = [r.parts[f"requires:{requirement.name}"] for r in replicates if f"requires:{requirement.name}" in r.parts]
        values = sorted(body["value"] for body in bodies if body.get("value") is not None)
        passed = [bool(body.get("passed")) for body in bodies]
        # On a family the typical seed is shown, with how many pass; a given model has one value.
        value = values[len(values) // 2] if values else None
        share = f" ({sum(passed)} of {len(passed)} seeds pass)" if item.subject.seeded and passed else ""
        docs.append(
            {
                "name": requirement.name,
                "need": requirement.need + share,
                "value": value,
                "unit": requirement.unit,
                "passed": all(passed) if passed else None,
            }
        )
    return docs


def _receipts(bodies: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One line for each kind of intervention: how often, and the least it moved anything."""
    merged_by: dict[str, dict[str, Any]] = {}
    for body in bodies:
        for receipt in body.get("receipts", []):
            name = receipt["intervention"].partition(" (")
            kind = f"{name[0].split(' ')[0]} heads ({name[2]}" if name[2] else name[0]
            known = merged_by.get(kind)
            count = int(receipt.get("count", 1))
            if known is None:
                merged_by[kind] = {**receipt, "intervention": kind, "count": count}
                continue
            known["count"] += count
            known["fired"] += receipt["fired"]
            known["wired"] = known["wired"] and receipt["wired"]
            known["neutral"] = known["neutral"] and receipt["neutral"]
            for moved in ("moved_activation", "moved_logits"):
                known[moved] = min(known[moved], receipt[moved])
    return list(merged_by.values())


def merged(replicates: Sequence[Replicate], unit: str) -> dict[str, Any]:
    """Observations for the reader: those of the first replicate, with the numbers of all replicates as a table beside."""
    found: dict[str, Any] = {}
    values: dict[str, tuple[str, list[list[Any]]]] = {}
    times: dict[str, list[Mapping[str, Any]]] = {}
    for replicate in replicates:
        for name, body in replicate.parts.items():
            if name.startswith(("requires", "rerun", "variant")):
                continue
            for title, observation in body.get("observations", {}).items():
                if observation["kind"] == "value":
                    values.setdefault(title, (observation["unit"], []))[1].append([replicate.index, observation["value"]])
                elif observation["kind"] == "times":
                    times.setdefault(title, []).append(observation)
                elif observation["kind"] == "curve" and title in found:
                    _append_curve(found[title], observation, replicate.index, unit)
                elif title not in found:
                    found[title] = dict(observation)
                    if observation["kind"] == "curve":
                        found[title]["series"] = []
                        _append_curve(found[title], observation, replicate.index, unit)
                    elif len(replicates) > 1:
                        which = f"{unit} {replicate.index}"
                        found[title]["note"] = f"{observation['note']} Shown: {which}." if "note" in observation else which
    for title, (measure, rows) in values.items():
        found[title] = {"kind": "table", "title": title, "unit": measure, "columns": [unit, measure or "value"], "rows": rows}
    return found | {title: times_of_arms(title, observations) for title, observations in times.items()}


def _append_curve(into: dict[str, Any], observation: Mapping[str, Any], index: int, unit: str) -> None:
    """Add a replicate's lines. Where it was recorded at other x than those before, all get every x, None where they lack it."""
    here, lines = _thinned(observation)
    if not into["series"]:
        into["x"] = here
    if here != into["x"]:
        if not (_ascending(here) and _ascending(into["x"])):
            return
        x = sorted({*here, *into["x"]})
        for series in into["series"]:
            series["y"] = _placed(into["x"], series["y"], x)
        into["x"] = x
    for name, values in lines:
        into["series"].append({"name": f"{name}, {unit} {index}", "y": _placed(here, values, into["x"])})


def _thinned(observation: Mapping[str, Any]) -> tuple[list[float], list[tuple[str, list[float | None]]]]:
    """x and named lines of one replicate: at most `MOST_POINTS`, evenly spaced, the last always; None where a line ends first."""
    x = observation["x"]
    kept = range(len(x))[:: -max(1, math.ceil(len(x) / MOST_POINTS))][::-1]
    lines = [(series["name"], series["y"]) for series in observation["series"]]
    return [x[at] for at in kept], [(name, [y[at] if at < len(y) else None for at in kept]) for name, y in lines]


def _ascending(x: Sequence[float | None]) -> bool:
    return None not in x and all(one < other for one, other in itertools.pairwise(x))  # type: ignore[operator]


def _placed(x: Sequence[float], y: Sequence[float | None], at: Sequence[float]) -> list[float | None]:
    """Values at `x` as values at all of `at`, None where `x` has no such place."""
    known = dict(zip(x, y, strict=True))
    return list(y) if x == at else [known.get(place) for place in at]


def _design(item: Item, session: Session) -> dict[str, Any]:
    design = session.design(item)
    if item.subject.seeded:
        return {"looks": list(design.looks)}  # type: ignore[union-attr]
    return {"most": design.most, "bounds": dict(design.bounds)}  # type: ignore[union-attr]
