"""Every reader of pictures refuses every kind of damage, in a sentence."""

from __future__ import annotations

import io
import re
import resource
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from damaged_pictures import DEEP, PICTURE, damaged, encoded, written
from folder_cases import DEPTH, SEG, build, plain

from tasks.datasets.errors import DataError
from tasks.datasets.frame_files import read_depth
from tasks.datasets.image_folder import ImageFolderDataset
from tasks.datasets.label_format import LabelFormat
from tasks.datasets.prepare_nyud import _check_contents
from tasks.picture_files import read_picture, read_to_show
from tasks.predict import predict_image
from tasks.transforms import LoadFolderFrame, LoadFrame
from tasks.transforms.picture import LoadImage

ROOT = Path(__file__).resolve().parents[3]
CLASSES = LabelFormat([str(k) for k in range(255)])
COLOURS = LabelFormat(["a", "b"], [[1, 2, 3], [3, 2, 1]])


def chunk(kind: bytes, data: bytes) -> bytes:
    crc = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + crc


def claims(side: int, bits: int = 8) -> bytes:
    header = struct.pack(">IIBBBBB", side, side, bits, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def jpeg_claims(side: int) -> bytes:
    data = encoded("jpg")
    place = data.index(b"\xff\xc0")
    return data[: place + 5] + struct.pack(">HH", side, side) + data[place + 9 :]


def hdr_claims(side: int) -> bytes:
    return f"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y {side} +X {side}\n".encode()


def flipped(data: bytes) -> bytes:
    half = len(data) // 2
    return data[:half] + bytes([data[half] ^ 1]) + data[half + 1 :]


def lying_npy() -> bytes:
    file = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (1 << 20, 1 << 20, 4)}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue()


OTHERS = {
    "empty": b"",
    "text": b"<html><body>404 Not Found</body></html>\n" * 20,
    "magic of PNG alone": b"\x89PNG\r\n\x1a\n",
    "magic of JPEG alone": b"\xff\xd8\xff",
    "PNG of 12 thousand": claims(12_000),
    "PNG of 40 thousand": claims(40_000),
    "PNG of fewer, deep": claims(9_000, 16),
    "JPEG of 9 thousand": jpeg_claims(9_000),
    "JPEG of 60 thousand": jpeg_claims(60_000),
    "HDR of 60 thousand": hdr_claims(60_000),
    "HDR of a million": hdr_claims(1_000_000),
    "PNG in the middle": flipped(encoded("png")),
}
JPEG_FILES = {f"JPEG {k}": v for k, v in damaged(encoded("jpg")).items()}
PNG_FILES = {f"PNG {k}": v for k, v in damaged(encoded("png")).items()}
DEPTH_FILES = {f"depth {k}": v for k, v in damaged(encoded("png", DEEP)).items()}
FILES = {**OTHERS, **JPEG_FILES, **PNG_FILES, **DEPTH_FILES}


def load_frame(path: Path, **places: Path) -> None:
    """The file as the one named, the others whole."""
    names = dict(img_path=PICTURE, seg_map_path=PICTURE[..., 0], depth_path=DEEP)
    results = {}
    for name, array in names.items():
        whole = path.with_name(f"{name}.png")
        if array.shape[:2] != PICTURE.shape[:2]:
            array = cv2.resize(array, PICTURE.shape[1::-1])
        cv2.imwrite(str(whole), array)
        results[name] = str(places.get(name, whole))
    LoadFrame(num_classes=255)(results)


def folder_frame(path: Path) -> None:
    LoadFolderFrame()(dict(img_path=str(path)))


def prepared(path: Path) -> None:
    (path.parent / "images").mkdir(exist_ok=True)
    inside = path.rename(path.parent / "images" / path.name)
    summary = dict(frame_size=PICTURE.shape[:2], depth="raw")
    _check_contents(inside, inside.read_bytes(), summary)


READERS: dict[str, Callable[[Path], object]] = {
    "colours": read_picture,
    "three bands": lambda path: read_picture(path, 3),
    "four bands": lambda path: read_picture(path, 4),
    "to show": read_to_show,
    "predict": lambda path: predict_image(None, path, None),
    "classification": lambda path: LoadImage()(dict(img_path=str(path))),
    "folder frame": folder_frame,
    "frame": lambda path: load_frame(path, img_path=path),
    "frame's labels": lambda path: load_frame(path, seg_map_path=path),
    "frame's depth": lambda path: load_frame(path, depth_path=path),
    "labels": CLASSES.read,
    "coloured labels": COLOURS.read,
    "depth": lambda path: read_depth(path, 0.001),
    "prepared": prepared,
}


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_refuses_every_damage(reader, tmp_path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number, (kind, content) in enumerate(FILES.items()):
        # Most read what the content is, whatever the suffix.
        suffix = "jpg" if "JPEG" in kind else "png"
        path = tmp_path / f"bad{number}.{suffix}"
        path.write_bytes(content)
        with pytest.raises(DataError) as error:
            READERS[reader](path)
        said = str(error.value)
        assert path.name in said, kind
        assert re.search(r"; |: ", said.split(path.name)[1]), said
        assert "Traceback" not in said
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100_000  # kB


@pytest.mark.full
def test_labels_and_depth_are_checked_in_surveys(tmp_path):
    from tasks.datasets.survey import survey

    depth = dict(DEPTH, depth_scale=0.001)
    for options, folder in ((SEG, "labels"), (depth, "depth")):
        plain(tmp_path)
        path = tmp_path / folder / "train/1.png"
        path.write_bytes(flipped(path.read_bytes()))
        found = survey(build(tmp_path, probe=False, **options))
        assert len(found["problems"]) == 1
        assert re.search(r"1\.png'.* is damaged", found["problems"][0])


def test_pictures_in_class_folders_are_checked(tmp_path):
    from tasks.datasets.findings import EqualPictures
    from tasks.datasets.survey_pictures import survey_pictures

    for name in ("cat", "dog"):
        (tmp_path / "train" / name).mkdir(parents=True)
        picture = PICTURE[::-1] if name == "cat" else PICTURE
        written(tmp_path / "train" / name / "0.jpg", encoded("jpg", picture))
    written(tmp_path / "train/dog/1.jpg", JPEG_FILES["JPEG without its middle"])
    dataset = ImageFolderDataset(str(tmp_path), "train")
    (problem,) = survey_pictures(dataset, EqualPictures())["problems"]
    assert "dog/1.jpg' is damaged (" in problem


def test_arrays_that_claim_more_than_they_hold_are_refused(tmp_path):
    path = written(tmp_path / "a.npy", lying_npy())
    for read in (READERS["four bands"], read_to_show, READERS["depth"]):
        with pytest.raises(DataError, match=r"a\.npy' cannot be read .*header says"):
            read(path)


def test_no_other_place_opens_pictures():
    """A new reader goes through the door, too."""
    doors = ("whole_file.py", "picture_decoder.py", "picture_files.py")
    for folder in ("cmim", "tasks", "tools"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text()
            assert "imread(" not in text, path
            if path.name not in (*doors, "label_files.py"):
                assert not re.search(r"imdecode\(|Image\.open\(", text), path
