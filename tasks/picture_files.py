"""Picture files as pixels of 8 bits: every band, bit and frame read, or refused."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from tasks.datasets.errors import DataError
from tasks.datasets.npy_file import read_npy
from tasks.picture_decoder import decode
from tasks.picture_structure import JPEG, PNG
from tasks.whole_file import read_whole

# JPEG, BMP, WebP and GIF as they begin: 8 bits in all that are decoded.
_NEVER_DEEP = (JPEG, b"BM", b"RIFF", b"GIF8")
# Values that sensors of 10, 12, 14 and 16 bits end at.
_WHITES = (1023, 4095, 16383, 65535)


def read_picture(
    path: str | Path, channels: int | None = None, white: int | None = None
) -> NDArray[np.uint8]:
    """Read a picture, or refuse what 8 bits of red, green and blue would not keep.

    Args:
        path: PNG, JPEG, BMP, TIFF, WebP or GIF of one frame; ``.npy`` ``(H, W, C)``
            where ``channels`` is given.
        channels: How many bands are read, the colours first as RGB. None is three, and
            a fourth one (transparency, near infrared) has to be 255 everywhere; 3
            leaves it out.
        white: Value of pictures of more than 8 bits that becomes 255.

    Returns:
        ``(H, W, C)`` uint8, turned as its EXIF entry says where ``channels`` is None
        or 3.

    Raises:
        DataError: Missing, damaged, several frames, more than 8 bits without ``white``
            or beyond it, or other bands; the message names the file.

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "0.npy"
        >>> np.save(path, np.array([[[0, 4095, 2047, 1]]], np.uint16))
        >>> read_picture(path, channels=4, white=4095).tolist()
        [[[0, 255, 127, 0]]]
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"image '{path}' does not exist; give the path of a picture")
    if channels not in (None, 3) or path.suffix.lower() == ".npy":
        return _to_bytes(_read_bands(path, channels), white, path)
    return decode_picture(read_whole(path), path, channels, white)


def decode_picture(
    data: bytes,
    path: str | Path,
    channels: int | None = None,
    white: int | None = None,
) -> NDArray[np.uint8]:
    """Likewise for a picture that lies in no file.

    Args:
        data: As :func:`tasks.whole_file.check_content` has let it pass.
        path: What messages call it.
        channels: See :func:`read_picture`.
        white: Likewise.

    Raises:
        DataError: As :func:`read_picture`.
    """
    path = Path(path)
    if channels not in (None, 3):
        return _to_bytes(_bands_of(data, path, channels), white, path)
    if not data.startswith(JPEG):
        _check_kind(path, data, channels)
    # The whole depth only where it is asked for: reading stays as fast as it was.
    deep = is_deep(data, path)
    flag = cv2.IMREAD_COLOR | (cv2.IMREAD_ANYDEPTH if deep else 0)
    image = decode(data, path, flag)
    return _to_bytes(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), white, path)


def read_to_show(path: str | Path) -> NDArray[np.uint8]:
    """A picture to draw on, ``(H, W, 3)``: the first three bands, the brightest white.

    Raises:
        DataError: Missing or no picture.
    """
    if Path(path).suffix.lower() == ".npy":
        array = _read_stored(Path(path))
        array = array if array.ndim == 3 else array[..., None]
        array = array[..., [0, 1, 2] if array.shape[2] >= 3 else [0, 0, 0]]
        return _to_bytes(array, max(1, int(array.max())), Path(path))
    return read_picture(path, 3, 65535)


def picture_of(sample: Any) -> NDArray[np.uint8]:
    """The picture that a sample was predicted on, ``(H, W, 3)``, to draw on.

    Args:
        sample: Its metainfo has ``img_path``, or ``shown`` where there is no file, as
            of a frame of a video.

    Raises:
        DataError: The file is missing or no picture.
    """
    shown = sample.get("shown")
    return read_to_show(sample.img_path) if shown is None else shown


def orientation(path: str | Path | BinaryIO) -> int:
    """EXIF's number for how a picture is shown, 1 as it is stored."""
    try:
        with Image.open(path) as picture:
            return picture.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        # OpenCV has read the picture; an entry that is damaged turns nothing, and
        # Pillow's parsers of it raise errors of many kinds.
        return 1


def frames_of(picture: Image.Image) -> int:
    """Frames of an opened picture; the thumbnails of photographs (MPO) are none."""
    return 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)


def is_deep(data: bytes, path: str | Path) -> bool:
    """Whether a picture file, whole, has more than 8 bits a channel."""
    if data.startswith(PNG):
        return data[24] == 16
    if data.startswith(_NEVER_DEEP):
        return False
    return decode(data, path, cv2.IMREAD_UNCHANGED).dtype != np.uint8


def _check_kind(path: Path, data: bytes, channels: int | None) -> None:
    """Refuse several frames, and a fourth band that says something."""
    if data.startswith(PNG):
        chunks = data[: data.index(b"IDAT")]
        transparent = data[25] in (4, 6) or b"tRNS" in chunks
        if not transparent and b"acTL" not in chunks:
            return
    try:
        with Image.open(io.BytesIO(data)) as picture:
            count = frames_of(picture)
            if count > 1:
                raise DataError(
                    f"'{path}' has {count} frames, expected one picture; animations "
                    "and films are not supported: save each frame as a file of its own"
                )
            if channels is None and picture.has_transparency_data:
                _check_opaque(path, picture)
    except UnidentifiedImageError:  # TIFF of bands that OpenCV alone reads.
        return
    except DataError:
        raise
    except Exception as error:  # Pillow's parsers raise errors of many kinds.
        raise DataError(f"'{path}' is damaged ({error}); get it again") from error


def _check_opaque(path: Path, picture: Image.Image) -> None:
    fourth = np.asarray(picture.convert("RGBA"))[..., 3]
    if fourth.min() < 255:
        raise DataError(
            f"'{path}' has a fourth band (transparency or another channel) of "
            f"{fourth.min()} to {fourth.max()} that three channels would lose; to read "
            "it: image_channels=4 in the data set and in_channels=4 in the backbone; "
            "to leave it out: image_channels=3"
        )


def _read_bands(path: Path, channels: int | None) -> NDArray:
    """Every band as it is stored, colours as RGB."""
    if path.suffix.lower() == ".npy":
        return _with_bands(_read_stored(path), path, channels)
    return _bands_of(read_whole(path), path, channels)


def _bands_of(data: bytes, path: Path, channels: int | None) -> NDArray:
    array = decode(data, path, cv2.IMREAD_UNCHANGED)
    if array.ndim == 3 and array.shape[2] in (3, 4):
        array = array[..., [2, 1, 0, 3][: array.shape[2]]]
    turned = orientation(io.BytesIO(data))
    if turned != 1:
        raise DataError(
            f"'{path}' is turned by its EXIF entry (orientation {turned}), which "
            "pictures read with image_channels are not; save it without EXIF"
        )
    return _with_bands(array, path, channels)


def _with_bands(array: NDArray, path: Path, channels: int | None) -> NDArray:
    array = array[..., None] if array.ndim == 2 else array
    if array.ndim != 3 or array.shape[2] != (channels or 3):
        raise DataError(
            f"'{path}' has the shape {array.shape}, expected (H, W, {channels or 3}) "
            f"as image_channels={channels} or image_extra says; bands of several files "
            "are stacked into one: np.save('picture.npy', np.dstack([rgb, fourth]))"
        )
    return array


def _read_stored(path: Path) -> NDArray:
    try:
        return read_npy(path)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"'{path}' cannot be read ({error})") from error


def _to_bytes(array: NDArray, white: int | None, path: Path) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.dtype != np.uint16:
        raise DataError(
            f"'{path}' holds {array.dtype}, expected whole numbers of 8 or 16 bits; "
            "float pictures are not supported: save uint8 or uint16"
        )
    most = int(array.max()) if array.size else 0
    if white is None:
        likely = next(value for value in _WHITES if value >= most)
        raise DataError(
            f"'{path}' has 16 bits a channel and values up to {most}; the value that "
            f"is white is not said: image_white={likely} in the data set (1023 for 10 "
            "bits, 4095 for 12, 16383 for 14, 65535 for 16), or save it with 8 bits"
        )
    if most > white:
        raise DataError(
            f"'{path}' has values up to {most}, beyond image_white={white}; name the "
            "largest value that the pictures can have"
        )
    return np.rint(array * np.float32(255 / white)).astype(np.uint8)
