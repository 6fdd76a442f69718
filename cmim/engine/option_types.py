"""Types of tools' options, refused before work begins: nothing is lost at its end.

Imports the standard library only.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

LARGEST_SEED = 2**32 - 1
PICTURES = (".png", ".pdf", ".svg")


def positive(text: str) -> int:
    """A whole number of at least 1, as a type of an option.

    Examples:
        >>> positive("3")
        3
    """
    return _whole_number(text, 1)


def not_negative(text: str) -> int:
    """A whole number of at least 0, as a type of an option.

    Examples:
        >>> not_negative("0")
        0
    """
    return _whole_number(text, 0)


def seed(text: str) -> int:
    """A seed that Python, NumPy and torch take, as a type of an option.

    Examples:
        >>> seed("7")
        7
    """
    number = _whole_number(text, 0)
    if number > LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"{text!r} is more than {LARGEST_SEED}")
    return number


def _whole_number(text: str, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no whole number of at least {least}"
        )
    return number


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
    if not text:
        raise argparse.ArgumentTypeError("an empty name; name a file")
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is a folder; name a file in it")
    if (path.exists() and not path.is_file()) or _is_stream(path):
        raise argparse.ArgumentTypeError(f"{text!r} is no file; name a file")
    if path.exists() and not _may(path, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text!r} must not be written; name another")
    _check_folder(path.absolute().parent, text)
    return text


def _is_stream(path: Path) -> bool:
    """Whether it is an open file's name (``/dev/stdout``), not to be replaced by one.

    Where that file is a plain one (``> out.txt``) it looks like one itself.
    """
    places = [os.path.realpath(path.parent)]
    if path.is_symlink():
        places.append(os.readlink(path))
    return any(place.startswith("/proc/") for place in places)


def picture_file(text: str) -> str:
    """A picture that can be written, as a type of an option.

    Examples:
        >>> picture_file("methods.bmp")
        Traceback (most recent call last):
        argparse.ArgumentTypeError: 'methods.bmp' does not end with .png, .pdf or .svg
    """
    if Path(text).suffix.lower() not in PICTURES:
        raise argparse.ArgumentTypeError(
            f"{text!r} does not end with .png, .pdf or .svg"
        )
    return output_file(text)


def output_folder(text: str) -> str:
    """A folder that can be written into, as a type of an option; it may be missing.

    Raises:
        ArgumentTypeError: A file is in its place, or it cannot be made.
    """
    if not text:
        raise argparse.ArgumentTypeError("an empty name; name a folder")
    _check_folder(Path(text).absolute(), text)
    return text


def _may(path: Path, mode: int) -> bool:
    """Whether this process may do that, by the rights that are in effect."""
    effective = os.access in os.supports_effective_ids
    return os.access(path, mode, effective_ids=effective)


def _check_folder(folder: Path, text: str) -> None:
    there = folder
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise argparse.ArgumentTypeError(
            f"{text!r} cannot be made: '{there}' is no folder; name another place"
        )
    if not _may(there, os.W_OK | os.X_OK):
        raise argparse.ArgumentTypeError(
            f"{text!r} cannot be made: '{there}' must not be written; name another "
            "place"
        )
