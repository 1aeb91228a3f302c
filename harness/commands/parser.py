"""The parser: one help for all commands in sections, examples and exit codes below each, and mistakes as one line."""

from __future__ import annotations

import argparse
import difflib
import re
import shutil
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from ..errors import UsageError

Add = Callable[..., argparse.ArgumentParser]

SECTIONS = {
    "look around": ("list", "show", "history"),
    "measure and judge": ("run", "measure"),
    "show to others": ("compare", "publish"),
    "ask whether a claim is to be trusted": ("check", "audit", "robust", "replay", "calibrate", "power"),
    "write claims": ("new", "lock", "record", "catalogue"),
    "keep house": ("store", "families", "completion"),
}
"""Commands by what they are for; one that is in none of them stands in the last."""

EXAMPLES = (
    ("claimbench list", "every finding, and which can be run"),
    ("claimbench run --model path/to/model --report report", "test a model, write a report"),
    ("claimbench run --plan", "what that would cost"),
    ("claimbench compare before.json report", "what changed since an earlier run"),
    ("claimbench publish report --to badge", "a picture for a README"),
)

EXIT_CODES = (
    ("0", "done; for run: no verdict that --fail-on names"),
    ("1", "an answer that speaks against: a failing verdict, a regression, an unnoticed fault, another number"),
    ("4", "a mistake in the command, an option or a file: one line says which; nothing was run"),
    ("5", "no claim was selected"),
    ("130", "interrupted; what is measured stays measured"),
)


class Parser(argparse.ArgumentParser):
    """An argument parser whose mistakes are `UsageError`s, in one line with the nearest valid word."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError in place of writing a usage and leaving."""
        if found := re.fullmatch(r"unrecognized arguments: (-\S+).*", message):
            every = (self, *getattr(self, "made", {}).values())
            options = [option for parser in every for action in parser._actions for option in action.option_strings]
            near = difflib.get_close_matches(found[1].partition("=")[0], options, n=1)
            message = f"unknown option {found[1]}" + (f", did you mean {near[0]}?" if near else "")
        raise UsageError(f"{message}; see `{self.prog} --help`")


class Commands(Parser):
    """The parser of the whole command line."""

    def __init__(self) -> None:
        super().__init__(
            prog="claimbench", description="Published findings about neural networks as executable claims.", add_help=True
        )
        self.made: dict[str, argparse.ArgumentParser] = {}
        self.texts: dict[str, str] = {}
        self._sub = self.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)

    def add(
        self, name: str, text: str, do: Any, *, examples: Sequence[tuple[str, str]] = (), ending: str = ""
    ) -> argparse.ArgumentParser:
        """A command: its name, what it does in one line, the function that does it, and examples with what each is for."""
        made = self._sub.add_parser(
            name,
            help=text,
            description=textwrap.fill(f"{text[0].upper()}{text[1:]}.", columns()),
            formatter_class=_Formatter,
            epilog="\n".join([*_examples(examples), *textwrap.wrap(ending, columns())]) or None,
        )
        made.set_defaults(do=do)
        self.made[name], self.texts[name] = made, text
        return made

    def check(self, words: Sequence[str]) -> None:
        """Raise UsageError, with the nearest, for a first word that is no command."""
        if words and not words[0].startswith("-") and words[0] not in self.made:
            near = difflib.get_close_matches(words[0], self.made, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"commands are {', '.join(self.made)}"
            raise UsageError(f"there is no command {words[0]!r}: {hint}")

    def format_help(self) -> str:
        """The commands in sections, with examples and exit codes."""
        lines = [
            "usage: claimbench COMMAND [...]",
            "       claimbench COMMAND --help",
            "",
            *textwrap.wrap(str(self.description), columns()),
        ]
        told = {name for names in SECTIONS.values() for name in names}
        for title, names in SECTIONS.items():
            rest = [name for name in self.made if name not in told] if title == list(SECTIONS)[-1] else []
            lines += ["", f"{title}:", *_columns((name, self.texts[name]) for name in [*names, *rest] if name in self.made)]
        lines += ["", *_examples(EXAMPLES), "", "exit codes:", *_columns(EXIT_CODES)]
        return "\n".join(lines) + "\n"


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Examples as they are written, and the rest as wide as the terminal, up to a width that reads well."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=columns())


def columns() -> int:
    """How wide help may be."""
    return min(max(shutil.get_terminal_size().columns, 60), 100)


def _columns(rows: Iterable[tuple[str, str]], width: int = 12) -> list[str]:
    lines: list[str] = []
    for name, text in rows:
        lines += textwrap.wrap(
            text, columns(), initial_indent=f"  {name:{width}}", subsequent_indent=" " * (width + 2), break_long_words=False
        )
    return lines


def _examples(examples: Sequence[tuple[str, str]]) -> list[str]:
    if not examples:
        return []
    return ["examples:", *(line for command, text in examples for line in (f"  {command}", f"      {text}"))]
