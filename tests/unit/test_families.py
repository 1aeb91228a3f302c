"""The command `claimbench families`, and that the committed table is what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from claimbench.cli import main
from claimbench.reporting.families import row, write
from claimbench.subjects.bearing import INSTRUMENTS, bearing
from claimbench.subjects.tiny import CONFIGS

PAGE = Path(__file__).parents[2] / "docs" / "families.md"
NEEDED = {
    *("gpt2", "gpt_neo", "gptj", "gpt_neox", "bloom", "falcon", "opt", "llama", "mistral", "mixtral", "qwen2", "qwen3"),
    *("qwen2_moe", "qwen3_moe", "gemma", "gemma2", "gemma3", "phi", "phi3", "olmo2", "stablelm", "smollm3", "granite"),
    *("cohere", "deepseek_v3", "gpt_oss", "starcoder2", "mamba", "rwkv"),
}


def test_every_family_has_its_line() -> None:
    lines = [line.split(" | ")[0].strip("| ") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    assert lines == ["family", *CONFIGS]
    assert set(lines) >= NEEDED


@pytest.mark.parametrize("family", ["llama", "falcon", "gpt_oss", "mamba"])
def test_the_committed_table_is_what_the_command_says(family: str) -> None:
    found = bearing(family)
    page = PAGE.read_text()
    assert row(found) in page.splitlines()
    assert all(error < 1e-5 for error in found.errors.values())
    assert set(found.errors) | set(found.refused) == (set() if found.applicable else set(INSTRUMENTS))
    assert bool(found.applicable) == (family == "mamba")
    assert bool(found.refused) == (family in ("falcon", "gpt_oss"))


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["families", "mamba", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["family"] == "mamba" and "no attention heads" in found["applicable"]
    assert main(["families", "mamba"]) == 0
    assert "| mamba | NOT_APPLICABLE |" in capsys.readouterr().out
    assert main(["families", "lama"]) == 4
    assert "no tiny network of 'lama' is known: use gpt2," in capsys.readouterr().err
    assert main(["families", "llama", "--write", str(tmp_path / "x.md")]) == 4
    assert "name no families" in capsys.readouterr().err
    assert write(tmp_path / "docs" / "page.md", [bearing("rwkv")]).read_text().count("rwkv") >= 2
