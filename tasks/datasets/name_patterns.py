"""Patterns such as ``images/{split}/{name}.jpg``: which files are a data set's."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tasks.datasets.errors import DataError

SUFFIXES = ("bmp", "gif", "jpeg", "jpg", "png", "tif", "tiff", "webp")
_ANY_SUFFIX = rf"\.(?:{'|'.join(SUFFIXES)})"
_PLACE = re.compile(r"\{(.*?)\}")
# How many names an error shows.
_SHOWN = 5


def find_files(root: Path, pattern: str, split: str | None) -> dict[str, Path]:
    r"""Files that a pattern describes, by their names.

    ``{split}`` stands for the split. ``{name}`` stands for what is a frame's own; it
    may contain folders. A pattern that ends in ``.*`` finds pictures of any suffix.
    Suffixes may be in capitals. Hidden files are no data.

    Args:
        root: Folder that the pattern begins at.
        pattern: For example ``leftImg8bit/{split}/{name}_leftImg8bit.png``.
        split: For example ``train``.

    Returns:
        Paths by name, sorted by name.

    Raises:
        ValueError: The pattern has an unknown place, or not exactly one ``{name}``.
        DataError: The folder is missing, nothing in it fits, or two files have the
            same name; the message says what was found instead.

    Examples:
        >>> import tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> (root / "images/train/city").mkdir(parents=True)
        >>> (root / "images/train/city/7.jpg").touch()
        >>> list(find_files(root, "images/{split}/{name}.*", "train"))
        ['city/7']
    """
    filled = fill_split(pattern, split)
    if filled.count("{name}") != 1:
        raise ValueError(
            f"pattern {pattern!r} must hold {{name}} once, as in "
            "'images/{split}/{name}.jpg'"
        )
    before, after = filled.split("{name}")
    start, _, stem = before.rpartition("/")
    folder = root / (start or ("/" if before.startswith("/") else ""))
    if not folder.is_dir():
        raise DataError(
            f"folder '{folder}' does not exist (data_root '{root}', pattern "
            f"{pattern!r}); {_what_is_near(folder)}"
        )
    tail = _tail(after)
    # A name may have several lines, too.
    fits = re.compile(f"{re.escape(stem)}(?P<name>.+){tail}", re.DOTALL)
    found: dict[str, Path] = {}
    for relative in files_below(folder):
        match = fits.fullmatch(relative)
        if match is None:
            continue
        name = match["name"]
        if name in found:
            raise DataError(
                f"'{found[name]}' and '{folder / relative}' have the same name "
                f"{name!r} in pattern {pattern!r}; write the suffix into the pattern, "
                "or delete one of them"
            )
        found[name] = folder / relative
    if not found:
        raise DataError(
            f"no file in '{folder}' fits the pattern {pattern!r}; "
            f"{_what_is_near(folder)}"
        )
    return dict(sorted(found.items()))


def _tail(after: str) -> str:
    """Regular expression of what follows the name."""
    rest, dot, suffix = after.rpartition(".")
    kind = _ANY_SUFFIX if dot + suffix == ".*" else re.escape(dot + suffix)
    return f"{re.escape(rest)}(?i:{kind})" if dot else re.escape(after)


def fill_split(pattern: str, split: str | None) -> str:
    """Put the split into a pattern.

    Raises:
        ValueError: An unknown place, or a pattern that needs a split and gets none.

    Examples:
        >>> fill_split("{split}.txt", "val")
        'val.txt'
    """
    unknown = set(_PLACE.findall(pattern)) - {"name", "split"}
    if unknown:
        raise ValueError(
            f"pattern {pattern!r} has the place {{{min(unknown)}}}; accepted are "
            "{split} and {name}"
        )
    if "{split}" in pattern and split is None:
        raise ValueError(
            f"pattern {pattern!r} holds {{split}}, but no split is given; for example "
            "split='train'"
        )
    return pattern.replace("{split}", split or "")


def read_names(path: Path) -> list[str]:
    """Names of a list file, one a line; empty lines do not count.

    Raises:
        DataError: The file is missing, empty, no text in UTF-8 or names a frame twice.
    """
    if not path.is_file():
        raise DataError(
            f"list '{path}' does not exist; expected a text file with a frame's name a "
            f"line. {_what_is_near(path)}"
        )
    names = [line.strip() for line in read_lines(path)]
    names = [name for name in names if name]
    if not names:
        raise DataError(f"list '{path}' is empty; expected a frame's name a line")
    if len(set(names)) < len(names):
        twice = sorted(name for name, count in Counter(names).items() if count > 1)
        raise DataError(f"list '{path}' has twice: {some(twice)}; delete one of each")
    return names


def read_lines(path: Path) -> list[str]:
    """Lines of a text file.

    Raises:
        DataError: It is no text in UTF-8.
    """
    try:
        # Editors on Windows may begin a file with a mark, which is no part of a name.
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(
            f"list '{path}' is no text in UTF-8 ({error}); save it as UTF-8"
        ) from error


def some(names: list[str]) -> str:
    """The first few of many names, for messages.

    Examples:
        >>> some(["a", "b"]), some(list("abcdefg"))
        ('a, b', 'a, b, c, d, e and 2 more')
    """
    shown = ", ".join(names[:_SHOWN])
    rest = len(names) - _SHOWN
    return f"{shown} and {rest} more" if rest > 0 else shown


def files_below(folder: Path) -> Iterator[str]:
    """Relative paths with ``/``, without hidden files and folders.

    Links to folders are followed, except back into a folder that they lie in.

    Raises:
        OSError: A folder cannot be read; its files would be left out in silence.
        DataError: A name that is no text.
    """
    walk = os.walk(folder, onerror=_unreadable, followlinks=True)
    for place, folders, files in walk:
        above = {os.path.realpath(p) for p in (Path(place), *Path(place).parents)}
        folders[:] = sorted(
            f
            for f in folders
            if not f.startswith(".")
            and not (
                os.path.islink(os.path.join(place, f))
                and os.path.realpath(os.path.join(place, f)) in above
            )
        )
        below = Path(place).relative_to(folder)
        for file in sorted(files):
            if not file.startswith("."):
                check_name(below / file)
                yield (below / file).as_posix()


def _unreadable(error: OSError) -> None:
    # A folder that is not there has no files; callers say what they miss.
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        raise error


def check_name(path: str | Path) -> None:
    r"""Refuse a name that is no UTF-8: OpenCV ends the whole process on it.

    Raises:
        DataError: Such a name.

    Examples:
        >>> check_name("\udcff.png")
        Traceback (most recent call last):
            ...
        tasks.datasets.errors.DataError: the name '\udcff.png' is no text in UTF-8; ...
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise DataError(
            f"the name {str(path)!r} is no text in UTF-8; rename the file or folder"
        ) from None


def _what_is_near(folder: Path) -> str:
    """What the folder, or the first one above it that exists, contains."""
    while not folder.is_dir():
        folder = folder.parent
    with os.scandir(folder) as entries:
        names = sorted(e.name + "/" * e.is_dir() for e in entries)
    return f"'{folder}' has {some(names) if names else 'nothing in it'}"
