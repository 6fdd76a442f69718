"""The networks of the zoo, and command lines that name one.

Standard library only, so that a command line is read before torch is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmim.digest import sha256_of
from cmim.json_file import JsonFileError, read_json

# One folder a network, which carries its name.
FOLDER = Path(__file__).parent / "entries"
ENTRY, NETWORK, RECORD, CARD = "entry.json", "network.xml", "record.json", "card.md"
# What every entry has beside its ENTRY, which holds their digests.
FILES = (NETWORK, "network.bin", RECORD, CARD, "LICENSE")
MOST_BYTES = 3_000_000


class ZooError(ValueError):
    """An entry of the zoo that is damaged, or cannot be one."""


@dataclass(frozen=True)
class Entry:
    """A network of the zoo.

    Attributes:
        name: By which commands know it.
        folder: Of its files.
        about: One sentence.
        config: Name of one of the project's configs.
        overrides: Of that config, as words ``NAME=VALUE``.
        figures: Of its record, by name.
        digests: SHA-256 of each file by name.
    """

    name: str
    folder: Path
    about: str
    config: str
    overrides: tuple[str, ...]
    figures: dict[str, float]
    digests: dict[str, str]

    @property
    def network(self) -> Path:
        """The exported file, which commands take like a checkpoint."""
        return self.folder / NETWORK

    def check(self) -> None:
        """Refuse files that are not as they were added.

        Raises:
            ZooError: One is missing, or its digest is another one.
        """
        for name in FILES:
            path = self.folder / name
            if not path.is_file():
                raise ZooError(
                    f"'{self.name}' of the zoo lacks {path}: install the package again"
                )
            if sha256_of(path) != self.digests.get(name):
                raise ZooError(
                    f"'{self.name}' of the zoo is not as it was added: {path} has "
                    "another digest; install the package again"
                )


def entries(folder: Path | None = None) -> dict[str, Entry]:
    """All networks of the zoo by name, in alphabetical order.

    Args:
        folder: Of the entries; the package's when None.

    Raises:
        ZooError: An entry that does not say what it is.
    """
    found = sorted((folder or FOLDER).glob(f"*/{ENTRY}"))
    return {path.parent.name: _read_entry(path) for path in found}


def _read_entry(path: Path) -> Entry:
    try:
        content: dict[str, Any] = read_json(path)
        return Entry(
            path.parent.name,
            path.parent,
            str(content["about"]),
            str(content["config"]),
            tuple(map(str, content["overrides"])),
            dict(content["figures"]),
            dict(content["files"]),
        )
    except (JsonFileError, KeyError, TypeError, ValueError) as error:
        raise ZooError(
            f"'{path}' describes no network of the zoo ({error}): install the package "
            "again"
        ) from None


def expand_name(words: Sequence[str], folder: Path | None = None) -> list[str]:
    """A command line in which the name of a network becomes config and checkpoint.

    The name must stand first, where a config would. A file of that name wins. The
    entry's overrides of its config come last, but for those that the line has itself.

    Args:
        words: Behind the command.
        folder: Of the entries; the package's when None.

    Raises:
        ZooError: The entry's files are not as they were added.

    Examples:
        >>> expand_name(["configs/rooms_seg_bireal.py", "last.pth"])
        ['configs/rooms_seg_bireal.py', 'last.pth']
    """
    line = list(words)
    if not line or Path(line[0]).is_file():
        return line
    entry = entries(folder).get(line[0])
    if entry is None:
        return line
    entry.check()
    given = {word.partition("=")[0] for word in line[1:] if "=" in word}
    more = [w for w in entry.overrides if w.partition("=")[0] not in given]
    options = ["--cfg-options", *more] if more else []
    return [entry.config, str(entry.network), *line[1:], *options]
