"""Grey pictures in IDX files: Fashion-MNIST and its relatives.

References:
    Xiao, Rasul, Vollgraf, Fashion-MNIST, 2017. https://arxiv.org/abs/1708.07747;
    LeCun, Cortes, Burges, the MNIST database (the format).
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from mmseg.registry import DATASETS

from tasks.datasets.errors import DataError
from tasks.datasets.labelled_pictures import PictureArrays, require_file

#: Class names in the order of their labels.
FASHION_CLASSES = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
_UNSIGNED_BYTE = 8
# Fashion-MNIST has 47 MB; a header that announces more is not believed.
MAX_VALUES = 1 << 29
# Pictures of digits are a fifth of their size when compressed; a bomb is a thousandth.
MAX_RATIO = 50
_SMALL = 1 << 20
_PREFIX = {"train": "train", "test": "t10k"}


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Read an IDX file of bytes, plain or (name ending in ``.gz``) compressed.

    The header says how many bytes follow: exactly so many must be there, and no more
    than that is ever unpacked.

    Args:
        path: The file.
        dimensions: How many it must have: 1 for labels, 3 for pictures.

    Returns:
        uint8, as the header says.

    Raises:
        DataError: Another header, too few bytes or too many, or damage.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            header = file.read(4 + 4 * dimensions)
            shape = _shape(header, dimensions, path)
            count = math.prod(shape)
            _check_ratio(path, count)
            data = file.read(count)
            more = file.read(1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"'{path}' is damaged ({error}); get it again") from error
    if len(data) != count or more:
        raise DataError(
            f"'{path}' has {'more' if more else 'fewer'} than the {count} values that "
            "its header announces; get it again"
        )
    return np.frombuffer(data, np.uint8).reshape(shape)


def _check_ratio(path: Path, count: int) -> None:
    """Refuse a small file that announces very much, before memory is taken."""
    size = path.stat().st_size
    most = MAX_RATIO if path.suffix == ".gz" else 1
    if count > _SMALL and count > most * size:
        raise DataError(
            f"'{path}' has {size} bytes and announces {count} values: no pictures are "
            "compressed so much; get it again"
        )


def _shape(header: bytes, dimensions: int, path: Path) -> tuple[int, ...]:
    expected = bytes((0, 0, _UNSIGNED_BYTE, dimensions))
    if len(header) != 4 + 4 * dimensions or header[:4] != expected:
        raise DataError(
            f"'{path}' begins with {header[:4].hex(' ') or 'nothing'}, expected "
            f"{expected.hex(' ')}: it is no IDX file of {dimensions}-dimensional bytes"
        )
    shape = struct.unpack(f">{dimensions}I", header[4:])
    if not 0 < math.prod(shape) <= MAX_VALUES:
        raise DataError(
            f"'{path}' announces {'x'.join(map(str, shape))} values, expected 1 to "
            f"{MAX_VALUES}; get it again"
        )
    return shape


@DATASETS.register_module()
class FashionMNIST(PictureArrays):
    """Fashion-MNIST: 60,000 training and 10,000 test pictures of 28x28, 10 classes.

    ``data_root`` holds the four official files, compressed or not:
    ``train-images-idx3-ubyte[.gz]``, ``train-labels-idx1-ubyte[.gz]`` and the same with
    ``t10k``. Debian's package ``dataset-fashion-mnist`` puts them in
    ``/usr/share/datasets/fashion-mnist``. The grey value stands in all three channels.
    MNIST and other sets in these four files can be read with their own ``metainfo``
    classes. Options: see
    :class:`tasks.datasets.labelled_pictures.LabelledPictures`.

    Raises:
        DataError: A file is missing, damaged or of another format, pictures and labels
            are not as many, or a label is of no class.
    """

    def read_arrays(self) -> tuple[list[tuple[str, np.ndarray, np.ndarray]], tuple]:
        prefix = _PREFIX[self.split]
        images = self._find(f"{prefix}-images-idx3-ubyte")
        labels = self._find(f"{prefix}-labels-idx1-ubyte")
        grey, numbers = read_idx(images, 3), read_idx(labels, 1)
        if len(grey) != len(numbers):
            raise DataError(
                f"'{images}' has {len(grey)} pictures and '{labels}' {len(numbers)} "
                "labels; they do not belong together, get both again"
            )
        classes = tuple(self._metainfo.get("classes") or FASHION_CLASSES)
        if numbers.max() >= len(classes):
            raise DataError(
                f"'{labels}' has the label {numbers.max()}, and there are "
                f"{len(classes)} classes; name them all in metainfo"
            )
        pictures = np.repeat(grey[..., None], 3, axis=3)
        return [(images.name, pictures, numbers)], classes

    def _find(self, name: str) -> Path:
        """The file with or without ``.gz``."""
        root = Path(self.data_root)
        plain = root / name
        if plain.is_file():
            return plain
        return require_file(
            root / f"{name}.gz",
            "Fashion-MNIST (github.com/zalandoresearch/fashion-mnist; or Debian's "
            "package dataset-fashion-mnist, in /usr/share/datasets/fashion-mnist)",
        )
