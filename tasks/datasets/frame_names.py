"""Which files belong to a frame, and what is said where one has none."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from tasks.datasets.errors import DataError
from tasks.datasets.label_files import UNSUPPORTED
from tasks.datasets.name_patterns import find_files, some


def find_labels(root: Path, pattern: str, split: str | None) -> dict[str, Path]:
    """Label files as :func:`tasks.datasets.name_patterns.find_files` finds them.

    Raises:
        DataError: Likewise; where none is found it says what labels have to be.
    """
    try:
        return find_files(root, pattern, split)
    except DataError as error:
        if "same name" in str(error):
            raise
        raise DataError(f"{error}. {UNSUPPORTED}") from error


def check_there(names: list[str], found: Iterable, where: str, source: str) -> None:
    """Refuse frames without a file.

    Args:
        names: Of the frames.
        found: Names that have a file.
        where: Pattern of these files, for the message.
        source: Where the names are from: ``list 'FILE'``, or a pattern.

    Raises:
        DataError: With the names of some.
    """
    missing = sorted(set(names) - set(found))
    if not missing:
        return
    advice = "add or delete files, or name the frames to use in a list "
    advice += "(names='{split}.txt')"
    if source.startswith("list"):
        first = PurePosixPath(missing[0].split()[0])
        meant = {first.stem, str(first.with_suffix(""))} & set(found)
        if meant:
            advice = f"list what {{name}} stands for, here '{min(meant)}'"
    elif all(any(other.startswith(f"{n}_") for other in found) for n in missing):
        advice = f"the names there go on behind '{missing[0]}'. {UNSUPPORTED}"
    raise DataError(
        f"{len(missing)} of {len(names)} frames of {source} have no file that fits "
        f"{where}: {some(missing)}; {advice}"
    )
