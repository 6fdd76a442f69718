"""The structure of PNG and JPEG files, walked without decoding a pixel."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
# Channels of PNG's colour types.
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Deflate packs at most 1032 bytes into one.
_DEFLATE = 1032
# Bits that a block of 8x8 takes at least where codes are Huffman's: one for its mean,
# and but for progressive files one for the rest.
_LEAST_BITS = {0xC0: 2, 0xC1: 2, 0xC2: 1}
# What ends entropy-coded data: no stuffed zero, no restart marker and no filling.
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
# So many zeros in a row are a hole in the file where they cannot be codes.
_HOLE = 64


class StructureError(Exception):
    """What is wrong with a file, to stand in the middle of a sentence."""


def png_size(data: bytes) -> tuple[int, int]:
    """Width and height of a PNG file, every chunk's checksum compared.

    Raises:
        StructureError: A chunk is damaged or missing, or the file is too small for its
            pixels.

    Examples:
        >>> png_size(PNG)
        Traceback (most recent call last):
            ...
        tasks.picture_structure.StructureError: its end is missing
    """
    header, packed = b"", 0
    for kind, start, length in _chunks(data):
        if not header and (kind != b"IHDR" or length != 13):
            raise StructureError("its header is missing")
        if kind == b"IHDR":
            header = data[start : start + length]
        packed += length * (kind == b"IDAT")
    width, height, bits, colour = struct.unpack(">IIBB", header[:10])
    if colour not in _CHANNELS or not packed:
        raise StructureError("it has no pixels, or they are of an unknown kind")
    unpacked = height * (width * bits * _CHANNELS[colour] // 8)
    if unpacked > _DEFLATE * packed:
        raise StructureError(_too_small(width, height, packed))
    return width, height


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and length of each chunk up to the last."""
    view, place = memoryview(data), len(PNG)
    while place + 12 <= len(data):
        length = int.from_bytes(view[place : place + 4], "big")
        end = place + 8 + length
        if end + 4 > len(data):
            break
        checksum = int.from_bytes(view[end : end + 4], "big")
        if zlib.crc32(view[place + 4 : end]) != checksum:
            raise StructureError(f"the checksum at byte {end} is wrong")
        kind = bytes(view[place + 4 : place + 8])
        yield kind, place + 8, length
        if kind == b"IEND":
            return
        place = end + 4
    raise StructureError("its end is missing")


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Width and height of a JPEG file that goes on to its end.

    What segments hold (the thumbnail of a camera is a JPEG file in one) is no end.

    Raises:
        StructureError: A part is missing, or the file is too small for its pixels.

    Examples:
        >>> jpeg_size(JPEG + bytes.fromhex("e00004ffd9"))
        Traceback (most recent call last):
            ...
        tasks.picture_structure.StructureError: its end is missing
    """
    size, scans, tables = (0, 0), 0, dict[int, int]()
    for kind, start, end in _segments(data):
        if kind == 0xDA:
            scans += 1
            _refuse_hole(data, start, end, tables)
        elif kind == 0xC4:
            tables.update(_codes_of_zeros(data[start:end]))
        elif 0xC0 <= kind <= 0xCF and kind not in (0xC8, 0xCC):
            size, blocks = _header(data[start:end])
            if blocks * _LEAST_BITS.get(kind, 0) > 8 * len(data):
                raise StructureError(_too_small(*size, len(data)))
    if not all(size) or not scans:
        raise StructureError("it has no pixels")
    return size


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment's content; a scan's is its data, too."""
    place = 2
    while place + 2 <= len(data):
        if data[place] != 0xFF:
            raise StructureError(f"a part is missing before byte {place}")
        kind = data[place + 1]
        if kind == 0xD9:
            return
        if kind in (0x01, 0xFF) or 0xD0 <= kind <= 0xD8:
            place += 1 if kind == 0xFF else 2
            continue
        start = place + 4
        place += 2 + int.from_bytes(data[place + 2 : start], "big")
        if kind == 0xDA:
            found = _MARKER.search(data, place)
            place = found.start() if found else len(data)
        if place < start:
            raise StructureError(f"the segment at byte {start} is damaged")
        if place > len(data):
            break
        yield kind, start, place
    raise StructureError("its end is missing")


def _header(content: bytes) -> tuple[tuple[int, int], int]:
    """Width and height of a JPEG file, and of how many blocks it consists."""
    if len(content) < 9 or len(content) != 6 + 3 * content[5]:
        raise StructureError("its header is damaged")
    height, width = struct.unpack_from(">HH", content, 1)
    factors = [(byte >> 4, byte & 15) for byte in content[7::3]]
    across, down = (max(one) for one in zip(*factors, strict=True))
    if not across or not down:
        raise StructureError("its header is damaged")
    blocks = sum(
        -(-width * a // (8 * across)) * -(-height * d // (8 * down)) for a, d in factors
    )
    return (width, height), blocks


def _codes_of_zeros(content: bytes) -> Iterator[tuple[int, int]]:
    """What zero bits mean in each Huffman table: the symbol of the first code."""
    place = 0
    while place + 18 <= len(content):
        yield content[place], content[place + 17]
        place += 17 + sum(content[place + 1 : place + 17])


def _refuse_hole(data: bytes, start: int, end: int, tables: dict[int, int]) -> None:
    """Refuse zeros that stand where data was, as copies of failing disks have them.

    A flat picture may be zeros where zero bits end a block. Where in some component
    they say a coefficient instead, 64 bytes of them would be blocks in which all
    coefficients are equal: no picture has those.
    """
    count = data[start] if end > start else 0
    if count not in (1, 2, 3, 4) or end < start + 4 + 2 * count:
        raise StructureError(f"the segment at byte {start} is damaged")
    used = {data[start + 2 + 2 * k] & 15 for k in range(count)}
    first, last = data[start + 1 + 2 * count : start + 3 + 2 * count]
    if (first, last) != (0, 63) or all(tables.get(16 + t, 0) == 0 for t in used):
        return
    hole = data.find(bytes(_HOLE), start, end)
    if hole >= 0:
        raise StructureError(f"zeros stand in place of its data at byte {hole}")


def _too_small(width: int, height: int, size: int) -> str:
    return (
        f"it says that it has {height}x{width} pixels (rows x columns), more than its "
        f"{size} bytes can hold"
    )
