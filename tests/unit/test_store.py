"""The store: whole entries or none, keys from what matters, locks that name their holder."""

from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from claimbench.errors import StoreError
from claimbench.running import store as room
from claimbench.running import tidy
from claimbench.running.store import Store, key_of
from hypothesis import given, settings
from hypothesis import strategies as st

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
BODIES = st.dictionaries(st.text(), st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(min_size=1), PLAIN), st.randoms())
def test_keys_do_not_depend_on_the_order_of_parts(parts: dict[str, Any], random: Any) -> None:
    mixed = list(parts.items())
    random.shuffle(mixed)
    assert key_of(parts) == key_of(dict(mixed))


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(), PLAIN), st.text(), PLAIN)
def test_any_other_part_gives_another_key(parts: dict[str, Any], name: str, value: Any) -> None:
    other = {**parts, name: value}
    assert (key_of(parts) == key_of(other)) == (json.dumps(parts, sort_keys=True) == json.dumps(other, sort_keys=True))


def test_a_key_of_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        key_of({"level": float("nan")})


@settings(max_examples=40, deadline=None)
@given(body=BODIES)
def test_what_is_put_is_what_is_got(tmp_path_factory: pytest.TempPathFactory, body: dict[str, Any]) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    assert store.get("ab" * 32) is None
    store.put("ab" * 32, body)
    assert Store(store.folder).get("ab" * 32) == body


def test_a_write_that_fails_midway_leaves_the_old_entry_and_no_rubbish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "store")
    store.put("ab" * 32, {"level": 1})
    before = sorted(p for p in tmp_path.rglob("*") if p.is_file())

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for name, fault in (("fsync", full), ("replace", lambda *_: full(0))):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, fault)
            with pytest.raises(StoreError, match=r"No space left on device.*free some space.*stays measured"):
                store.put("ab" * 32, {"level": 2})
    assert store.get("ab" * 32) == {"level": 1}
    assert sorted(p for p in tmp_path.rglob("*") if p.is_file()) == before


def test_a_write_that_is_cut_off_anywhere_is_never_read(tmp_path: Path) -> None:
    """What SIGKILL leaves: a file aside that no key names. A torn file under a key's own name is refused."""
    store = Store(tmp_path / "store")
    store.put("ab" * 32, {"level": 1})
    path = store.path("ab" * 32)
    whole = path.read_bytes()
    (path.parent / f".{path.name}.x1").write_bytes(whole[:10])
    assert store.get("ab" * 32) == {"level": 1}
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(StoreError, match="corrupt"):
            store.get("ab" * 32)


@pytest.mark.parametrize("kept", [True, False])
def test_a_number_that_changed_is_seen_also_in_entries_without_a_checksum_of_their_text(kept: bool, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.put("ab" * 32, {"name": "x", "level": 12345}, about={"item": 'a "body": {}'})
    path = store.path("ab" * 32)
    entry = json.loads(path.read_text())
    if not kept:
        del entry["text"]  # as entries were written before
        path.write_text(json.dumps(entry))
    assert store.get("ab" * 32) == {"name": "x", "level": 12345}
    path.write_text(json.dumps({**entry, "body": {"level": 12345, "name": "x"}}))  # the same in another order
    assert store.get("ab" * 32) == {"name": "x", "level": 12345}
    path.write_text(json.dumps(entry).replace("12345", "12346"))
    with pytest.raises(StoreError, match="corrupt"):
        store.get("ab" * 32)


def test_permissions_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "store")

    def denied(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "replace", denied)
    with pytest.raises(StoreError, match=r"Permission denied.*check its permissions"):
        store.put("ab" * 32, {})


@pytest.mark.parametrize("stamp", ["", "[]", "{}", "format: 1", '{"format": "one"}', '{"format": 99}'])
def test_a_stamp_that_is_not_ours_is_refused(tmp_path: Path, stamp: str) -> None:
    Store(tmp_path / "store")
    (tmp_path / "store" / "store.json").write_text(stamp)
    with pytest.raises(StoreError, match=r"corrupt|upgrade"):
        Store(tmp_path / "store")


def test_a_lock_is_waited_for_and_its_holder_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PATIENCE", 0.01)
    holder, waiting = Store(tmp_path / "store"), Store(tmp_path / "store")
    said, seen, order = threading.Event(), [], []

    def say(text: str) -> None:
        seen.append(text)
        said.set()

    waiting.say = say

    def wait_for_it() -> None:
        with waiting.lock("ab" * 32):
            order.append("second")

    with holder.lock("ab" * 32):
        thread = threading.Thread(target=wait_for_it)
        thread.start()
        assert said.wait(30)
        order.append("first")
    thread.join(30)
    assert order == ["first", "second"]
    assert seen == [f"waiting for store key abababababab, held by {HOLDER}" for HOLDER in [seen[0].partition("held by ")[2]]]
    assert f"process {os.getpid()} on " in seen[0]


def test_a_lock_is_freed_when_what_it_guards_fails(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    with pytest.raises(ZeroDivisionError), store.lock("ab" * 32):
        raise ZeroDivisionError
    with store.lock("ab" * 32):
        pass


def test_cleaning_removes_what_the_dead_left_and_nothing_else(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for key in ("ab" * 32, "cd" * 32):
        store.put(key, {"level": 1}, about={"finding": "toy/large"})
    os.utime(store.path("cd" * 32), (1, 1))
    dead, alive = (store.path("ab" * 32).parent / name for name in (".dead.x", ".alive.x"))
    for path in (dead, alive):
        path.touch()
    os.utime(dead, (1, 1))
    (store.folder / "locks" / "old.lock").touch()
    with Store(store.folder).lock("ab" * 32):
        removed = tidy.clean(store)
        assert removed == {"files written aside": 1, "locks": 1, "measurements": 0}
        assert alive.exists() and not dead.exists()
        assert [path.suffix for path in (store.folder / "locks").iterdir()].count(".lock") == 1
    assert tidy.clean(store, older_than=1)["measurements"] == 1
    assert [key for key, _ in tidy.entries(store)] == ["ab" * 32]


def test_a_store_lists_by_finding_and_names_damage(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.put("ab" * 32, {"level": 1}, about={"finding": "toy/large"})
    store.put("cd" * 32, {"level": 2})
    assert [(row["finding"], row["entries"]) for row in tidy.listing(store)] == [("(not told)", 1), ("toy/large", 1)]
    assert tidy.damaged(store) == []
    store.path("cd" * 32).write_text("{}")
    (line,) = tidy.damaged(store)
    assert "corrupt" in line and "cd" * 32 in line


def test_an_error_is_tried_again_by_the_next_run_and_not_by_this_one(tmp_path: Path) -> None:
    from running_fakes import declared, fake_family, item, session

    fake_family("fake", [1.0])
    log = tmp_path / "tried"  # a file, since what a closure holds enters the code digest
    log.touch()

    def effect(lm: Any) -> float:
        """Level."""
        with log.open("a") as file:
            file.write("x")
        if log.stat().st_size == 1:
            raise RuntimeError("out of luck")
        return float(lm.facts["level"])

    made = item(declared(effect))
    first = session(tmp_path)
    assert first.measurer.replicate(made, 3).fatal["problem"]["verdict"] == "ERROR"
    assert first.measurer.replicate(made, 3).fatal["problem"]["verdict"] == "ERROR" and log.read_text() == "x"
    second = session(tmp_path)
    assert second.measurer.replicate(made, 3, measure=False) is None
    assert second.measurer.replicate(made, 3).fatal is None and log.read_text() == "xx"
    assert session(tmp_path).measurer.replicate(made, 3, measure=False).fatal is None


def test_results_are_kept_once_with_the_day_they_were_first_seen(tmp_path: Path) -> None:
    from claimbench.running.history import KEPT, History

    history = History(Store(tmp_path / "store"))
    result: dict[str, Any] = {name: name for name in KEPT} | {"control": None, "finding": "toy/large"}
    for day, verdict in (("2026-01-02", "SUPPORTED"), ("2026-01-03", "SUPPORTED"), ("2026-01-01", "REFUTED")):
        history.keep({**result, "verdict": verdict, "measured_at": day})
    found = [(one["date"], one["verdict"]) for one in history.of("toy/large")]
    assert found == [("2026-01-01", "REFUTED"), ("2026-01-02", "SUPPORTED")]
    assert list(history.of("toy/other")) == []


def test_an_empty_file_of_a_judged_result_counts_as_none_and_is_written_again(tmp_path: Path) -> None:
    """As a loss of power may leave one, since a judged result is not waited for."""
    from claimbench.running.history import KEPT, History

    history = History(Store(tmp_path / "store"))
    result: dict[str, Any] = {name: name for name in KEPT} | {"control": None, "finding": "toy/large", "measured_at": "2026-01-02"}
    history.keep(result)
    (path,) = history.folder.glob("*/*.json")
    path.write_text("")
    assert list(history.of("toy/large")) == []
    history.keep(result)
    assert [one["date"] for one in history.of("toy/large")] == ["2026-01-02"]
