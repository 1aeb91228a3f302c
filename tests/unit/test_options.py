"""Options: what a user wrote, checked before anything is spent."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from claimbench.errors import UsageError
from claimbench.running.options import DEFAULT_STORE, checked


def test_defaults() -> None:
    found = checked()
    assert (found.profile.name, found.seed, found.device, found.dtype, found.report) == (
        "standard",
        0,
        "cpu",
        "float32",
        None,
    )
    assert found.store == Path(DEFAULT_STORE) and found.fail_on == {"unexpected", "refuted", "invalid", "error"}


def test_the_store_may_be_named_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLAIMBENCH_STORE", str(tmp_path))
    assert checked().store == tmp_path
    assert checked(store="here").store == Path("here")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"seed": "x"}, "no whole number"),
        ({"seed": -1}, "out of range"),
        ({"profile": "ful"}, "did you mean 'full'"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"device": "cpu:x"}, "unknown device 'cpu:x'"),
        ({"dtype": "int8"}, "unknown dtype 'int8'"),
        ({"fail_on": "eror"}, "did you mean 'error'"),
        ({"fail_on": "error,never"}, "never stands alone"),
        ({"models": ["  "]}, "is empty"),
    ],
)
def test_mistakes_are_named(given: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        checked(**given)
    assert "\n" not in str(caught.value)


def test_a_report_folder_is_made_and_left_empty_whoever_asks_at_once(tmp_path: Path) -> None:
    problems: list[BaseException] = []

    def ask() -> None:
        try:
            for _ in range(30):
                checked(report=tmp_path / "a" / "report")
        except UsageError as error:
            problems.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems and list((tmp_path / "a" / "report").iterdir()) == []


def test_a_report_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"cannot be written.*choose another folder"):
        checked(report=tmp_path / "file" / "report")
