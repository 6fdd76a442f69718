"""A folder of prepared frames that is either complete or plainly marked.

While ``INCOMPLETE`` exists the folder is unfinished. The file is a journal: a
JSON line with the settings, then one line per finished frame with the digests
of its files. ``prepared.json`` holds the same once everything is verified.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from cmim.whole_output import write_whole
from tasks.datasets.errors import DataError

JOURNAL = "INCOMPLETE"
SUMMARY = "prepared.json"
FOLDERS = ("images", "depth", "labels40")


def frame_name(index: int) -> str:
    """Return the file stem of a 0-based frame.

    Examples:
        >>> frame_name(0)
        '00001'
    """
    return f"{index + 1:05d}"


def sha256(data: bytes) -> str:
    """Return the hexadecimal SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


class PreparedFolder:
    """Files, journal and summary of one output folder.

    Args:
        path: The folder; need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = path / JOURNAL
        self.summary = path / SUMMARY

    def is_complete(self) -> bool:
        """Tell whether a finished run left this folder."""
        return self.summary.is_file() and not self.journal.exists()

    def start(self, settings: dict[str, Any]) -> None:
        """Mark a fresh folder as incomplete, before anything else is written.

        Raises:
            DataError: If files of unknown origin are in the way.
        """
        strangers = [
            name
            for name in (*FOLDERS, SUMMARY, "train.txt", "test.txt")
            if (self.path / name).exists()
        ]
        if strangers:
            raise DataError(
                f"{self.path}: found {', '.join(strangers)} but no {JOURNAL} and no "
                f"{SUMMARY} of a finished run; choose an empty folder, or delete them"
            )
        self.path.mkdir(parents=True, exist_ok=True)
        write_whole(self.journal, _line(settings))
        self._make_folders()

    def resume(self, settings: dict[str, Any]) -> dict[str, dict[str, str]]:
        """Continue an interrupted run.

        Removes temporary files and drops journal lines that were cut short or
        whose files are missing or damaged.

        Returns:
            Digests by frame name and file of the frames that are intact.

        Raises:
            DataError: If the run was started with other settings.
        """
        lines = self.journal.read_bytes().split(b"\n")
        found = _parse(lines[0])
        if found is None:
            raise DataError(
                f"{self.journal}: its first line is not JSON; delete {self.path} and "
                "prepare it again"
            )
        self.compare(found, settings)
        self._make_folders()
        for folder in (self.path, *(self.path / name for name in FOLDERS)):
            for part in folder.glob(".*.part"):
                part.unlink()
        finished = {}
        for line in lines[1:]:
            entry = _parse(line)
            if entry is not None and self._is_intact(entry["files"]):
                finished[entry["frame"]] = entry["files"]
        entries = [
            _line({"frame": frame, "files": files})
            for frame, files in sorted(finished.items())
        ]
        write_whole(self.journal, b"".join([_line(settings), *entries]))
        return finished

    def compare(self, found: dict[str, Any], settings: dict[str, Any]) -> None:
        """Check that the folder's settings are those of this run.

        Raises:
            DataError: If one differs.
        """
        for key, value in settings.items():
            if found.get(key) != value:
                raise DataError(
                    f"{self.path}: was prepared with {key} {found.get(key)}, but this "
                    f"run has {value}; use the same options and source files, or "
                    "choose another --out"
                )

    def write_frame(self, frame: str, files: dict[str, bytes]) -> dict[str, str]:
        """Write the files of one frame, then its journal line.

        Args:
            frame: Frame name.
            files: Contents by path relative to the folder.
        """
        digests = {}
        for name, data in files.items():
            write_whole(self.path / name, data)
            digests[name] = sha256(data)
        with self.journal.open("ab") as journal:
            journal.write(_line({"frame": frame, "files": digests}))
        return digests

    def finish(self, texts: dict[str, str], summary: dict[str, Any]) -> None:
        """Write lists and summary of a verified folder, then lift the mark."""
        for name, text in texts.items():
            write_whole(self.path / name, text.encode())
        self._write_summary(summary)
        self.journal.unlink()

    def add_texts(self, texts: dict[str, str]) -> None:
        """Write lists that a complete folder lacks, and note them in its summary."""
        summary = self.load_summary()
        known = summary["text_digests"]
        missing = {name: text for name, text in texts.items() if name not in known}
        for name, text in missing.items():
            write_whole(self.path / name, text.encode())
            known[name] = sha256(text.encode())
        if missing:
            self._write_summary(summary)

    def _write_summary(self, summary: dict[str, Any]) -> None:
        data = json.dumps(summary, indent=1, sort_keys=True) + "\n"
        write_whole(self.summary, data.encode())

    def load_summary(self) -> dict[str, Any]:
        """Load ``prepared.json``.

        Raises:
            DataError: If the folder is absent, incomplete or its summary damaged.
        """
        if self.journal.exists():
            raise DataError(
                f"{self.path}: {JOURNAL} says that the preparation was interrupted; "
                "run it again with the same options to resume"
            )
        if not self.summary.is_file():
            raise DataError(
                f"{self.summary}: no such file, so the folder is not prepared; run the "
                "preparation first"
            )
        found = _parse(self.summary.read_bytes())
        if found is None or not isinstance(found.get("digests"), dict):
            raise DataError(
                f"{self.summary}: damaged; delete {self.path} and prepare it again"
            )
        return found

    def read(self, name: str) -> bytes:
        """Read a file by its path relative to the folder.

        Raises:
            DataError: If it is missing.
        """
        path = self.path / name
        if not path.is_file():
            raise DataError(
                f"{path}: missing from a prepared folder; delete {self.path} and "
                "prepare it again"
            )
        return path.read_bytes()

    def _make_folders(self) -> None:
        for name in FOLDERS:
            (self.path / name).mkdir(exist_ok=True)

    def _is_intact(self, files: dict[str, str]) -> bool:
        return all(
            (self.path / name).is_file()
            and sha256((self.path / name).read_bytes()) == digest
            for name, digest in files.items()
        )


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, sort_keys=True).encode() + b"\n"


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return the object on a line, or None if the line was cut short."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
