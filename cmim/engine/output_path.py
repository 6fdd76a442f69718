"""Where a tool writes, checked before it works: nothing is lost at the end."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def output_file(text: str) -> str:
    """A file that can be written, as a type of an option.

    Its folder need not be there yet.

    Raises:
        ArgumentTypeError: A folder or a device is in its place, or it cannot be made.

    Examples:
        >>> output_file("work_dirs/figures.json")
        'work_dirs/figures.json'
        >>> output_file(".")
        Traceback (most recent call last):
        argparse.ArgumentTypeError: '.' is a folder; name a file in it
    """
    path = Path(text)
    if not text or path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is a folder; name a file in it")
    if path.exists() and not path.is_file():
        raise argparse.ArgumentTypeError(f"{text!r} is no file; name a file")
    if path.exists() and not os.access(path, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text!r} must not be written; name another")
    _check_folder(path.absolute().parent, text)
    return text


def output_folder(text: str) -> str:
    """A folder that can be written into, as a type of an option; it may be missing.

    Raises:
        ArgumentTypeError: A file is in its place, or it cannot be made.
    """
    if not text:
        raise argparse.ArgumentTypeError("an empty name; name a folder")
    _check_folder(Path(text).absolute(), text)
    return text


def _check_folder(folder: Path, text: str) -> None:
    there = folder
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise argparse.ArgumentTypeError(
            f"{text!r} cannot be made: '{there}' is no folder; name another place"
        )
    if not os.access(there, os.W_OK | os.X_OK):
        raise argparse.ArgumentTypeError(
            f"{text!r} cannot be made: '{there}' must not be written; name another "
            "place"
        )
