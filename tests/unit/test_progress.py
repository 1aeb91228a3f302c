"""Progress: a bar for who watches, whole lines now and then for a log file."""

from __future__ import annotations

import io
import sys

import pytest
from claimbench.running import progress


class Stream(io.StringIO):
    def __init__(self, watched: bool) -> None:
        super().__init__()
        self.watched = watched

    def isatty(self) -> bool:
        return self.watched


@pytest.mark.parametrize("watched", [False, True])
def test_a_log_file_gets_a_line_every_ten_seconds(watched: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stream, clock = Stream(watched), [0.0]
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    with progress.Bar() as bar:
        for done in range(1, 51):
            clock[0] += 0.5
            bar.show(done, 50, f"effect #{done}")
    if watched:
        assert "\r" in stream.getvalue() and "50/50" in stream.getvalue()
        return
    assert stream.getvalue().splitlines() == [
        "20 of 50 replicates (about 15 s left): effect #20",
        "40 of 50 replicates (about 5.0 s left): effect #40",
        "50 of 50 replicates: effect #50",
    ]
