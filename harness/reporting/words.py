"""How the report says things: verdicts, evidence, numbers, durations. Words and numbers only, no markup."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..verdict import Verdict

VERDICTS = tuple(verdict.value for verdict in Verdict)
"""The order in which verdicts are counted and listed."""

LETTERS = {verdict.value: verdict.letter for verdict in Verdict}
MEANINGS = {verdict.value: verdict.meaning for verdict in Verdict}

EVIDENCE = {
    "instrument": "The truth is known by construction or by algebra: this checks the instrument itself and is no "
    "evidence about trained networks.",
    "organism": "A small trained net stands in: the verdict is about this family of nets, trained from several seeds, "
    "not about large language models.",
    "analogue": "The subject stands for something that it is not (another size, task or modality than the paper's, or a "
    "theory for a network): "
    "failing here does not refute the paper.",
    "model": "One given pretrained model: the verdict is about this model and the prompts drawn for it.",
    "replication": "The paper's own model: a direct replication.",
}

CONTROL_KINDS = {
    "positive": "planted: must be SUPPORTED",
    "negative": "the thing is absent: must be REFUTED",
    "guard": "fails a precondition: must be NOT_APPLICABLE",
}

OPEN = "∞"
MINUS = "−"
NO_BREAK = "\u2011"
"""A hyphen at which no line breaks."""


def reading(result: Mapping[str, Any]) -> str:
    """The verdict as a reader should take it: "refuted", or "not reproduced on an analogue"; lower case, no letter."""
    verdict = str(result["verdict"])
    if verdict == "REFUTED" and result.get("evidence") == "analogue":
        return "not reproduced on an analogue"
    return verdict.lower().replace("_", " ")


def number(value: float | None, digits: int = 3) -> str:
    """Three significant digits with a true minus sign, thousands spaced; "–" where there is none."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    size = abs(value)
    if size >= 1000:
        text = f"{value:,.0f}".replace(",", "\u202f") if size < 1e9 else f"{value:.{digits - 1}e}"
    elif size and size < 1e-3:
        mantissa, exponent = f"{value:.{max(digits - 2, 0)}e}".split("e")
        text = f"{mantissa}e{int(exponent)}"
    else:
        text = f"{value:.{digits}g}"
        if "e" in text:  # 999.6 rounds to 1e+03
            text = f"{value:.0f}"
    return text.replace("-", MINUS)


def interval(low: float | None, high: float | None) -> str:
    """`[0.1, 0.4]`; an open end takes a round bracket and the sign of infinity; a point stands alone."""
    if low is None and high is None:
        return "unbounded"
    if low == high:
        return number(low)
    left = f"({MINUS}{OPEN}" if low is None else f"[{number(low)}"
    right = f"{OPEN})" if high is None else f"{number(high)}]"
    return f"{left}, {right}"


def unit_of(effect: Mapping[str, Any]) -> str:
    """The unit as printed after a number: empty for the pure number."""
    unit = str(effect.get("unit") or "")
    return "" if unit in ("1", "none") else unit


def with_unit(text: str, unit: str) -> str:
    """Number and unit, or the number alone."""
    return f"{text} {unit}" if unit and unit != "1" else text


def measured(effect: Mapping[str, Any]) -> str:
    """`0.93 [0.91, 0.97] share of gain`, or that there is no interval yet."""
    estimate, low, high = effect.get("estimate"), effect.get("low"), effect.get("high")
    unit = unit_of(effect)
    if low is None and high is None:
        return "no interval yet" if estimate is None else f"{with_unit(number(estimate), unit)}, no interval yet"
    bounds = interval(low, high)
    return with_unit(bounds if estimate is None or low == high else f"{number(estimate)} {bounds}", unit)


def plural(noun: str) -> str:
    """`claims`, `prompt batches`."""
    return noun + ("es" if noun.endswith(("ch", "s", "x")) else "s")


def count(n: int, noun: str, nouns: str = "") -> str:
    """`1 claim`, `6 claims`."""
    return f"{number(n)} {noun if n == 1 else nouns or plural(noun)}"


def duration(seconds: float | None) -> str:
    """`0.4 s`, `41 s`, `7 min 12 s`, `2 h 05 min`."""
    if seconds is None:
        return "not recorded"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def memory(megabytes: float | None) -> str:
    """`412 MB`, `1.9 GB`."""
    if megabytes is None:
        return "not recorded"
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def replicate_list(result: Mapping[str, Any]) -> str:
    """`0 to 45`, or each seed with a word on those that failed a precondition."""
    every = [(r["seed"] if r["seed"] is not None else r["index"], r["passed"]) for r in result["replicates"]]
    numbers = [n for n, _ in every]
    if len(every) > 11 and all(passed for _, passed in every) and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(f"{n}{'' if passed else ' (precondition failed)'}" for n, passed in every) or "none"


def need(condition: Mapping[str, Any]) -> str:
    """What a precondition asks for, its name said once."""
    name, needed = str(condition["name"]), condition["need"]
    text = needed if isinstance(needed, str) else number(needed)
    return text if text.startswith(name) else f"{name}: {text}"


def scope(design: Mapping[str, Any]) -> str:
    """The look schedule in words."""
    looks = design.get("looks")
    if looks:
        return "looked at after " + " and ".join(map(str, looks))
    if design.get("most"):
        return f"prompt batches until decided, at most {design['most']}"
    return ""


def could_have_seen(result: Mapping[str, Any]) -> list[str]:
    """What an INCONCLUSIVE could have seen, and how many more replicates it needs; one sentence each."""
    said = []
    units = {effect["name"]: unit_of(effect) for effect in result["effects"]}
    for name, distance in (result.get("detectable") or {}).items():
        if distance is None:
            continue
        what = "the effect" if name == "effect" else f"“{name}”"
        amount = with_unit(number(distance), units.get(name, ""))
        said.append(f"It would have seen {what} lying {amount} or more from the region's edge.")
    needed, unit = result.get("needed"), str(result.get("replicate_unit") or "replicate")
    if needed:
        said.append(f"{count(needed, 'more ' + unit, 'more ' + plural(unit))} may decide it.")
    elif result["verdict"] == "INCONCLUSIVE" and needed is None:
        said.append("Its look schedule is exhausted: no further replicate is to be added.")
    return said


NOT_THE_PAPERS = {
    "instrument": "The subject was made for the test: its sizes are not the paper's.",
    "organism": "A small trained network stands in for the paper's: the direction is tested, and sizes need not agree.",
    "analogue": "The subject stands for something that it is not: the direction is tested, and sizes need not agree.",
    "model": "Another model than the paper's: the direction is tested, and sizes need not agree.",
    "replication": "The paper's own model: what differs is protocol, prompts or chance.",
}
"""Why documented and measured effect may differ, by evidence level."""


def difference(result: Mapping[str, Any]) -> str:
    """How the measured effect compares with the documented one, and why it may differ; "" where nothing was measured."""
    documented = result["documented"]
    if not documented or not any(effect["estimate"] is not None for effect in result["effects"]):
        return ""
    said = []
    value = documented["value"]
    same = next((e for e in result["effects"] if e["unit"] == documented["unit"] and e["estimate"] is not None), None)
    if value is not None and same is not None:
        beyond = (same["low"] is not None and value < same["low"]) or (same["high"] is not None and value > same["high"])
        place = "outside" if beyond else "inside"
        said.append(f"The paper's number lies {place} the measured interval.")
    elif value is None:
        said.append("The paper is quoted in words; its direction is what the region tests.")
    expected = result["expected"] if not result["unexpected"] and result["verdict"] != "SUPPORTED" else None
    reason = documented.get("difference") or (expected or {}).get("reason") or NOT_THE_PAPERS[str(result["evidence"])]
    said.append(str(reason)[0].upper() + str(reason)[1:])
    return " ".join(said)


def lock(result: Mapping[str, Any]) -> tuple[str, bool]:
    """When region and protocol were fixed, and whether this deserves a warning."""
    entry = result.get("lock")
    if not entry:
        return "Region and protocol are not locked: they could have been chosen after the data.", True
    text = f"Region and protocol locked on {str(entry['date']).replace('-', NO_BREAK)}"
    before = entry.get("measured_before")
    text += {True: ", after a first measurement existed", False: ", before anything was measured"}.get(before, "")
    if entry.get("amended"):
        how = "" if entry["amended"] is True else f" ({entry['amended']})"
        return f"{text}; amended since{how}.", True
    return text + ".", bool(before)


def recorded(result: Mapping[str, Any]) -> str:
    """Which numbers were recorded earlier and which were made now."""
    entry = result.get("recorded")
    if not entry or not entry.get("weights"):
        return "Made in this run: no recorded weights were read."
    text = "Weights were recorded earlier and read in this run; the measurements were made on them."
    seed = entry.get("retrained_seed")
    if seed is None:
        return text + " No seed was trained again."
    agreed = {True: "agrees with", False: "DISAGREES with", None: "was not compared with"}[entry.get("agrees")]
    return f"{text} Seed {seed} was trained again now and {agreed} its record."


def trust(entry: Mapping[str, Any]) -> str:
    """An audit or a specification curve, as committed, in one sentence."""
    said = _audit(entry) if "faults" in entry else _specifications(entry)
    return said + (" (stale: the claim's code or protocol changed since)" if entry.get("stale") else "")


def _audit(entry: Mapping[str, Any]) -> str:
    if not entry["faults"]:
        return str(entry["reason"])
    outcomes = [found["outcome"] for found in entry["faults"].values()]
    planted = sum(outcome in ("noticed", "exempt", "unnoticed") for outcome in outcomes)
    said = [f"{outcomes.count('noticed')} of {planted} planted faults noticed"]
    if found := outcomes.count("exempt"):
        said.append(f"{found} explained on the card")
    if found := outcomes.count("absent"):
        said.append(f"{found} {'does' if found == 1 else 'do'} not apply")
    said.append("an outlier turned nothing" if "kept" in outcomes else "one outlier turns the verdict")
    return "; ".join(said)


def _specifications(entry: Mapping[str, Any]) -> str:
    found = entry["counts"]
    said = f"{found['same sign']} of {found['measured']} specifications agree in sign, {found['same verdict']} of "
    said += f"{found['specifications']} in the verdict, {found['opposite verdict']} say the opposite"
    return said + (f"; {entry['left_out']} further combinations were left out" if entry["left_out"] else "")


def strength(result: Mapping[str, Any]) -> str:
    """`p = 0.016` of seeds, `e = 43` of prompts (20 is as strong as a p of 0.05); "" where nothing was judged."""
    if result["e_value"] is not None:
        return f"e = {number(result['e_value'])}"
    return "" if result["p_value"] is None else f"p = {number(result['p_value'], 2)}"


def adjusted(result: Mapping[str, Any]) -> str:
    """Whether a verdict stands once all claims of the run are counted, in one sentence; "" where that was not asked."""
    entry = result["adjusted"]
    if not entry or result["verdict"] not in ("SUPPORTED", "REFUTED"):
        return ""
    among = f"among {count(entry['of'], 'claim')} judged in this run ({entry['method']})"
    if entry["verdict"] == result["verdict"]:
        return f"It stands {among}: rate of false discoveries {percent(entry['rate'])}."
    return f"Adjusted: INCONCLUSIVE. It would stand {among} only at a rate of false discoveries of {percent(entry['rate'])}."


RATES = {
    "null": "where it is absent",
    "edge": "moved to the edge",
    "power": "where it is planted",
}
"""What a support rate of a calibration is the rate of."""


def percent(share: float) -> str:
    """`2.5 %`, `100 %`."""
    return f"{100 * share:.3g} %"


def rate(row: Mapping[str, Any]) -> str:
    """`0 % [0 %, 9.7 %] of 36 verdicts`, or why there is none; a row of a calibration."""
    if row["share"] is None:
        return str(row["note"])
    if row["tier"] == "exact":
        return percent(row["share"])
    said = f"{percent(row['share'])} [{percent(row['low'])}, {percent(row['high'])}]"
    said += f" of {count(row['independent'], 'independent verdict')}"
    return f"{said}, {row['note']}" if row["tier"] == "borrowed" else said


def met(row: Mapping[str, Any]) -> str:
    """Whether a direct rate meets its bound; what is not direct never does."""
    if row["tier"] not in ("direct", "exact"):
        return "not counted"
    return "met" if row["meets"] else "NOT met"


def calibration(entry: Mapping[str, Any]) -> str:
    """A claim's calibration in one sentence: what it could be measured on, and what is stale."""
    counted = [row for row in entry["rows"] if row["tier"] in ("direct", "exact")]
    kinds = [RATES[what] for what in RATES if any(row["what"] == what for row in counted)]
    said = f"{sum(bool(row['meets']) for row in counted)} of {len(counted)} direct rates meet their bound"
    if missing := [RATES[what] for what in RATES if RATES[what] not in kinds]:
        said += f"; none {', '.join(missing)}"
    return said + (f" (STALE: {', '.join(entry['stale'])} changed since {entry['date']})" if entry["stale"] else "")


def label(result: Mapping[str, Any]) -> str:
    """The verdict's word as printed on its chip: capitals, except where the word must be another."""
    said, verdict = reading(result), str(result["verdict"]).replace("_", " ")
    return verdict if said == verdict.lower() else said


def rank(results: list[Mapping[str, Any]]) -> int:
    """For sorting by verdict: the place of the first verdict in `VERDICTS` order."""
    return min((VERDICTS.index(str(result["verdict"])) for result in results), default=len(VERDICTS))
