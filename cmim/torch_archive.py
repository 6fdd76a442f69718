"""Checks that the zip archive of ``torch.save`` is whole, before torch reads it.

torch ignores the archive's checksums, unpacks compressed records however large they
become, and makes tensors as large as the archive says. Here every byte is accounted
for, and nothing is unpacked.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from cmim.pickle_sizes import ArchiveError, check_tensor_sizes

SIGNATURE = b"PK\x03\x04"
_LOCAL = struct.Struct("<4s5H3I2H")
_END_BYTES = 22
_END_SIGNATURE = b"PK\x05\x06"
_SIZES_FOLLOW = 8
_UNKNOWN = 0xFFFFFFFF
_PADDING = b"FB"
# Sizes of large records, and what archivers note of times and users.
_OTHER_FIELDS = (b"\x01\x00", b"UT", b"ux")
_BLOCK_BYTES = 1 << 20


def check_archive(path: str | Path) -> None:
    """Refuse an archive that is damaged, or that is larger inside than it is.

    Records must be stored as they are, lie side by side from the first byte to the
    directory, say of themselves what the directory says, and have the checksum that it
    records. Tensors must fit into the records that hold their values.

    Args:
        path: A file that begins with ``SIGNATURE``.

    Raises:
        ArchiveError: Saying what is wrong, as the end of a sentence about the file.
    """
    try:
        with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
            _check_end(file)
            records = sorted(archive.infolist(), key=lambda r: r.header_offset)
            _check_directory(records)
            _check_places(file, records, archive.start_dir)
            _check_sums(file, records)
            _check_pickle(archive, records)
    except (zipfile.BadZipFile, struct.error, UnicodeError, NotImplementedError,
            EOFError, OverflowError) as error:  # fmt: skip
        raise ArchiveError("is damaged or half-written") from error


def _check_end(file: BinaryIO) -> None:
    """The end record is the last thing: readers that search for it find the same."""
    file.seek(-_END_BYTES, 2)
    end = file.read()
    if end[:4] != _END_SIGNATURE or end[-2:] != bytes(2):
        raise ArchiveError("is damaged or half-written: it does not end as it should")


def _check_directory(records: list[zipfile.ZipInfo]) -> None:
    names = set()
    for record in records:
        name = record.orig_filename
        if record.compress_type != zipfile.ZIP_STORED:
            raise ArchiveError(
                f"has the compressed record {name!r}, which torch.save does not write "
                "and which may unpack to any size"
            )
        if record.flag_bits & 1 or record.compress_size != record.file_size:
            raise ArchiveError(
                f"has the record {name!r} of {record.compress_size} bytes that claims "
                f"to hold {record.file_size}"
            )
        if name in names:
            raise ArchiveError(f"has the record {name!r} twice")
        names.add(name)
    attributes = {
        (r.create_system, r.create_version, r.external_attr, r.internal_attr, r.volume)
        for r in records
    }
    if records and records[0].flag_bits & _SIZES_FOLLOW and len(attributes) > 1:
        raise ArchiveError("is damaged: its directory is not as torch.save writes it")


def _check_places(
    file: BinaryIO, records: list[zipfile.ZipInfo], directory: int
) -> None:
    """Records lie side by side, so that none holds more than the directory says."""
    expected = 0
    for record in records:
        if record.header_offset != expected:
            raise ArchiveError(
                f"is damaged: there are bytes of no record, or of two, at {expected}"
            )
        expected = _end_of(file, record)
    if expected != directory:
        raise ArchiveError(
            f"is damaged: its records end at byte {expected} and its directory begins "
            f"at {directory}"
        )


def _end_of(file: BinaryIO, record: zipfile.ZipInfo) -> int:
    """Check a record's own header; return where the record ends."""
    file.seek(record.header_offset)
    header = _LOCAL.unpack(file.read(_LOCAL.size))
    signature, version, flags, method, time, date, crc, *lengths = header
    packed, size, name, extra = lengths
    stored_name, padding = file.read(name), file.read(extra)
    later = bool(flags & _SIZES_FOLLOW)
    known = {record.file_size} | ({0} if later else set())
    if record.file_size >= _UNKNOWN or record.header_offset >= _UNKNOWN:
        known.add(_UNKNOWN)
    same = (
        signature == SIGNATURE
        and version == record.extract_version
        and flags == record.flag_bits
        and method == record.compress_type
        and _date(date, time) == record.date_time
        and crc in {record.CRC} | ({0} if later else set())
        and {packed, size} <= known
        and stored_name == record.orig_filename.encode()
        and _is_padding(padding)
    )
    start = record.header_offset + _LOCAL.size + name + extra
    file.seek(start + record.file_size)
    follows = file.read(_trailer_bytes(record)) if later else b""
    if not same or follows not in _trailers(record, later):
        raise ArchiveError(
            f"is damaged: record {record.orig_filename!r} and the directory contradict "
            "each other"
        )
    return start + record.file_size + len(follows)


def _date(date: int, time: int) -> tuple[int, ...]:
    """What ``zipfile`` makes of a record's two numbers."""
    day = (date >> 9) + 1980, (date >> 5) & 15, date & 31
    return *day, time >> 11, (time >> 5) & 63, (time & 31) * 2


def _trailer_bytes(record: zipfile.ZipInfo) -> int:
    return 24 if record.file_size >= _UNKNOWN else 16


def _trailers(record: zipfile.ZipInfo, later: bool) -> tuple[bytes, ...]:
    """What may stand behind the values: sizes, if the header has said so."""
    if not later:
        return (b"",)
    form = "<4s3I" if record.file_size < _UNKNOWN else "<4sI2Q"
    sizes = record.file_size, record.file_size
    return (struct.pack(form, b"PK\x07\x08", record.CRC, *sizes),)


def _is_padding(extra: bytes) -> bool:
    """Whether what aligns the values is whole; known fields may stand beside it."""
    at = 0
    while at < len(extra):
        if len(extra) - at < 4:
            return False
        kind, (length,) = extra[at : at + 2], struct.unpack_from("<H", extra, at + 2)
        content = extra[at + 4 : at + 4 + length]
        padding = kind == _PADDING and not content.strip(b"Z")
        if len(content) != length or not (padding or kind in _OTHER_FIELDS):
            return False
        at += 4 + length
    return True


def _check_sums(file: BinaryIO, records: list[zipfile.ZipInfo]) -> None:
    for record in records:
        found = 0
        for block in _blocks(file, record):
            found = zlib.crc32(block, found)
        if found != record.CRC:
            raise ArchiveError(
                f"is damaged: record {record.orig_filename!r} does not have the "
                "checksum that was saved with it"
            )


def _blocks(file: BinaryIO, record: zipfile.ZipInfo) -> Iterator[bytes]:
    """The values of a record, a piece at a time."""
    file.seek(record.header_offset)
    *_, name, extra = _LOCAL.unpack(file.read(_LOCAL.size))
    file.seek(name + extra, 1)
    left = record.file_size
    while left:
        block = file.read(min(left, _BLOCK_BYTES))
        if not block:
            raise EOFError
        yield block
        left -= len(block)


def _check_pickle(archive: zipfile.ZipFile, records: list[zipfile.ZipInfo]) -> None:
    """Refuse tensors larger than their records."""
    prefix = records[0].orig_filename.partition("/")[0] if records else ""
    sizes = {r.orig_filename.removeprefix(prefix + "/"): r.file_size for r in records}
    if "data.pkl" not in sizes:
        raise ArchiveError("is no file of torch.save: it has no record 'data.pkl'")
    storages = {
        name.removeprefix("data/"): size
        for name, size in sizes.items()
        if name.startswith("data/")
    }
    check_tensor_sizes(archive.read(f"{prefix}/data.pkl"), storages)
