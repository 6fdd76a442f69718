"""Pictures as files, and the ways in which such a file may be damaged."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

RANDOM = np.random.default_rng(0)
# Smooth, so that a JPEG of it is like one of a photograph.
PICTURE = cv2.resize(RANDOM.integers(0, 255, (24, 30, 3), np.uint8), (320, 256))
DEEP = RANDOM.integers(1000, 3000, (64, 80)).astype(np.uint16)


def encoded(kind: str, array: np.ndarray = PICTURE, *options: int) -> bytes:
    """The file that OpenCV makes of an array."""
    return cv2.imencode(f".{kind}", array, options)[1].tobytes()


def saved(kind: str, **options: object) -> bytes:
    """The file that Pillow makes of ``PICTURE``."""
    file = io.BytesIO()
    Image.fromarray(PICTURE).save(file, kind, **options)
    return file.getvalue()


def damaged(data: bytes) -> dict[str, bytes]:
    """A whole file, damaged in each of several ways."""
    size = len(data)
    hole = min(400, size // 4)
    return {
        "cut": data[: size * 7 // 10],
        "cut at its end": data[: size * 99 // 100],
        "without its middle": data[: size // 3] + data[2 * size // 3 :],
        "zeros": data[: size // 2] + bytes(hole) + data[size // 2 + hole :],
        "wrong magic": b"\0" + data[1:],
    }


def written(path: Path, content: bytes) -> Path:
    """The path, once it has the content."""
    path.write_bytes(content)
    return path
