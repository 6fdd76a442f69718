"""A parser of command lines that says mistakes in one sentence.

Imports the standard library only.
"""

from __future__ import annotations

import argparse
from typing import NoReturn


class ToolParser(argparse.ArgumentParser):
    """argparse's parser without the usage in front of its errors.

    The last line was what mattered, behind many of options.

    Examples:
        >>> parser = ToolParser(prog="tools/test.py")
        >>> parser.error("no checkpoint")
        Traceback (most recent call last):
        SystemExit: 2
    """

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and where the options are listed; ends with status 2."""
        self.exit(2, f"error: {message} (all options: {self.prog} --help)\n")
