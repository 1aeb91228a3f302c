"""The store: one file a key, written aside and renamed, so that a kill at any moment loses nothing that was finished."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import filelock

from ..errors import StoreError

FORMAT = 1
PATIENCE = 2.0  # seconds before a waiting process says whom it waits for

#: What stands before the body in the text of an entry, which ends with it.
_BODY = b', "body": '

#: JSON with one spelling for each value. The encoder is made once, since that takes as long as encoding a small entry.
canonical = json.JSONEncoder(sort_keys=True, allow_nan=False).encode


def key_of(parts: Mapping[str, Any]) -> str:
    """The key of a measurement: sha256 over its canonical JSON."""
    return digest_of(canonical(parts))


class Store:
    """Measurements by key in a folder; several processes may share it.

    Raises:
        StoreError: when the folder cannot be used, an entry is corrupt, or a newer version wrote it.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._entries = os.fspath(self.folder / "entries")
        self.say: Callable[[str], None] = _say
        stamp = self.folder / "store.json"
        try:
            (self.folder / "entries").mkdir(parents=True, exist_ok=True)
            (self.folder / "locks").mkdir(exist_ok=True)
            if not stamp.exists():
                write_whole(stamp, json.dumps({"format": FORMAT}))
            found = json.loads(stamp.read_text())["format"]
        except OSError as error:
            raise StoreError(f"store {self.folder} cannot be used ({error.strerror}): choose another with --store") from None
        except (ValueError, KeyError, TypeError):
            raise StoreError(f"{stamp} is corrupt: delete the folder {self.folder} or choose another with --store") from None
        if found != FORMAT:
            raise StoreError(
                f"store {self.folder} has format {found!r}, this version reads {FORMAT}: "
                "upgrade claimbench or choose another folder with --store"
            )

    def path(self, key: str) -> Path:
        """Where the entry of a key lies."""
        return self.folder / "entries" / key[:2] / f"{key}.json"

    def get(self, key: str) -> dict[str, Any] | None:
        """The entry of a key, None when there is none."""
        path = f"{self._entries}{os.sep}{key[:2]}{os.sep}{key}.json"  # a Path would take a third of the time of reading
        try:
            text = _content(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"cannot read {path} ({error.strerror})") from None
        try:
            entry = json.loads(text.decode())
            body: dict[str, Any] = entry["body"]
            if entry["format"] > FORMAT:
                raise StoreError(f"{path} was written by a newer version (format {entry['format']}): upgrade claimbench")
            # the checksum of the text spares making the canonical one; entries of before it was kept have none
            as_written = entry.get("text") == hashlib.sha256(text[text.find(_BODY) + len(_BODY) : -1]).hexdigest()
            if not as_written and entry["sha256"] != digest_of(canonical(body)):
                raise ValueError
        except (ValueError, KeyError, TypeError):
            raise StoreError(f"store entry {path} is corrupt: delete that file and run again") from None
        return body

    def put(self, key: str, body: dict[str, Any], about: Mapping[str, Any] | None = None) -> None:
        """Write the entry of a key; readers see the old state or the whole new one. `about` is for people alone."""
        path = self.path(key)
        written = json.dumps(body, allow_nan=False)
        head = {"format": FORMAT, "sha256": digest_of(canonical(body)), "text": digest_of(written), "about": dict(about or {})}
        text = f"{json.dumps(head, allow_nan=False)[:-1]}{_BODY.decode()}{written}}}"
        try:
            path.parent.mkdir(exist_ok=True)
            write_whole(path, text)
        except OSError as error:
            raise self.unwritable(error) from None

    @contextlib.contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Hold a key while it is measured; whoever waits is told who holds it. Freed by the system if the holder dies."""
        path = self.folder / "locks" / f"{key[:32]}.lock"
        holder = path.with_suffix(".holder")
        lock = filelock.FileLock(path)
        try:
            try:
                lock.acquire(timeout=PATIENCE)
            except filelock.Timeout:
                self.say(f"waiting for store key {key[:12]}, held by {_holder(holder)}")
                lock.acquire()
        except OSError as error:
            raise self.unwritable(error) from None
        try:
            with contextlib.suppress(OSError):
                holder.write_text(f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%H:%M:%S')}")
            yield
        finally:
            with contextlib.suppress(OSError):
                holder.unlink(missing_ok=True)
            lock.release()

    def unwritable(self, error: OSError) -> StoreError:
        """The error to raise where something could not be written."""
        fix = "free some space" if error.errno == errno.ENOSPC else "check its permissions"
        return StoreError(
            f"cannot write to store {self.folder} ({error.strerror}): {fix} or choose another with --store; "
            "what was measured before stays measured"
        )


def _content(path: str) -> bytes:
    """What a small file holds; a file object of Python's own would take twice the time."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        found = bytearray()
        while piece := os.read(descriptor, 1 << 16):
            found += piece
        return bytes(found)
    finally:
        os.close(descriptor)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _holder(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return "another process"


def digest_of(text: str) -> str:
    """sha256 of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def write_whole(path: Path, text: str, *, wait: bool = True, mode: int | None = None) -> None:
    """Write a file aside and rename it, so that a reader sees it whole or not at all.

    Args:
        wait: until it lies on the disk, so that it survives a loss of power; else that may leave an empty file.
        mode: who may read it; by default its owner alone.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            if wait:
                file.flush()
                os.fsync(file.fileno())
        if mode is not None:
            os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
