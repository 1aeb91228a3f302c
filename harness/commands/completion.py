"""Completion for shells: a script made from the parser, so that it knows every command and option."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from . import run_help
from .parser import Add, Commands

SHELLS = ("bash", "zsh", "fish")
FINDINGS = ("show", "history", "audit", "robust", "calibrate", "power", "replay")
"""Commands whose words are findings."""


def add_to(add: Add, commands: Commands) -> None:
    """Add the command `completion` to the parser."""
    found = add(
        "completion",
        "print the script by which a shell completes commands, options and findings",
        lambda asked: print(script(asked.shell, commands), end="") or 0,
        examples=(
            ('eval "$(claimbench completion bash)"', "in ~/.bashrc"),
            ('eval "$(claimbench completion zsh)"', "in ~/.zshrc, behind compinit"),
            ("claimbench completion fish > ~/.config/fish/completions/claimbench.fish", "once"),
        ),
    )
    found.add_argument("shell", choices=SHELLS, help="the shell that is to complete")


def script(shell: str, commands: Commands) -> str:
    """The script for a shell."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](commands)


def options_of(commands: Commands) -> dict[str, dict[str, str]]:
    """Options of every command, each with what it does."""
    found = {}
    for name, parser in commands.made.items():
        if name in ("run", "measure"):
            found[name] = {flag: said for flag, (_, said) in run_help._told().items()}
        else:
            found[name] = {
                option: action.help or ""
                for action in parser._actions
                for option in action.option_strings
                if option.startswith("--")
            }
    return found


def choices_of(parser: argparse.ArgumentParser) -> list[str]:
    """Words that a command takes from a closed list."""
    return [str(choice) for action in parser._actions if not action.option_strings for choice in action.choices or ()]


def _bash(commands: Commands) -> str:
    cases = [
        f'    {name}) words="{" ".join([*choices_of(commands.made[name]), *options])}" ;;' for name, options in _sorted(commands)
    ]
    return f"""# completion of claimbench for bash
_claimbench_findings() {{
  [[ -n $_claimbench_known ]] || _claimbench_known=$(claimbench list --names 2>/dev/null)
  printf '%s' "$_claimbench_known"
}}
_claimbench() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} words=""
  if (( COMP_CWORD == 1 )); then
    COMPREPLY=($(compgen -W "{" ".join(commands.made)} --help --version" -- "$current"))
    return
  fi
  case ${{COMP_WORDS[1]}} in
{chr(10).join(cases)}
  esac
  if [[ $current != -* ]]; then
    case ${{COMP_WORDS[1]}} in
      {"|".join(name for name in FINDINGS if name in commands.made)}) words="$words $(_claimbench_findings)" ;;
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current") $(compgen -f -- "$current"))
}}
complete -o filenames -F _claimbench claimbench
"""


def _zsh(commands: Commands) -> str:
    listed = "\n".join(f"    {_quoted(f'{name}:{text}')}" for name, text in commands.texts.items())
    cases = []
    for name, options in _sorted(commands):
        flags = " ".join(_quoted(f"{flag}[{_plain(said)}]") for flag, said in options.items())
        words = " ".join(choices_of(commands.made[name]))
        rest = f"'*:word:({words})'" if words else "'*:finding:_claimbench_findings'" if name in FINDINGS else "'*:file:_files'"
        cases.append(f"    {name}) _arguments {flags} {rest} ;;")
    return f"""#compdef claimbench
# completion of claimbench for zsh
_claimbench_findings() {{
  (( $+_claimbench_known )) || typeset -ga _claimbench_known=(${{(f)"$(claimbench list --names 2>/dev/null)"}})
  compadd -a _claimbench_known
  _files
}}
_claimbench() {{
  local -a commands
  commands=(
{listed}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local name=$words[2]
  shift words
  (( CURRENT-- ))
  case $name in
{chr(10).join(cases)}
  esac
}}
compdef _claimbench claimbench
"""


def _fish(commands: Commands) -> str:
    lines = ["# completion of claimbench for fish", "complete -c claimbench -n __fish_use_subcommand -f"]
    for name, text in commands.texts.items():
        lines.append(f"complete -c claimbench -n __fish_use_subcommand -a {name} -d {_quoted(text)}")
    for name, options in _sorted(commands):
        seen = f"-n '__fish_seen_subcommand_from {name}'"
        lines += [f"complete -c claimbench {seen} -l {flag[2:]} -d {_quoted(said)}" for flag, said in options.items()]
        words = " ".join(choices_of(commands.made[name]))
        if words:
            lines.append(f"complete -c claimbench {seen} -f -a {_quoted(words)}")
        if name in FINDINGS:
            lines.append(f"complete -c claimbench {seen} -a '(claimbench list --names 2>/dev/null)'")
    return "\n".join(lines) + "\n"


def _sorted(commands: Commands) -> list[tuple[str, Mapping[str, str]]]:
    return sorted(options_of(commands).items())


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "’").replace("`", "") + "'"


def _plain(text: str) -> str:
    return text.translate(str.maketrans("[]:", "(),"))
