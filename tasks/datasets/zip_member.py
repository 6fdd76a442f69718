"""Reads one file of a zip without unpacking more than it says it has."""

from __future__ import annotations

import zipfile

# Incompressible bytes grow a little when they are deflated all the same.
_GROWTH = 1.25
_SMALL = 64


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """The whole file. ``ZipFile.read`` unpacks first and looks at the size later.

    Args:
        archive: Open for reading.
        member: One of its files, of an acceptable ``file_size``.

    Raises:
        zipfile.BadZipFile: It holds more or less than it says, or is damaged.
    """
    if member.compress_size > _GROWTH * member.file_size + _SMALL:
        raise zipfile.BadZipFile(
            f"{member.filename!r} says that it has {member.file_size} bytes, and takes "
            f"{member.compress_size} in the zip"
        )
    with archive.open(member) as file:
        # Read by size, it is unpacked by size; the checksum is compared at the end.
        data = file.read(member.file_size) if member.file_size else b""
        more = file.read(1)
    if len(data) != member.file_size or more:
        raise zipfile.BadZipFile(
            f"{member.filename!r} holds another number of bytes than it says"
        )
    return data
