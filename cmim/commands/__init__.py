"""Command-line tools: one module a verb, each with ``build_parser`` and ``run``.

The top floor of the house: a command may ask ``tasks``, and nothing imports a command.
The console command ``cmim VERB`` and ``tools/VERB.py`` run the same module. Imports the
standard library only, so that a missing package is one sentence.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import pkgutil
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cmim.engine.run_tool import run_tool
from cmim.engine.tool_parser import ToolParser
from cmim.zoo.entries import expand_name


def verbs() -> dict[str, str]:
    """Module names by verb, in alphabetical order.

    Examples:
        >>> verbs()["check-data"]
        'check_data'
    """
    names = sorted(info.name for info in pkgutil.iter_modules(__path__))
    return {name.replace("_", "-"): name for name in names}


def load_command(name: str) -> Any:
    """The module of a command, by module name."""
    return importlib.import_module(f"cmim.commands.{name}")


def run_command(name: str, words: Sequence[str] | None = None) -> None:
    """Run a command as a process does: errors become one sentence and a status.

    Args:
        name: Module name, e.g. ``"check_data"``.
        words: The command line behind the command; that of the process when None.
    """

    def main() -> int | None:
        command = load_command(name)
        parser = command.build_parser()
        if installed:
            _say_verbs(parser)
        line = sys.argv[1:] if words is None else list(words)
        if getattr(command, "TAKES_ZOO_NAMES", False):
            line = expand_name(line)
        return command.run(parser.parse_args(line))

    installed = sys.argv[0].startswith("cmim ")
    run_tool(main, _tools_as_verbs if installed else str)


def _say_verbs(parser: argparse.ArgumentParser) -> None:
    """Have all of a parser's help name verbs, that of its options included."""
    parser.description = as_verbs(parser.description or "")
    parser.epilog = as_verbs(parser.epilog or "")
    for action in parser._actions:
        action.help = as_verbs(action.help or "")
        if isinstance(action, argparse._SubParsersAction):
            for listed in action._choices_actions:
                listed.help = as_verbs(listed.help or "")
            for part in action.choices.values():
                _say_verbs(part)


def as_verbs(text: str) -> str:
    """Help that names files of a checkout, for those who have installed a package.

    Examples:
        >>> as_verbs("python tools/check_data.py configs/nyud_seg_bireal.py")
        'cmim check-data nyud_seg_bireal'
    """
    return re.sub(r"configs/(\w+)\.py", r"\1", _tools_as_verbs(text))


def _tools_as_verbs(text: str) -> str:
    """The same for what names the user's files, too, which stay as they are."""
    return re.sub(
        r"(?:python )?tools/(\w+)\.py",
        lambda match: f"cmim {match[1].replace('_', '-')}",
        text,
    )


def main() -> None:
    """The console command ``cmim VERB ...``."""
    known = verbs()
    words = sys.argv[1:]
    if words and words[0] in known:
        sys.argv[0] = f"cmim {words[0]}"
        run_command(known[words[0]], words[1:])
        return
    width = max(map(len, known))
    listed = "\n".join(f"  {v:{width}s}  {_summary(known[v])}" for v in known)
    parser = ToolParser(
        prog="cmim",
        description="Binarized encoders for dense prediction.\n\nverbs:\n" + listed,
        epilog="'cmim VERB --help' has the options and an example of each.",
        formatter_class=ToolParser.as_written,
    )
    parser.add_argument("verb", choices=known, metavar="VERB", help="what to do")
    parser.parse_args(words or ["--help"])


def _summary(name: str) -> str:
    """The first line of a command's docstring, read without importing what it needs."""
    text = (Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
