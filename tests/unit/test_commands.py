"""The command line as one tool: help in sections that fits a terminal, slips with the nearest word, completion for shells."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from claimbench import cli
from claimbench.commands import completion, parser
from claimbench.commands.run_help import GROUPS, _told

COMMANDS = list(cli._parser().made)


def told(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a command prints that ends well, argparse's own ending included."""
    try:
        code = cli.main(words)
    except SystemExit as left:
        code = int(left.code or 0)
    assert code == 0
    return capsys.readouterr().out


def test_every_command_stands_in_one_section(capsys: pytest.CaptureFixture[str]) -> None:
    listed = [name for names in parser.SECTIONS.values() for name in names]
    assert sorted(listed) == sorted(set(listed)) == sorted(COMMANDS)
    text = told(["--help"], capsys)
    for title in parser.SECTIONS:
        assert f"\n{title}:\n" in text
    for code in ("0", "1", "4", "5", "130"):
        assert re.search(rf"^  {code} ", text, re.M)
    assert told([], capsys) == text


def test_examples_name_commands_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        for command in re.findall(r"^  claimbench (\S+)", told([name, "--help"], capsys), re.M):
            assert command in COMMANDS
    for command, _ in parser.EXAMPLES:
        assert command.split()[1] in COMMANDS


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_help_fits_the_terminal(columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for words in (["--help"], *([name, "--help"] for name in COMMANDS)):
        longest = max((line for line in told(words, capsys).splitlines() if "claimbench " not in line), key=len)
        assert len(longest) <= min(columns, 100) or " " not in longest.strip(), longest


def test_help_of_run_has_every_option_of_the_plugin_in_a_group(capsys: pytest.CaptureFixture[str]) -> None:
    grouped = [flag for flags in GROUPS.values() for flag in flags]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {flag for flag, (_, text) in _told().items() if "==SUPPRESS==" not in text}
    assert "junitxml" in told(["run", "-h"], capsys) and "judge nothing" in told(["measure", "--help"], capsys)


SLIPS = [
    (["comapre"], "there is no command 'comapre': did you mean 'compare'?"),
    (["zzz"], "commands are list, show"),
    (["audit", "--recrd"], "unknown option --recrd, did you mean --record?"),
    (["publish", "report"], "the following arguments are required: --to"),
    (["publish", "report", "--to", "bagde"], "invalid choice"),
    (["store", "tidy"], "invalid choice"),
    (["show"], "the following arguments are required: FINDING"),
]


@pytest.mark.parametrize(("words", "said"), SLIPS, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_a_slip_is_one_line_and_exit_code_4(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 4
    error = capsys.readouterr().err
    assert said in error and error.startswith("claimbench: ") and error.count("\n") == 1


def test_names_are_one_a_line_and_output_has_no_colours_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    names = told(["list", "--names"], capsys).splitlines()
    assert len(names) > 10 and all(re.fullmatch(r"[\w-]+/[\w-]+", name) for name in names)
    assert "\x1b" not in told(["list"], capsys) + told(["--help"], capsys)
    assert all(name in told(["list"], capsys) for name in names)


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_completion_knows_every_command_and_option(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = told(["completion", shell], capsys)
    for name, options in completion.options_of(cli._parser()).items():
        assert name in text
        for option in options:
            assert (option if shell != "fish" else f"-l {option[2:]}") in text, (name, option)
    if (program := shutil.which(shell)) is not None:
        script = tmp_path / "script"
        script.write_text(text)
        done = subprocess.run([program, "-n", str(script)], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("pub", {"publish"}),
        ("store ver", {"verify"}),
        ("compare --fa", {"--fail-on"}),
        ("run --base", {"--base-model", "--baseline"}),
    ],
)
def test_bash_completes(line: str, found: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "script"
    words = ["claimbench", *line.split()]
    call = f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _claimbench; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    quiet = "claimbench() { :; }"
    script.write_text(f"{told(['completion', 'bash'], capsys)}\n{quiet}\n{call}\n")
    done = subprocess.run(["bash", str(script)], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert set(done.stdout.split()) - {"script"} == found
