"""`--recipe module:function`: a user's network, optimiser or data, found and checked before anything is trained."""

from __future__ import annotations

import importlib
import inspect
import sys
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError

if TYPE_CHECKING:
    from ..training import Yours


@cache
def user_recipe(text: str) -> Yours:
    """The function that `module:function` or `file.py:function` names; UsageError with one line for what is no recipe."""
    from ..training import Yours

    where, colon, name = text.rpartition(":")
    if not (where and colon and name):
        raise UsageError(f"--recipe {text!r}: write module:function or file.py:function")
    module = _module(where, text)
    function = getattr(module, name, None)
    if function is None:
        named = [known for known, value in vars(module).items() if callable(value) and not known.startswith("_")]
        near = get_close_matches(name, named, 1)
        raise UsageError(f"--recipe {text}: {where} has no {name}" + (f"; did you mean {near[0]}?" if near else ""))
    if not inspect.isfunction(function):
        raise UsageError(
            f"--recipe {text}: {name} is a {type(function).__name__}; write a function that returns one: def mine(...)"
        )
    found = Yours(f"{Path(where).stem if where.endswith('.py') else where}:{name}", function)
    if found.kind != "optimiser" and not found.takes("seed"):
        raise UsageError(
            f"--recipe {text}: {name} takes no seed, so its replicates would be one and the same: write def {name}("
            + ("rng, n, seed" if found.kind == "data" else "seed")
            + "). An optimiser takes parameters first"
        )
    return found


def _module(where: str, text: str) -> Any:
    from .collecting import load_module, place

    try:
        if where.endswith(".py"):
            return load_module(Path(where))
        if str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        return importlib.import_module(where)
    except UsageError:
        raise UsageError(f"--recipe {text}: there is no file {where}") from None
    except ModuleNotFoundError as error:
        raise UsageError(f"--recipe {text}: {error}; name a file to load one that is not installed: file.py:function") from None
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        raise UsageError(f"--recipe {text}: {where} cannot be loaded: {type(error).__name__}: {said} ({place(error)})") from None
