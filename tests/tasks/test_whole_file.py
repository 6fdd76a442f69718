"""Pictures cut short or of a claimed size are refused by every reader."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest

from tasks.datasets.errors import DataError
from tasks.picture_files import read_picture
from tasks.transforms import LoadFrame
from tasks.whole_file import check_file

PICTURE = np.random.default_rng(0).integers(0, 255, (64, 80, 3), np.uint8)


def written(folder, suffix: str) -> bytes:
    path = folder / f"whole{suffix}"
    cv2.imwrite(str(path), PICTURE)
    return path.read_bytes()


def read_frame(path) -> None:
    LoadFrame(labels=False, depth=False)(dict(img_path=str(path)))


@pytest.mark.parametrize("read", [check_file, read_picture, read_frame])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_a_file_that_ends_too_early_is_refused(read, suffix, share, tmp_path):
    data = written(tmp_path, suffix)
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(DataError, match=f"cut{suffix}"):
        read(path)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".tif"])
@pytest.mark.parametrize("behind", [b"", b"\0" * 3, b"x" * 9000])
def test_whole_files_are_read_whatever_stands_behind_them(suffix, behind, tmp_path):
    path = tmp_path / f"whole{suffix}"
    path.write_bytes(written(tmp_path, suffix) + behind)
    check_file(path)
    assert read_picture(path).shape == PICTURE.shape


@pytest.mark.parametrize("side", [12_000, 40_000])
@pytest.mark.parametrize("read", [check_file, read_picture, read_frame])
def test_a_picture_that_claims_very_many_pixels_is_refused(read, side, tmp_path):
    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )
    with pytest.raises(DataError, match=r"bomb\.png.* pixels"):
        read(path)
