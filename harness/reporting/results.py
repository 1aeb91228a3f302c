"""Writing, reading and validating `results.json`."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from enum import Enum
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np

from ..errors import ClaimbenchError, UsageError
from .document import RESULT_DEFAULTS, SCHEMA, Document

Key = tuple[str, str, str, str]


def plain(value: Any) -> Any:
    """`value` as JSON can hold it: arrays and tuples become lists, NaN and infinities None, enums their value."""
    if isinstance(value, Enum):
        return plain(value.value)
    if value is None or isinstance(value, bool | str):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(item) for item in value)
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "to_json"):
        return plain(value.to_json())
    raise TypeError(f"a results document cannot hold a {type(value).__name__}: {value!r:.80}")


def complete(document: Mapping[str, Any]) -> Document:
    """The document as plain JSON values, with what a result may leave out filled in. Changes nothing in place."""
    made = cast(dict[str, Any], plain(document))
    made.setdefault("schema", SCHEMA)
    for key, default in (("missing", []), ("complete", True), ("papers", []), ("results", []), ("versions", {})):
        made.setdefault(key, default)
    for result in made["results"]:
        for key, default in RESULT_DEFAULTS.items():
            result.setdefault(key, type(default)() if isinstance(default, list | dict) else default)
        result.setdefault("profile", made.get("profile", ""))
    return cast(Document, made)


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a results document."""
    text = files(__package__).joinpath("results.schema.json").read_text(encoding="utf-8")
    return cast(dict[str, Any], json.loads(text))


def problems(document: Mapping[str, Any], most: int = 5) -> list[str]:
    """Where a document departs from the schema, at most `most` places, as `results/3/effects/0/unit: what is wrong`."""
    return [
        f"{'/'.join(map(str, error.instance_path)) or 'the document'}: {error.message[:160]}"
        for error in islice(_validator().iter_errors(document), most)
    ]


@cache
def _validator() -> Any:
    """The schema, compiled: 6,000 results take a fifth of a second."""
    try:
        from jsonschema_rs import Draft202012Validator  # needed only where results are read or written
    except ImportError:
        raise UsageError("validating results needs the package jsonschema-rs: pip install jsonschema-rs") from None
    return Draft202012Validator(schema())


def write_text(path: Path, text: str) -> Path:
    """Write `text` to `path` whole or not at all: written aside, then renamed. Raises UsageError if it cannot."""
    aside = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(aside, 0o644)  # mkstemp makes it private, and reports are made to be shown
        os.replace(aside, path)
    except OSError as error:
        if aside and os.path.exists(aside):
            os.unlink(aside)
        raise UsageError(f"cannot write {path}: {error.strerror or error}; give a folder that can be written") from error
    return path


def write_results(document: Mapping[str, Any], path: Path | str) -> Path:
    """Write the document as `results.json`, atomically. It is not validated: what was measured is never lost."""
    text = json.dumps(complete(document), indent=1, ensure_ascii=False, allow_nan=False)
    return write_text(Path(path), text.encode("utf-8", "replace").decode("utf-8") + "\n")


def load_results(path: Path | str) -> Document:
    """Read a results document, from its file or the folder of its report; fields that an older claimbench left out are filled in.

    Raises UsageError where it is absent, torn, of another version, altered in shape, or holds two results for one key.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "results.json"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"no results at {path}: give the results.json of an earlier report, or its folder") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}; give the results.json of an earlier report") from error
    try:
        document = json.loads(text)
    except ValueError as error:
        state = "empty" if not text.strip() else f"not whole JSON ({error})"
        raise UsageError(f"{path} is {state}: it was cut off or edited; write the report again") from None
    found = document.get("schema") if isinstance(document, dict) else None
    if found != SCHEMA:
        raise UsageError(f"{path} is {_foreign(found)}")
    wrong = problems(document, most=1)
    if wrong:
        raise UsageError(f"{path} does not follow its schema at {wrong[0]}; it was edited or written by another program")
    keys: set[Key] = set()
    for result in document["results"]:
        key = key_of(result)
        if key in keys:
            raise UsageError(f"{path} has two results for {name_of(key)}: it was edited or put together; write the report again")
        keys.add(key)
    return complete(document)


def key_of(result: Mapping[str, Any]) -> Key:
    """What names a result in any run: finding, claim with its file's name, subject, and the control's name or ""."""
    control = result["control"]["name"] if result["control"] else ""
    return str(result["finding"]), str(result["claim"]).rpartition("/")[2], str(result["subject"]), str(control)


def name_of(key: Key) -> str:
    """A key as a reader names it."""
    finding, claim, subject, control = key
    return f"{finding} ({claim}) on {subject}" + (f", control {control!r}" if control else "")


def _foreign(found: Any) -> str:
    """What a document is that is not of the schema we read, and what to do."""
    if not isinstance(found, str) or not found.startswith(SCHEMA.partition("/")[0] + "/"):
        told = f"of schema {found!r}" if found else "no results document (it names no schema)"
        return f"{told}; this version reads {SCHEMA!r}: give the results.json of a report"
    number = found.partition("/")[2]
    later = number.isdecimal() and int(number) > int(SCHEMA.partition("/")[2])
    return f"of schema {found!r}, this version reads {SCHEMA!r}: " + (
        "update claimbench" if later else "write the report again with this version"
    )


def check(document: Mapping[str, Any]) -> None:
    """Raise ClaimbenchError where a document of our own making departs from the schema we publish."""
    if find_spec("jsonschema_rs") is None:  # a check of our own work: a report is no worse for going without
        return
    if wrong := problems(document):
        raise ClaimbenchError(f"the results do not follow {SCHEMA}: {'; '.join(wrong)}; please report this as a bug")
