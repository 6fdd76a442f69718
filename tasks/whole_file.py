"""Picture files that end too early or claim too much are refused undecoded."""

from __future__ import annotations

import warnings
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from tasks.datasets.errors import DataError

#: Pixels of the largest picture that is read: Pillow's own bound against bombs.
MOST_PIXELS = 1024 * 1024 * 1024 // 4 // 3
# First bytes of a kind of file, and what stands at its end.
_ENDS = {b"\xff\xd8\xff": b"\xff\xd9", b"\x89PNG\r\n\x1a\n": b"IEND"}
_TAIL = 4096


def check_file(path: str | Path) -> None:
    """Refuse a picture that OpenCV would fill with grey, or that fills the memory.

    Reads the header and the end of the file. Only where the mark of the end is missing
    there (programs append data of their own) the picture is decoded to be sure.

    Args:
        path: A file that exists.

    Raises:
        DataError: A part of the file is missing, or it has more than ``MOST_PIXELS``.
    """
    with open(path, "rb") as file:
        head = file.read(8)
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL))
        tail = file.read()
    ends = [end for start, end in _ENDS.items() if head.startswith(start)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                width, height = picture.size
                if width * height > MOST_PIXELS:
                    raise DataError(
                        f"'{path}' says that it has {height}x{width} pixels (rows x "
                        f"columns); pictures of up to {MOST_PIXELS} pixels are read: "
                        "cut or shrink it"
                    )
                if ends and ends[0] not in tail:
                    picture.load()
    except UnidentifiedImageError:  # A kind that OpenCV alone reads.
        return
    except Image.DecompressionBombError as error:
        raise DataError(
            f"'{path}' says that it has more than twice the {MOST_PIXELS} pixels that "
            "are read: cut or shrink it"
        ) from error
    except (OSError, SyntaxError) as error:
        raise DataError(f"'{path}' is damaged ({error}); get it again") from error
