"""The door of every picture file: whole, of a known kind and size, or refused."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from tasks.datasets.errors import DataError
from tasks.picture_structure import JPEG, PNG, StructureError, jpeg_size, png_size

#: Pixels of the largest picture that is read: Pillow's own bound against bombs.
MOST_PIXELS = 1024 * 1024 * 1024 // 4 // 3
MOST_BYTES = 1 << 30
# Pillow's names of what is read beside PNG and JPEG.
_OTHER_KINDS = ("BMP", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000", "AVIF")
# TIFF and BigTIFF, of either order of bytes.
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_KINDS = "PNG, JPEG, BMP, TIFF, WebP, GIF, PPM, JPEG 2000, AVIF"


def read_whole(path: str | Path) -> bytes:
    """A picture file, looked at without decoding a pixel.

    PNG: all checksums. JPEG: all segments up to the end, and no hole of zeros. Of all
    kinds: the size in pixels. The rest is :func:`tasks.picture_decoder.decode`'s.

    Args:
        path: A file that exists.

    Returns:
        Its content.

    Raises:
        DataError: A part of the file is missing or changed, it is of no kind that is
            read, or claims more than ``MOST_PIXELS``; the message names the file.

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.png"
        >>> Image.new("L", (2, 2)).save(path)
        >>> len(read_whole(path)) == path.stat().st_size
        True
    """
    try:
        data = _read(path)
    except OSError as error:
        raise DataError(f"'{path}' cannot be read ({error})") from error
    check_content(data, path)
    return data


def check_content(data: bytes, path: str | Path, most: int = MOST_PIXELS) -> None:
    """Likewise for a file that has been read already; see :func:`read_whole`.

    Args:
        data: Its content.
        path: What messages call it.
        most: Pixels that are read, at most ``MOST_PIXELS``.
    """
    if not data:
        raise DataError(f"'{path}' is empty; get it again")
    try:
        if data.startswith(PNG):
            width, height = png_size(data)
        elif data.startswith(JPEG):
            width, height = jpeg_size(data)
        else:
            width, height = _size(data)
    except UnidentifiedImageError as error:
        raise DataError(
            f"'{path}' cannot be decoded as a picture: it is damaged or of another "
            f"kind than {_KINDS}; get it again or save it as PNG"
        ) from error
    except Image.DecompressionBombError as error:
        raise DataError(
            f"'{path}' says that it has more than twice the {MOST_PIXELS} pixels that "
            "are read: cut or shrink it"
        ) from error
    except Exception as error:  # Pillow's parsers raise errors of many kinds.
        raise DataError(f"'{path}' is damaged ({error}); get it again") from error
    if width * height > most:
        raise DataError(
            f"'{path}' says that it has {height}x{width} pixels (rows x columns); "
            f"pictures of up to {most} pixels are read: cut or shrink it"
        )


def check_whole(path: str | Path) -> None:
    """Let a second decoder judge a file, too, for checks and not for training.

    Args:
        path: A picture; ``.npy`` files are left alone.

    Raises:
        DataError: The file is damaged; the message names it.
    """
    if Path(path).suffix.lower() == ".npy":
        return
    data = read_whole(path)
    try:
        with _opened(data) as picture:
            picture.load()
    except UnidentifiedImageError:  # TIFF of bands that OpenCV alone reads.
        return
    except Exception as error:
        raise DataError(f"'{path}' is damaged ({error}); get it again") from error


def _read(path: str | Path) -> bytes:
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        if size > MOST_BYTES:
            raise DataError(
                f"'{path}' has {size} bytes; pictures of up to {MOST_BYTES} are read: "
                "cut or shrink it"
            )
        file.seek(0)
        return file.read()


def _opened(data: bytes) -> Image.Image:
    with warnings.catch_warnings():
        # Its size is compared with the same bound here; damage is an error below.
        warnings.simplefilter("ignore")
        return Image.open(io.BytesIO(data), formats=("PNG", "JPEG", *_OTHER_KINDS))


def _size(data: bytes) -> tuple[int, int]:
    try:
        with _opened(data) as picture:
            return picture.size
    except UnidentifiedImageError:
        if data[:4] not in _TIFF:
            raise
    # Of bands that OpenCV alone reads.
    header = data[: 16 if data[2:4] in (b"+\0", b"\0+") else 8]
    directory = ImageFileDirectory_v2(header)
    file = io.BytesIO(data)
    file.seek(directory.next)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        directory.load(file)
    if 256 not in directory or 257 not in directory:
        raise StructureError("its header is missing")
    return int(directory[256]), int(directory[257])
