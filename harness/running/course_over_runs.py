"""Findings about the course of training on checkpoints of one's own: a run is a replicate, and six or more are judged.

Do heads rise when the gain does (ih-clamp 2.1)? Are answers taken from the context before they are right, and do heads rise
when they become right (abrupt-icl 4.4, 4.5)? Within one run more prompts do not help: all of them see the half-rises between the
same two checkpoints, and say nothing of another run. So one series is described (`course_of`), and several are judged
(`judge_courses`), by the rule and the schedule of seeds: fewer than six never decide.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import NotApplicable
from ..measures.over_training import Formation, at_step, formation
from ..region import Region, below, within
from ..statistics import Judgement, Seeds, judge
from .judging import MOST_FAILING
from .series import read_series

#: What is judged of a course: the attribute of `Formation`, its region, and the measure that must get to a level at some step.
JUDGED: Mapping[str, tuple[str, Region, str, float]] = {
    "ih-clamp/plateau-then-drop": ("heads_over_gain", within(0.25, unit="log ratio"), "order gain", 0.5),
    "abrupt-icl/abrupt-after-random-label": ("context_over_right", below(math.log(0.5), unit="log ratio"), "right label", 0.75),
    "abrupt-icl/attention-jumps-with-icl": ("heads_over_right", within(0.3, unit="log ratio"), "right label", 0.75),
}


@dataclass(frozen=True)
class Course:
    """One training run as its checkpoints show it: what was measured at which step, and when each measure was half there."""

    name: str
    steps: tuple[int, ...]
    records: tuple[Mapping[str, float], ...]
    gaps: Mapping[int, str]
    """Steps that could not be read, and why."""
    formation: Formation


def course_of(folder: Path, seed: int = 0, rows: int = 16) -> Course:
    """Read the checkpoints below a folder one after the other, each on the same prompts; gaps are left out and named.

    Args:
        seed: of the prompts. The same for all runs that are compared.
        rows: sequences for each measure.

    Raises: as `read_series`, and LoadError where a step that looks sound cannot be loaded.
    """
    from ..subjects.loading import load_model

    series = read_series(folder)
    sound = [point for point in series.checkpoints if not point.gap]
    records = tuple(at_step(load_model(str(point.path)), np.random.default_rng(seed), rows) for point in sound)
    steps = tuple(point.step for point in sound)
    gaps = {point.step: point.gap for point in series.checkpoints if point.gap}
    return Course(series.name, steps, records, gaps, formation(steps, records))


def judge_courses(courses: Sequence[Course], finding: str) -> Judgement:
    """The verdict on a finding of `JUDGED` over training runs, in the order given; INCONCLUSIVE for fewer than six.

    A run that never does the task (order gain of 0.5 nat, three in four answers right) is left out.

    Raises:
        NotApplicable: more than one run in four never does it.
    """
    attribute, region, measure, level = JUDGED[finding]
    able = [course for course in courses if max(record[measure] for record in course.records) >= level]
    if len(courses) - len(able) > MOST_FAILING * len(courses):
        raise NotApplicable(
            f"needs {measure} of at least {level:g} at some step, which {len(able)} of {len(courses)} runs reach: "
            "more than one in four that does not is no family for this finding"
        )
    return judge([{"effect": getattr(course.formation, attribute)} for course in able], {"effect": region}, Seeds())
