"""Reading the values of label pictures as stored, whatever the kind of file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from tasks.datasets.errors import DataError
from tasks.datasets.name_patterns import some
from tasks.picture_decoder import decode
from tasks.picture_files import frames_of, is_deep
from tasks.picture_structure import PNG
from tasks.whole_file import read_whole

LOSSY = ("JPEG", "MPO", "JPEG2000", "AVIF")
UNSUPPORTED = (
    "labels are read from pictures (PNG): one file a picture with the value of every "
    "pixel. Polygons and boxes (JSON, XML, TXT), arrays (.npy, .mat) and several masks "
    "a picture are not supported; draw or merge them into one PNG a picture"
)
# Suffixes of pictures that keep their values, and of those read to be refused by name.
LABEL_SUFFIXES = frozenset(
    [
        ".png",
        ".tif",
        ".tiff",
        ".bmp",
        ".gif",
        ".webp",
        ".pgm",
        ".ppm",
        ".jpg",
        ".jpeg",
        ".jp2",
        ".avif",
        ".*",
    ]
)


def check_label_pattern(pattern: str) -> None:
    """Refuse labels of a kind that is never read.

    Raises:
        ValueError: The pattern ends in another suffix than those of pictures.

    Examples:
        >>> check_label_pattern("labels/{name}.png")
        >>> check_label_pattern("polygons.json")
        Traceback (most recent call last):
            ...
        ValueError: labels 'polygons.json': labels are read from pictures (PNG): ...
    """
    dot, suffix = pattern.rpartition(".")[1:]
    if dot and "/" not in suffix and f".{suffix.lower()}" not in LABEL_SUFFIXES:
        raise ValueError(f"labels {pattern!r}: {UNSUPPORTED}")


class Palettes:
    """The colours of numbers, to notice files in which a number means another thing.

    Args:
        ignored: The numbers count, whatever their colours.
    """

    def __init__(self, ignored: bool = False) -> None:
        self.ignored = ignored
        self._known: dict[int, tuple[list[int], str]] = {}

    def check(self, numbers: NDArray, palette: list[list[int]], path: Path) -> None:
        """Compare a file with those before it.

        Args:
            numbers: ``(H, W)`` values of the file.
            palette: Its colours.
            path: The file.

        Raises:
            DataError: A number that another file uses has another colour here, or its
                colour another number.
        """
        if self.ignored:
            return
        used = np.flatnonzero(np.bincount(numbers.ravel(), minlength=256)).tolist()
        here = {n: palette[n] for n in used if n < len(palette)}
        for number, colour in here.items():
            if number in self._known and self._known[number][0] != colour:
                self._refuse(number, colour, number, path)
            for other, (known, _) in self._known.items():
                elsewhere = palette[other] if other < len(palette) else None
                if other != number and known == colour != elsewhere:
                    self._refuse(number, colour, other, path)
        for number, colour in here.items():
            self._known.setdefault(number, (colour, str(path)))

    def _refuse(self, number: int, colour: list[int], other: int, path: Path) -> None:
        known, first = self._known[other]
        raise DataError(
            f"its palette differs from that of '{first}': {number} is the colour "
            f"{colour} here, {other} is {known} there, so that one number may mean two "
            "things. If colours stand for classes: label_values=[[R, G, B], ...] and "
            "void_values=[[R, G, B], ...]; if the numbers count, whatever their "
            "colours: ignore_palettes=True"
        )


def read_numbers(path: Path, palettes: Palettes) -> NDArray:
    """``(H, W)`` uint8 or uint16 as stored: 0 to 15 in 4 bits, numbers of a palette.

    Raises:
        DataError: Damaged, lossy, coloured, or of another kind.
    """
    data = read_whole(path)
    numbers = _read_few_bits(data, palettes, path)
    if numbers is None:
        numbers = decode(data, path, cv2.IMREAD_UNCHANGED)
    if numbers.ndim != 2:
        seen = _colours(_read_colours(data, path))
        raise DataError(
            "this is a coloured picture, expected one channel of class numbers. If "
            "its colours stand for classes, name the colour of each class: "
            "label_values=[[R, G, B], ...], and those of no class: void_values="
            f"[[R, G, B], ...]. It has the colours {some(seen)}"
        )
    if numbers.dtype not in (np.uint8, np.uint16):
        raise DataError(
            f"values are {numbers.dtype}, expected whole numbers of 8 or 16 bits"
        )
    return numbers


def read_colours(path: Path) -> NDArray[np.uint8]:
    """``(H, W, 3)`` RGB.

    Raises:
        DataError: Damaged, lossy, of more than 8 bits a channel, or transparent.
    """
    return _read_colours(read_whole(path), path)


def _read_colours(data: bytes, path: Path) -> NDArray[np.uint8]:
    with _opened(data) as picture:
        if picture.mode[0] in "IF" or is_deep(data, path):
            raise DataError(
                "colours of more than 8 bits a channel are not supported; if the file "
                "has numbers, name numbers in label_values, else save it with 8 bits"
            )
        if picture.mode in ("RGBA", "LA"):
            least = int(np.asarray(picture)[..., -1].min())
            if least < 255:
                raise DataError(
                    f"a fourth band of {least} to 255 (transparency) would be lost; "
                    "save labels without transparency"
                )
        return np.asarray(picture.convert("RGB"))


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """A lossless picture; what counts is the content, whatever the suffix."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if kind := _lossy(picture, data):
                raise DataError(
                    f"the content is {kind}, which changes the values of "
                    "pixels; save labels as PNG, from the original and not from this"
                )
            if frames_of(picture) > 1:
                raise DataError(
                    f"it has {frames_of(picture)} frames, expected one picture; save "
                    "each as a file of its own"
                )
            turned = picture.getexif().get(ExifTags.Base.Orientation, 1)
            if turned != 1:
                raise DataError(
                    f"it has an EXIF entry that turns it (orientation {turned}), which "
                    "labels are not when they are read; save it without EXIF"
                )
            yield picture
    except DataError:
        raise
    except Exception as error:  # Pillow's parsers raise errors of many kinds.
        raise DataError(f"cannot be decoded ({error}); get it again") from error


def _lossy(picture: Image.Image, data: bytes) -> str | None:
    if picture.format in LOSSY:
        return picture.format
    if picture.format == "TIFF" and "jpeg" in str(picture.info.get("compression")):
        return "JPEG in TIFF"
    if picture.format == "WEBP":
        return "lossy WebP" if b"VP8 " in data[:4096] else None
    return None


def _read_few_bits(data: bytes, palettes: Palettes, path: Path) -> NDArray | None:
    """Numbers that OpenCV turns into colours (a palette) or spreads over 0 to 255."""
    with _opened(data) as picture:
        if picture.mode == "P":
            numbers = np.asarray(picture, np.uint8)
            flat = picture.getpalette("RGB") or []
            colours = [flat[i : i + 3] for i in range(0, len(flat), 3)]
            palettes.check(numbers, colours, path)
            return numbers
        if picture.mode == "1":
            return np.asarray(picture, np.uint8)
        # Of a grey PNG, which Pillow does not keep once it has read the file.
        bits = data[24] if data.startswith(PNG) and data[25] == 0 else None
        if picture.mode == "L" and bits in (2, 4):
            # Both are spread evenly: the largest number of 2 or 4 bits is 255.
            return np.asarray(picture, np.uint8) // np.uint8(255 // (2**bits - 1))
        return None


def _colours(picture: NDArray[np.uint8]) -> list[str]:
    found = np.unique(picture.reshape(-1, 3), axis=0)
    return [str(colour) for colour in found.tolist()]
