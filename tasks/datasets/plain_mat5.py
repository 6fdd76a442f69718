"""MATLAB 5 files that unpack to no more than they should."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from tasks.datasets.errors import DataError

# The official files have 3 kB and 10 kB.
MAX_BYTES = 4 << 20
_HEADER_BYTES = 128
_COMPRESSED = 15
_ORDERS = {b"IM": "<", b"MI": ">"}


def check_mat5(path: Path) -> None:
    """Refuse a file that is larger than the small tables it is read for, or unpacks so.

    Args:
        path: MATLAB 5 file, compressed or not.

    Raises:
        DataError: It has, or unpacks to, more than ``MAX_BYTES``, or is no such file.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise DataError(
            f"{path}: {size} bytes, expected a small table of at most {MAX_BYTES}; use "
            "the official file"
        )
    data = path.read_bytes()
    order = _ORDERS.get(data[_HEADER_BYTES - 2 : _HEADER_BYTES])
    if order is None:
        raise DataError(
            f"{path}: not a readable MATLAB 5 file (it begins with another header); "
            "download it again"
        )
    left = MAX_BYTES
    at = _HEADER_BYTES
    while at + 8 <= len(data):
        kind, length = struct.unpack_from(f"{order}2I", data, at)
        content = data[at + 8 : at + 8 + length]
        at += 8 + length
        if kind != _COMPRESSED:
            continue
        left -= _unpacked_bytes(content, left, path)
        if left < 0:
            raise DataError(
                f"{path}: unpacks to more than {MAX_BYTES} bytes, expected a small "
                "table; nothing of it was kept, use the official file"
            )


def _unpacked_bytes(content: bytes, limit: int, path: Path) -> int:
    """How large something is unpacked; one more than the limit where it is larger."""
    try:
        return len(zlib.decompressobj().decompress(content, limit + 1))
    except zlib.error as error:
        raise DataError(
            f"{path}: not a readable MATLAB 5 file ({error}); download it again"
        ) from error
