"""Files that are written whole or not at all. Imports the standard library only."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_whole(path: str | Path, content: str | bytes) -> None:
    """Write a file's content so that the file is never seen half-written.

    A process that is killed in between leaves what was there before, and a hidden
    file ``.NAME.part``.

    Args:
        path: The file to make; its folder is made, too.
        content: Bytes, or text, which becomes UTF-8.

    Examples:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "new" / "a.txt"
        >>> write_whole(target, "a")
        >>> [file.read_text() for file in target.parent.iterdir()]
        ['a']
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(path)
    try:
        part.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(part, path)
    except OSError:
        # On a full disk what was cut short would stay in the way.
        part.unlink(missing_ok=True)
        raise


def part_of(path: Path) -> Path:
    """Where a file lies until it is whole.

    Examples:
        >>> part_of(Path("run/last.pth")).as_posix()
        'run/.last.pth.part'
    """
    return path.with_name(f".{path.name}.part")


@contextmanager
def whole_output(path: str | Path) -> Iterator[Path]:
    """Where to write a file, which takes its place once all is written.

    A process that is killed in between leaves what was there before, and a hidden
    folder ``.NAME.part`` that the next one removes. What is written beside the file (an
    ``.xml`` has its ``.bin``) goes with it, and before it.

    Args:
        path: The file to make; its folder is made, too.

    Examples:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "new" / "a.txt"
        >>> with whole_output(target) as place:
        ...     _ = place.write_text("a")
        ...     target.exists()
        False
        >>> [file.name for file in target.parent.iterdir()]
        ['a.txt']
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = part_of(path)
    shutil.rmtree(folder, ignore_errors=True)
    # What a killed process has left of a single file.
    if folder.is_file():
        folder.unlink()
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from None
    try:
        yield folder / path.name
        beside = [file for file in sorted(folder.iterdir()) if file.name != path.name]
        for file in (*beside, folder / path.name):
            os.replace(file, path.with_name(file.name))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
