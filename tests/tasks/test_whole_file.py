"""Pictures that are damaged are refused, whole ones of every kind are read."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from damaged_pictures import DEEP, PICTURE, damaged, encoded, saved, written
from PIL import Image

from tasks.datasets.errors import DataError
from tasks.datasets.frame_files import read_depth
from tasks.datasets.label_format import LabelFormat
from tasks.picture_files import read_picture
from tasks.whole_file import MOST_PIXELS, check_whole

ROOT = Path(__file__).resolve().parents[2]
CLASSES = LabelFormat([str(k) for k in range(255)])
COLOURS = LabelFormat(["a", "b"], [[1, 2, 3], [3, 2, 1]])


@pytest.mark.parametrize(
    "kind", ["bmp", "webp", "lossless webp", "tif", "deflated tif", "gif", "ppm"]
)
def test_other_kinds_are_refused_where_their_format_tells(kind, tmp_path):
    whole = {
        "lossless webp": lambda: encoded("webp", PICTURE, 64, 101),
        "deflated tif": lambda: saved("TIFF", compression="tiff_adobe_deflate"),
        "gif": lambda: saved("GIF"),
    }.get(kind, lambda: encoded(kind))()
    files = damaged(whole)
    if "tif" in kind:
        assert read_picture(written(tmp_path / "a.tif", whole)).shape == PICTURE.shape
    if kind not in ("tif", "gif"):
        # Bits of BMP, PPM and WebP have no checksum, and libtiff stops in front of that
        # of deflate where it has all the pixels.
        del files["zeros"]
    for damage, content in files.items():
        path = written(tmp_path / f"{damage}.{kind[-3:]}", content)
        with pytest.raises(DataError, match=damage):
            read_picture(path)


@pytest.mark.parametrize("kind", ["jpg", "png", "bmp", "webp", "tif", "ppm"])
@pytest.mark.parametrize("behind", [b"", b"\0" * 3, b"x" * 9000])
def test_whole_files_are_read_whatever_stands_behind_them(kind, behind, tmp_path):
    path = written(tmp_path / f"a.{kind}", encoded(kind) + behind)
    check_whole(path)
    expected = cv2.imread(str(path))[..., ::-1]
    assert np.array_equal(read_picture(path), expected)


@pytest.mark.parametrize(
    "options",
    [
        dict(progressive=True),
        dict(optimize=True),
        dict(restart_marker_blocks=5),
        dict(subsampling=0, quality=100),
        dict(quality=1, optimize=True),
    ],
)
@pytest.mark.parametrize("array", [PICTURE, np.zeros_like(PICTURE), 0 * PICTURE + 255])
def test_jpegs_of_all_kinds_are_read_and_their_thumbnails_are_no_end(
    options, array, tmp_path
):
    thumbnail = b"Exif\0\0" + encoded("jpg", array[:32, :32])
    file = io.BytesIO()
    Image.fromarray(array).save(file, "JPEG", **options)
    data = file.getvalue()
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    data = data[:2] + segment + data[2:]
    path = written(tmp_path / "a.jpg", data)
    assert np.array_equal(read_picture(path), cv2.imread(str(path))[..., ::-1])
    # Its end is missing, and the thumbnail's lies in the last 4 kB.
    start = data.rindex(b"\xff\xda")
    written(path, data[: start + 4])
    with pytest.raises(DataError, match=r"a\.jpg' is damaged \("):
        read_picture(path)


def test_zeros_are_codes_in_flat_pictures_and_a_hole_in_others(tmp_path):
    """64 zero bytes that the decoder takes for coefficients, in step again behind."""
    flat = io.BytesIO()
    Image.fromarray(np.full((2048, 2048), 128, np.uint8)).save(
        flat, "JPEG", optimize=True
    )
    assert bytes(64) in flat.getvalue()
    read_picture(written(tmp_path / "flat.jpg", flat.getvalue()))
    data = encoded("jpg")
    for place in range(data.index(b"\xff\xda") + 14, len(data) - 66, 97):
        holed = data[:place] + bytes(66) + data[place + 66 :]
        with pytest.raises(DataError, match=r"holed\.jpg' is damaged \("):
            read_picture(written(tmp_path / "holed.jpg", holed))


def test_deep_pictures_of_any_kind_need_their_white(tmp_path):
    for kind in ("png", "tif", "ppm"):
        path = written(tmp_path / f"a.{kind}", encoded(kind, np.dstack([DEEP] * 3)))
        with pytest.raises(DataError, match="image_white="):
            read_picture(path)
        assert read_picture(path, white=4095).shape == (*DEEP.shape, 3)


def test_tiff_that_pillow_does_not_know_is_checked_for_its_size(tmp_path):
    depth = np.linspace(1, 5, 48).reshape(6, 8)
    data = encoded("tif", depth)
    path = written(tmp_path / "a.tif", data)
    assert np.allclose(read_depth(path, 1.0), depth)
    order = "<" if data.startswith(b"II") else ">"
    entry = struct.pack(f"{order}HH", 256, 3)
    place = data.find(entry)
    entry = data[place : place + 12] if place >= 0 else b""
    if len(entry) == 12:
        claimed = struct.pack(f"{order}HHII", 256, 4, 1, MOST_PIXELS)
        written(path, data.replace(entry, claimed))
        with pytest.raises(DataError, match=r"a\.tif' says that it has .* pixels"):
            read_depth(path, 1.0)


def test_what_others_write_meanwhile_is_not_lost(tmp_path, capfd):
    """Threads that decode and write at once; the stream is the old one afterwards."""
    good = written(tmp_path / "good.jpg", encoded("jpg"))
    bad = written(tmp_path / "bad.jpg", damaged(encoded("jpg"))["without its middle"])
    refused = []

    def read() -> None:
        for _ in range(50):
            read_picture(good)
            try:
                read_picture(bad)
            except DataError as error:
                refused.append(str(error))

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(200):
        os.write(2, f"line {number}\n".encode())
    for thread in threads:
        thread.join()
    assert len(refused) == 150
    lines = capfd.readouterr().err.splitlines()
    assert sorted(lines) == sorted(f"line {number}" for number in range(200))


def test_reading_works_without_a_standard_error_stream(tmp_path):
    path = written(tmp_path / "a.jpg", encoded("jpg"))
    code = (
        "import os, sys; from tasks.picture_files import read_picture; os.close(2);"
        "print(read_picture(sys.argv[1]).shape)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == str(PICTURE.shape)


def test_a_note_of_the_decoder_that_nobody_can_read_ends_nothing(tmp_path):
    """No stream and a broken pipe: what is no damage is passed on where that works."""
    data = encoded("jpg")
    assert data[6:11] == b"JFIF\0"
    noted = written(tmp_path / "a.jpg", data[:11] + b"\x07" + data[12:])
    code = (
        "import os, sys; from tasks.picture_files import read_picture\n"
        "{}\nprint(read_picture(sys.argv[1]).shape)"
    )
    gone = "source, target = os.pipe(); os.close(source); os.dup2(target, 2)"
    for without in ("os.close(2)", gone):
        ran = subprocess.run(
            [sys.executable, "-c", code.format(without), str(noted)],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert ran.stdout.strip() == str(PICTURE.shape)


@pytest.mark.real_data
def test_holes_in_real_photographs_are_seen(nyuv2, tmp_path):
    """Of 400 zeros anywhere and of a missing third; whole ones are read as they are."""
    for path in sorted((nyuv2 / "images").iterdir())[::150]:
        expected = cv2.imread(str(path))[..., ::-1]
        assert np.array_equal(read_picture(path), expected)
        check_whole(path)
        for damage, content in damaged(path.read_bytes()).items():
            bad = written(tmp_path / f"{damage}.jpg", content)
            with pytest.raises(DataError, match=damage):
                read_picture(bad)
