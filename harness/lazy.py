"""Heavy libraries, imported at first use: collecting claims must not wait for torch or transformers."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any


class LazyModule(ModuleType):
    """Stands in for the module `name` until an attribute of it is asked for."""

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):  # inspection (doctest, inspect, pickle) must not trigger the import
            raise AttributeError(attribute)
        return getattr(importlib.import_module(self.__name__), attribute)
