"""The results document: what judging hands to reporting, and what `results.json` holds, field by field.

Everything is plain JSON. The end of an interval that is open (a censored time, a region without an upper edge) is
`None`; NaN and infinities are never written. `results.schema.json` beside this file says the same to other programs,
and a test holds the two together.
"""

from __future__ import annotations

from typing import Any, TypedDict

SCHEMA = "claimbench-results/1"

Interval = tuple[float | None, float | None]


class RegionDoc(TypedDict, total=False):
    """Where the finding holds: `low` to `high` in `unit`; an absent edge is None; `of` is "typical" or "rate"."""

    low: float | None
    high: float | None
    unit: str
    of: str
    scale: str
    text: str


class EffectDoc(TypedDict):
    """One judged effect: estimate and interval in `unit`; `t_low` to `t_high` is shown and never judged."""

    name: str
    estimate: float | None
    low: float | None
    high: float | None
    level: float
    unit: str
    region: RegionDoc
    method: str
    clipped: float | None
    t_low: float | None
    t_high: float | None


class ReplicateDoc(TypedDict):
    """One replicate: its effects as intervals (a point has equal ends); `passed` says if it met the preconditions."""

    index: int
    seed: int | None
    effects: dict[str, Interval]
    passed: bool


class VariantDoc(TypedDict):
    """The claim under another reasonable choice, on the same replicates."""

    name: str
    binding: bool
    effects: list[EffectDoc]
    agrees: bool | None


class ReceiptDoc(TypedDict):
    """Proof that an intervention happened: how often it fired, whether it is wired, how far it moved things."""

    intervention: str
    fired: int
    wired: bool | None
    moved_activation: float | None
    moved_logits: float | None
    neutral: bool
    count: int


class PreconditionDoc(TypedDict):
    """What had to hold for the claim to mean anything on this subject, and what was measured."""

    name: str
    need: str | float
    value: str | float | None
    unit: str
    passed: bool | None


class ControlDoc(TypedDict):
    """A control as its claim sees it; `ok` is None while nothing can be said (not run, inconclusive in smoke)."""

    name: str
    kind: str
    expected: str
    verdict: str | None
    ok: bool | None
    source: str


class ControlOf(TypedDict):
    """Says of a result that it is a control of its claim, and which."""

    name: str
    kind: str
    expected: str
    ok: bool | None


class ExpectedDoc(TypedDict):
    """The committed verdict and its reason."""

    verdict: str
    reason: str


class DocumentedDoc(TypedDict):
    """What the paper says: words, and the number when it gives one; `difference` is why the measured effect is another."""

    text: str
    value: float | None
    unit: str
    difference: str


class RecordedDoc(TypedDict):
    """Whether recorded weights were read, and whether the seed that was trained again now agreed with them."""

    weights: bool
    retrained_seed: int | None
    agrees: bool | None


class LockDoc(TypedDict):
    """When region and protocol were fixed, and whether something had been measured before."""

    hash: str
    date: str
    amended: str | bool | None
    measured_before: bool | None


class RateDoc(TypedDict):
    """One support rate of a calibration: of verdicts where the finding is absent ("null"), on its region's edge, or planted.

    `of` is the control, or the effect that was moved; `share` is None where there is none, and `note` says why.
    """

    what: str
    of: str
    on: str
    share: float | None
    low: float | None
    high: float | None
    independent: int
    tier: str
    meets: bool
    note: str


class CalibrationDoc(TypedDict):
    """The committed error rates of a claim; `stale` names what changed since: code, protocol, controls, subjects."""

    date: str
    rows: list[RateDoc]
    stale: list[str]


class AdjustedDoc(TypedDict):
    """The verdict once all `of` claims of the run that have this kind of evidence are counted, at 5 % false discoveries."""

    verdict: str
    method: str
    rate: float
    of: int


class TrustDoc(TypedDict):
    """What is committed about a claim: its audit, its specification curve (each with `stale`), amendments of its lock."""

    audit: dict[str, Any] | None
    robust: dict[str, Any] | None
    amendments: list[dict[str, Any]]


class SeriesDoc(TypedDict):
    """Where in a series of checkpoints a subject stands: the series' name, and its step of training."""

    name: str
    step: int


class PointDoc(TypedDict):
    """An earlier result of a claim on the same subject: the day it was first seen, verdict, and the first effect."""

    date: str
    verdict: str
    n: int
    profile: str
    code_digest: str | None
    estimate: float | None
    low: float | None
    high: float | None


class ResultDoc(TypedDict):
    """One verdict: a claim, or one of its controls, on one subject."""

    item: str
    finding: str
    claim: str
    title: str
    paper: str
    subject: str
    subject_kind: str
    series: SeriesDoc | None
    control: ControlOf | None
    subject_digest: str | None
    evidence: str
    verdict: str
    reason: str
    effects: list[EffectDoc]
    replicates: list[ReplicateDoc]
    replicate_unit: str
    n: int
    observations: dict[str, dict[str, Any]]
    variants: list[VariantDoc]
    receipts: list[ReceiptDoc]
    preconditions: list[PreconditionDoc]
    controls: list[ControlDoc]
    sound: bool | None
    expected: ExpectedDoc | None
    unexpected: bool
    documented: DocumentedDoc | None
    statement: str
    protocol: str
    region_why: str
    recorded: RecordedDoc | None
    calibration: CalibrationDoc | None
    lock: LockDoc | None
    trust: TrustDoc | None
    design: dict[str, Any]
    detectable: dict[str, float | None] | None
    needed: int | None
    p_value: float | None
    e_value: float | None
    adjusted: AdjustedDoc | None
    seconds: float | None
    forward_passes: int | None
    peak_memory_mb: float | None
    code_digest: str | None
    profile: str
    measured_at: str | None
    rerun: str
    history: list[PointDoc]


class FindingDoc(TypedDict):
    """A finding of a paper: executable (some claim tests it) or registered (none does yet, and why)."""

    finding: str
    statement: str
    status: str
    reason: str | None


class PaperDoc(TypedDict):
    """A publication and its findings."""

    slug: str
    title: str
    identifier: str
    year: int | None
    url: str | None
    authors: str | list[str]
    findings: list[FindingDoc]


class Document(TypedDict):
    """Everything that one run found out: the content of `results.json`."""

    schema: str
    created: str
    claimbench: str
    versions: dict[str, str | None]
    machine: dict[str, Any]
    profile: str
    seed: int
    command: str
    papers: list[PaperDoc]
    results: list[ResultDoc]
    missing: list[str]
    complete: bool


RESULT_DEFAULTS: dict[str, Any] = {
    "item": "",
    "title": "",
    "subject_kind": "family",
    "series": None,
    "control": None,
    "subject_digest": None,
    "effects": [],
    "replicates": [],
    "replicate_unit": "seed",
    "n": 0,
    "observations": {},
    "variants": [],
    "receipts": [],
    "preconditions": [],
    "controls": [],
    "sound": None,
    "expected": None,
    "unexpected": False,
    "documented": None,
    "statement": "",
    "protocol": "",
    "region_why": "",
    "recorded": None,
    "calibration": None,
    "lock": None,
    "trust": None,
    "design": {},
    "detectable": None,
    "needed": None,
    "p_value": None,
    "e_value": None,
    "adjusted": None,
    "seconds": None,
    "forward_passes": None,
    "peak_memory_mb": None,
    "code_digest": None,
    "measured_at": None,
    "rerun": "",
    "history": [],
}
"""What a result means when it leaves a field out."""
