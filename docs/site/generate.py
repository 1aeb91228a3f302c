"""Pages of the site that are generated: the catalogue of papers and findings, and the reference from docstrings."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
#: Modules of the reference, in order, with what they are for.
REFERENCE = {
    "claimbench": "Declaring claims: what a claim's file imports",
    "claimbench.subjects.lm": "A subject: a language model that measures and bears interventions",
    "claimbench.interventions": "Sites and changes",
    "claimbench.sweeps": "One measure under many interventions",
    "claimbench.measures.prompts": "Prompts with repeats",
    "claimbench.measures.gains": "Gains from context",
    "claimbench.measures.scores": "Scores of heads",
    "claimbench.measures.matched": "Random sets of heads",
    "claimbench.measures.norm_matched": "Heads with outputs as large",
    "claimbench.measures.tasks": "Tasks",
    "claimbench.lm_eval": "lm-eval under interventions",
    "claimbench.training": "Recipes and runs",
}


def on_config(config: Any) -> Any:
    """The package is `harness/` in a checkout: griffe finds it under its own name."""
    link = ROOT / "build" / "reference" / "claimbench"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.exists():
        link.symlink_to(ROOT / "harness", target_is_directory=True)
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages."""
    for name, lines in (("catalogue.md", catalogue()), ("reference.md", reference())):
        files.append(File.generated(config, name, content="\n".join(lines) + "\n"))
    return files


def reference() -> Iterator[str]:
    yield "# Reference\n\nGenerated from docstrings. Names that are not here are not public.\n"
    for module, title in REFERENCE.items():
        yield f"## {title}\n\n::: {module}\n"


def catalogue() -> Iterator[str]:
    known = {entry["finding"]: entry for entry in json.loads((ROOT / "claims" / "catalogue.json").read_text())}
    ready = sum(entry["status"] == "executable" for entry in known.values())
    yield "# Papers and findings\n"
    yield f"{len(known)} findings, {ready} of them executable; the others are registered with protocol, cost and reason."
    yield "Committed verdicts are those of the small networks that ship; each has its reason.\n"
    for card in sorted((ROOT / "claims").glob("*/paper.toml")):
        yield from _paper(card, known)


def _paper(card: Path, known: dict[str, Any]) -> Iterator[str]:
    paper = tomllib.loads(card.read_text())
    expected = card.with_name("expected.json")
    verdicts = json.loads(expected.read_text()) if expected.exists() else {}
    yield f"\n## {paper['slug']}\n"
    yield f"{paper['authors']} ({paper['year']}). *{paper['title']}*. [{paper['identifier']}]({paper['url']})\n"
    if paper.get("notes"):
        yield f"{_plain(paper['notes'])}\n"
    for finding in paper["finding"]:
        entry = known.get(f"{paper['slug']}/{finding['id']}")
        if entry is None:
            continue
        yield f"\n### {paper['slug']}/{finding['id']}\n"
        yield f"{_plain(finding['statement'])}\n"
        for claim in entry["claims"]:
            name = claim.rpartition("::")[2]
            for subject, profiles in sorted(verdicts.get(name, {}).items()):
                one = profiles.get("standard") or profiles.get("any") or next(iter(profiles.values()))
                yield f"- `{name}` on {subject}: **{one['verdict']}**. {_plain(one['reason'])}"
        if entry["status"] != "executable":
            for what in ("reason", "protocol", "cost"):
                if finding.get(what):
                    yield f"- {what}: {_plain(finding[what].removeprefix('registered: '))}"


def _plain(text: str) -> str:
    """Text of a card, in which nothing is markup."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>#|" else c for c in text)
