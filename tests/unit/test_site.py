"""The documentation site builds without a warning and asks nothing of any network; the CI recipes are valid for their services."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: What a browser fetches by itself, as against links that a reader may follow.
FETCHED = re.compile(
    r"<(?:script|img|iframe)[^>]*\bsrc=\"?(?:https?:)?//"
    r"|<link[^>]*rel=\"?(?:stylesheet|icon|preload)[^>]*href=\"?(?:https?:)?//"
)


@pytest.mark.slow
def test_the_site_builds_without_a_warning_or_a_network(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", tmp_path / "site"],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stdout + done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 15
    assert [page.name for page in pages if FETCHED.search(page.read_text())] == []
    catalogue, reference = ((tmp_path / "site" / f"{name}.html").read_text() for name in ("catalogue", "reference"))
    assert "load-bearing/top-heads-beat-random" in catalogue and "matched_random_heads" in reference


@pytest.mark.parametrize(
    ("file", "schema", "more"),
    [("github.yml", "vendor.github-workflows", ()), ("gitlab.yml", "vendor.gitlab-ci", ("--data-transform", "gitlab-ci"))],
)
def test_ci_recipes_fit_the_schema_of_their_service(file: str, schema: str, more: tuple[str, ...]) -> None:
    pytest.importorskip("check_jsonschema")
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *more, ROOT / "docs" / "ci" / file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
