"""A parser of command lines that says mistakes in one sentence.

Imports the standard library only.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any, NoReturn

from cmim.engine.option_types import output_file, picture_file

OUTPUTS = (output_file, picture_file)


class ToolParser(argparse.ArgumentParser):
    """argparse's parser without the usage in front of its errors.

    The last line was what mattered, behind many of options.

    Examples:
        >>> parser = ToolParser(prog="tools/test.py")
        >>> parser.error("no checkpoint")
        Traceback (most recent call last):
        SystemExit: 2
    """

    def parse_args(self, *args: Any, **kwargs: Any) -> Any:
        """As in argparse; refuses a file to write that is read or written, too."""
        found = super().parse_args(*args, **kwargs)
        given = [(a, vars(found).get(a.dest)) for a in self._actions]
        named = [(action, word) for action, v in given for word in _words(v)]
        for action, word in named:
            for other, path in named:
                if action.type not in OUTPUTS or other is action:
                    continue
                if os.path.realpath(word) == os.path.realpath(path):
                    name = (other.option_strings or [other.dest])[0]
                    self.error(
                        f"{action.option_strings[0]} {word!r} is the file that {name} "
                        "names; name another, it would be overwritten"
                    )
        return found

    as_written = argparse.RawDescriptionHelpFormatter

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and where the options are listed; ends with status 2."""
        self.exit(2, f"error: {message} (all options: {self.prog} --help)\n")


def _words(value: Any) -> list[str]:
    """What may be paths among the values of an option."""
    if isinstance(value, (list, tuple)):
        return [word for part in value for word in _words(part)]
    return [str(value)] if isinstance(value, (str, Path)) else []
