"""docs/tutorial.md is run as it is written: its commands in order, and its code in the place of the function of that name."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]*)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: What each command must have printed, in order of the page.
SAID = (
    "wrote claims/my_paper/test_previous_token_heads.py",
    "previous_token_heads[copying]",
    "1 of 1 claims locked",
    "3/3 held",
    "nothing to mend",
    "NOT_APPLICABLE",
)


def replace_function(file: Path, code: str) -> None:
    """Put code in the place of the function that has its name."""
    text = file.read_text()
    (wanted,) = ast.parse(code).body
    (found,) = (node for node in ast.parse(text).body if getattr(node, "name", None) == getattr(wanted, "name", ""))
    assert isinstance(found, ast.FunctionDef) and found.end_lineno
    lines = text.splitlines(keepends=True)
    file.write_text("".join([*lines[: found.decorator_list[0].lineno - 1], code, *lines[found.end_lineno :]]))


@pytest.mark.slow
def test_the_tutorial_runs_as_written(tmp_path: Path) -> None:
    scripts = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "CLAIMBENCH_STORE": str(tmp_path / "store")}
    said = []
    for kind, title, code in BLOCK.findall(PAGE.read_text()):
        if kind == "python":
            replace_function(tmp_path / title, code)
        if kind != "console":
            continue
        for line in code.splitlines():
            done = subprocess.run(
                shlex.split(line.removeprefix("$ ")), cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
            said.append(done.stdout)
    assert len(said) == len(SAID)
    for output, words in zip(said, SAID, strict=True):
        assert words in output
