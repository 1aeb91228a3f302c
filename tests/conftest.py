"""Every test: no network, nothing from the hub, one thread."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.pop("CLAIMBENCH_STORE", None)
os.environ.pop("PYTEST_ADDOPTS", None)
os.environ.pop("CLAIMBENCH_RUN", None)

sys.path.insert(0, str(Path(__file__).parent))

pytest_plugins = ["pytester"]


class NetworkBlocked(RuntimeError):
    """A test tried to reach the network."""


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """Internet sockets cannot connect, names cannot be resolved; local ones (between processes) work."""

    def guarded(original: Any) -> Any:
        def call(self: socket.socket, *arguments: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6):
                raise NetworkBlocked(f"a test tried to reach {arguments[-1]!r}")
            return original(self, *arguments)

        return call

    def unresolved(host: Any, *_: Any, **__: Any) -> Any:
        raise NetworkBlocked(f"a test tried to resolve {host!r}")

    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, name, guarded(getattr(socket.socket, name)))
        patch.setattr(socket, "getaddrinfo", unresolved)
        yield
