"""Unpack CIFAR-10 as pictures from a zip file, safely.

The zip holds ``train/CLASS/NAME.jpg`` and ``test/CLASS/NAME.jpg`` (jpeg, png), nothing
else. It is unpacked into ``OUT.part`` and renamed once every file is there.
"""

from __future__ import annotations

import json
import os
import re
import stat
import time
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from cmim.whole_output import write_whole
from tasks.datasets.errors import DataError
from tasks.datasets.prepared_folder import SUMMARY
from tasks.datasets.zip_member import read_member

#: Class names in the order of their labels (alphabetic, as CIFAR-10 numbers them).
CIFAR10_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
_NAME = re.compile(
    r"(?:train|test)/([a-z]+)/[A-Za-z0-9_][A-Za-z0-9_.-]*\.(?:jpe?g|png)", re.ASCII
)
_FOLDER = re.compile(r"(?:train|test)/(?:[a-z]+/)?", re.ASCII)
_ENCRYPTED = 1
# What zipfile raises on files that are no zip, cut short, damaged or of a newer kind.
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    UnicodeDecodeError,
)
# CIFAR-10 has 60,000 pictures of at most 3 kB: generous, and no bomb.
MAX_FILES = 100_000
MAX_FILE_BYTES = 64 * 1024


@dataclass(frozen=True)
class UnpackReport:
    """Figures of one run.

    Args:
        train: Number of training pictures in the folder.
        test: Number of test pictures.
        written: Number of pictures written by this run.
        megabytes: Size of all pictures, 10^6 bytes.
        seconds: Wall time of this run.
    """

    train: int
    test: int
    written: int
    megabytes: float
    seconds: float


def prepare_cifar10(source: Path, out: Path, progress: bool = True) -> UnpackReport:
    """Unpack the pictures; resume an interrupted run, or check a finished one.

    Args:
        source: Zip file.
        out: Folder to make; it appears only when it is complete.
        progress: Whether to show a bar.

    Raises:
        DataError: The zip is missing or damaged, holds anything but pictures of the
            ten classes under ``train/`` and ``test/`` (other paths, links, encrypted or
            oversized files), or ``out`` is something else.
    """
    started = time.perf_counter()
    try:
        with zipfile.ZipFile(source) as archive:
            members = check_members(archive.infolist(), source)
            written = _unpack(archive, members, source, out, progress)
    except FileNotFoundError as error:
        raise DataError(
            f"'{error.filename}' does not exist; give the zip file of CIFAR-10 pictures"
        ) from error
    except _UNREADABLE as error:
        raise DataError(
            f"'{source}' is damaged or no zip file ({error}); get it again"
        ) from error
    counts = Counter(member.filename.split("/")[0] for member in members)
    return UnpackReport(
        train=counts["train"],
        test=counts["test"],
        written=written,
        megabytes=round(sum(m.file_size for m in members) / 1e6, 3),
        seconds=round(time.perf_counter() - started, 3),
    )


def check_members(
    members: list[zipfile.ZipInfo], source: Path
) -> list[zipfile.ZipInfo]:
    """Refuse whatever is no picture of a class; return the pictures.

    Args:
        members: Directory of the zip.
        source: The zip, for messages.

    Raises:
        DataError: See :func:`prepare_cifar10`; nothing was written then.
    """
    if len(members) > MAX_FILES:
        raise DataError(
            f"'{source}' has {len(members)} entries, expected at most {MAX_FILES}; is "
            "it CIFAR-10?"
        )
    pictures = [m for m in members if not _FOLDER.fullmatch(m.filename)]
    seen: set[str] = set()
    for member in pictures:
        reason = _objection(member, seen)
        if reason:
            raise DataError(
                f"'{source}': entry {member.filename[:80]!r} {reason}; nothing was "
                "unpacked, use another file"
            )
        seen.add(member.filename.casefold())
    for split in ("train", "test"):
        found = {
            m.filename.split("/")[1] for m in pictures if m.filename.startswith(split)
        }
        missing = [name for name in CIFAR10_CLASSES if name not in found]
        if missing:
            raise DataError(
                f"'{source}' has no pictures in {split}/ of {', '.join(missing)}; is "
                "it CIFAR-10?"
            )
    return pictures


def _objection(member: zipfile.ZipInfo, seen: set[str]) -> str | None:
    """What speaks against unpacking an entry."""
    # The name that a reader sees must be the one stored: zipfile cuts at a NUL.
    match = _NAME.fullmatch(member.filename)
    if match is None or member.orig_filename != member.filename:
        return "is not train|test/CLASS/NAME.jpg|jpeg|png"
    if match[1] not in CIFAR10_CLASSES:
        return f"is of no class of CIFAR-10 ({', '.join(CIFAR10_CLASSES)})"
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "is a link or a special file"
    if member.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is compressed in an unusual way (accepted: stored, deflated)"
    if not 0 < member.file_size <= MAX_FILE_BYTES:
        return f"unpacks to {member.file_size} bytes, expected 1 to {MAX_FILE_BYTES}"
    if member.filename.casefold() in seen:
        return "is there twice"
    return None


def _unpack(
    archive: zipfile.ZipFile,
    members: list[zipfile.ZipInfo],
    source: Path,
    out: Path,
    progress: bool,
) -> int:
    """Write what is missing; return the number of pictures written."""
    if out.exists():
        _check_finished(out, members, source)
        return 0
    part = out.with_name(out.name + ".part")
    for folder in {m.filename.rsplit("/", 1)[0] for m in members}:
        _make_folder(part, folder)
    written = 0
    for member in tqdm(members, disable=not progress, unit="picture"):
        target = part / member.filename
        if not _is_intact(target, member):
            write_whole(target, read_member(archive, member))
            written += 1
    _remove_strangers(part, members)
    digest = dict(pictures=len(members), content=_fingerprint(members))
    write_whole(part / SUMMARY, (json.dumps(digest, indent=1) + "\n").encode())
    os.replace(part, out)
    return written


def _make_folder(part: Path, folder: str) -> None:
    """Make the folders of a class; refuse links that lead out of ``part``."""
    path = part
    for name in ("", *folder.split("/")):
        path = path / name
        if path.is_symlink():
            raise DataError(f"'{path}' is a link; delete it and run again")
        path.mkdir(parents=path == part, exist_ok=True)


def _is_intact(path: Path, member: zipfile.ZipInfo) -> bool:
    return (
        path.is_file()
        and not path.is_symlink()
        and path.stat().st_size == member.file_size
        and zlib.crc32(path.read_bytes()) == member.CRC
    )


def _remove_strangers(part: Path, members: list[zipfile.ZipInfo]) -> None:
    """Delete leftovers of an interrupted run of this or another zip."""
    wanted = {part / m.filename for m in members}
    for path in part.rglob("*"):
        if (path.is_symlink() or not path.is_dir()) and path not in wanted:
            path.unlink()


def _fingerprint(members: list[zipfile.ZipInfo]) -> str:
    """One number for names and contents, whatever their order in the zip."""
    lines = sorted(f"{m.filename} {m.file_size} {m.CRC}" for m in members)
    return f"{zlib.crc32(chr(10).join(lines).encode()):08x}"


def _check_finished(out: Path, members: list[zipfile.ZipInfo], source: Path) -> None:
    try:
        found = json.loads((out / SUMMARY).read_text())
    except (OSError, ValueError):
        found = {}
    if found.get("content") != _fingerprint(members):
        raise DataError(
            f"'{out}' exists and was not unpacked from '{source}'; choose another "
            "folder, or delete it"
        )
    damaged = [m for m in members if not _is_intact(out / m.filename, m)]
    if damaged:
        raise DataError(
            f"'{out / damaged[0].filename}' is missing or damaged; delete '{out}' and "
            "run again"
        )
