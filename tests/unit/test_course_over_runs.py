"""The course of training over several runs: one never decides, six do, and runs that do not do the task are no evidence."""

from __future__ import annotations

from pathlib import Path

import pytest
from claimbench import Verdict
from claimbench.errors import NotApplicable
from claimbench.measures.over_training import formation
from claimbench.running.collecting import claims_in, load_module
from claimbench.running.course_over_runs import JUDGED, Course, course_of, judge_courses
from claimbench.subjects.shipped import shipped_root

from saved_models import llama, save

STEPS = tuple(range(100, 3300, 100))
FINDING = "ih-clamp/plateau-then-drop"


def planted(heads: float, gain: float = 1000, context: float = 200, right: float = 1000, top: float = 1.0) -> Course:
    """Smooth rises in log steps; `top` is how far gain and right answers get."""
    at = {"order gain": (gain, 5 * top), "induction": (heads, 0.9), "context label": (context, 1.0), "right label": (right, top)}
    records = [{name: high / (1 + (half / step) ** 12) for name, (half, high) in at.items()} for step in STEPS]
    return Course("planted", STEPS, tuple(records), {}, formation(STEPS, records))


def test_one_run_is_one_replicate_whatever_it_shows() -> None:
    for number in (1, 5):
        found = judge_courses([planted(1000)] * number, FINDING)
        assert found.verdict is Verdict.INCONCLUSIVE and "never decide" in found.reason


@pytest.mark.parametrize(
    ("finding", "holds", "fails"),
    [
        (FINDING, {"heads": 1000}, {"heads": 300}),
        ("abrupt-icl/abrupt-after-random-label", {"heads": 1000, "context": 200}, {"heads": 1000, "context": 1000}),
        ("abrupt-icl/attention-jumps-with-icl", {"heads": 1000}, {"heads": 2500}),
    ],
)
def test_six_runs_are_judged_as_six_seeds_are(finding: str, holds: dict[str, float], fails: dict[str, float]) -> None:
    assert finding in JUDGED
    assert judge_courses([planted(**holds)] * 6, finding).verdict is Verdict.SUPPORTED
    assert judge_courses([planted(**fails)] * 6, finding).verdict is Verdict.REFUTED


def test_a_coarse_series_cannot_say_that_two_rises_are_one() -> None:
    """Both lie between the same two checkpoints, a factor of four apart: together, or one twice as late as the other."""
    steps = (100, 400, 1600, 6400)
    records = [{name: 1 / (1 + (800 / step) ** 12) for name in planted(1000).records[0]} for step in steps]
    coarse = Course("coarse", steps, tuple(records), {}, formation(steps, records))
    assert judge_courses([coarse] * 6, FINDING).verdict is Verdict.INCONCLUSIVE


def test_runs_that_do_not_do_the_task_are_left_out_and_too_many_of_them_are_no_family() -> None:
    able, unable = planted(1000), planted(1000, top=0.05)
    assert judge_courses([able] * 4 + [unable] + [able] * 2, FINDING).verdict is Verdict.SUPPORTED
    with pytest.raises(NotApplicable, match="which 4 of 6 runs reach"):
        judge_courses([able] * 4 + [unable] * 2, FINDING)


def test_a_folder_of_checkpoints_is_read_and_a_gap_is_named(tmp_path: Path) -> None:
    for step in (0, 200):
        save(llama(), tmp_path / "run" / f"step-{step}")
    (tmp_path / "run" / "step-100").mkdir()
    found = course_of(tmp_path / "run", rows=2)
    assert (found.name, found.steps, list(found.gaps)) == ("run", (0, 200), [100])
    assert found.records[0] == found.records[1], "one network, the same prompts"
    with pytest.raises(NotApplicable, match="0 of 1 runs"):
        judge_courses([found], FINDING)


def test_the_regions_are_those_of_the_claims() -> None:
    files = ("ih_clamp/test_formation.py", "abrupt_icl/test_abruptness.py")
    claims = [claim for file in files for claim in claims_in(load_module(shipped_root() / "claims" / file))]
    regions = [region for claim in claims for region in claim.holds.values()]
    assert all(region in regions for _, region, _, _ in JUDGED.values())
