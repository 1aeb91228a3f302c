"""A file that lists models, one a line: each a subject of its own, judged one after the other, those that are missing named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import ClaimbenchError, UsageError
from .item import Subject, model_subject


@dataclass(frozen=True)
class Listed:
    """Models of a file, in its order; a model that cannot be judged is a gap and has its reason."""

    file: Path
    subjects: tuple[Subject, ...]

    @property
    def paths(self) -> list[str]:
        """Folders or names of the models that can be judged, as far as their files tell."""
        return [str(subject.path) for subject in self.subjects if not subject.gap]


def read_models(file: Path) -> Listed:
    """The models that a file names: a folder, relative to the file, or a name, on each line; `#` begins a remark.

    Subjects of one file count as a series without steps: one model is held in memory at a time, and one that is missing
    or damaged does not keep the others from being judged.

    Raises:
        UsageError: no such file, nothing in it, a model listed twice, or none that can be judged.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(f"--models {file} cannot be read ({reason}): give a file with a model on each line") from None
    lines = [(number, line.partition("#")[0].strip()) for number, line in enumerate(text.splitlines(), 1)]
    seen: dict[str, int] = {}
    subjects: list[Subject] = []
    taken: set[str] = set()
    for number, line in lines:
        if not line:
            continue
        path = _path(file.parent, line)
        if path in seen:
            raise UsageError(f"--models {file} lists {line} twice, on lines {seen[path]} and {number}: take one of them away")
        seen[path] = number
        named = model_subject(path, taken)
        taken.add(named.name)
        subjects.append(Subject(named.name, "model", path, str(file), None, _gap(path)))
    if not subjects:
        raise UsageError(f"--models {file} lists no model: write the path or name of one on each line")
    if all(subject.gap for subject in subjects):
        raise UsageError(f"--models {file}: none of {len(subjects)} models can be judged: {subjects[0].gap}")
    return Listed(file, tuple(subjects))


def _path(folder: Path, line: str) -> str:
    """What a line names: a folder beside the file, or what it says."""
    try:
        beside = folder / Path(line).expanduser()
        return str(beside) if beside.exists() else line
    except (OSError, RuntimeError, ValueError):  # too long for a file's name, the home of nobody, a NUL
        return line


def _gap(path: str) -> str:
    from ..subjects.files import check_path

    try:
        check_path(path)
    except ClaimbenchError as error:
        return str(error)
    return ""
