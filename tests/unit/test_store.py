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
from claimbench.running.store import Store, key_of
from hypothesis import given, settings
from hypothesis import strategies as st

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
BODIES = st.dictionaries(
    st.text(), st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)


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


def test_a_write_that_fails_midway_leaves_the_old_entry_and_no_rubbish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    assert seen == [
        f"waiting for store key abababababab, held by {HOLDER}" for HOLDER in [seen[0].partition("held by ")[2]]
    ]
    assert f"process {os.getpid()} on " in seen[0]


def test_a_lock_is_freed_when_what_it_guards_fails(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    with pytest.raises(ZeroDivisionError), store.lock("ab" * 32):
        raise ZeroDivisionError
    with store.lock("ab" * 32):
        pass
