"""CIFAR-10 and CIFAR-100 in their official Python files, read without running them.

The official files are pickles, which can run any code when they are read. They are
read here only if their MD5 sum is the official one, and by a reader that can build
nothing but numbers, text, lists, dictionaries and arrays of bytes.

References:
    Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    https://www.cs.toronto.edu/~kriz/cifar.html; sums as in torchvision.datasets.cifar.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np
from mmseg.registry import DATASETS

from tasks.datasets.errors import DataError
from tasks.datasets.labelled_pictures import PictureArrays, require_file

SIDE = 32
VALUES = 3 * SIDE * SIDE
# Larger than any official file (155 MB): nothing else is read into memory.
MAX_BYTES = 200_000_000


def read_plain_pickle(data: bytes, name: str) -> Any:
    """Read a pickle of plain containers and arrays of bytes.

    Nothing named in the pickle is imported or called. For the three names by which
    NumPy saves arrays there are stand-ins, which make a :class:`PlainArray` of uint8
    and nothing else. Python 2's text comes as str.

    Args:
        data: The pickle.
        name: Where it comes from, for messages.

    Raises:
        DataError: It asks for anything else, or cannot be read.

    Examples:
        >>> read_plain_pickle(pickle.dumps({"labels": [3, 1]}), "a")
        {'labels': [3, 1]}
        >>> read_plain_pickle(pickle.dumps(print), "a")
        Traceback (most recent call last):
        tasks.datasets.errors.DataError: 'a' asks for builtins.print, ...
    """
    try:
        return _PlainUnpickler(io.BytesIO(data), name).load()
    except DataError:
        raise
    except Exception as error:
        # The unpickler fails in any way where a damaged stream happens to lead it.
        raise DataError(
            f"'{name}' is damaged: it is no readable pickle ({error}); get it again"
        ) from error


class PlainArray:
    """An array of uint8 out of a pickle: ``values``, empty before its state is read."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values = np.empty(0, np.uint8)

    def __setstate__(self, state: tuple) -> None:
        _, shape, kind, is_column_major, raw = state
        raw = raw.encode("latin1") if isinstance(raw, str) else raw
        if not isinstance(kind, _ByteType):
            raise DataError("a pickle holds an array that is not one of plain bytes")
        flat = np.frombuffer(raw, np.uint8)
        self.values = flat.reshape(shape, order="F" if is_column_major else "C")


class _ByteType:
    """Stands for NumPy's type of bytes."""

    __slots__ = ()

    def __init__(self, name: object, *_: object) -> None:
        if name not in ("u1", "|u1"):
            raise DataError(f"a pickle holds an array of {name!r}, expected bytes (u1)")

    def __setstate__(self, state: object) -> None:
        """Byte order and alignment say nothing of bytes."""


class _StandIn:
    """Stands for a name; calls what is meant by it, and cannot be changed."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setstate__(self, state: object) -> NoReturn:
        raise DataError("a pickle sets attributes of what it only names")


def _not_called(*_: object) -> NoReturn:
    raise DataError("a pickle calls numpy.ndarray, which official files do not")


class _PlainUnpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, name: str) -> None:
        super().__init__(file, encoding="latin1")
        self._name = name

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        if module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            module = "numpy"
        known: dict[tuple[str, str], Callable[..., Any]] = {
            ("numpy", "_reconstruct"): lambda *_: PlainArray(),
            ("numpy", "ndarray"): _not_called,
            ("numpy", "dtype"): _ByteType,
        }
        if (module, name) not in known:
            self._refuse(f"asks for {module}.{name}")
        return _StandIn(known[module, name])

    def persistent_load(self, pid: Any) -> NoReturn:
        self._refuse("refers to objects outside")

    def _refuse(self, what: str) -> NoReturn:
        raise DataError(
            f"'{self._name}' {what}, which data has no need of and which could run "
            "code: it is not an official file; nothing of it was run, do not use it"
        )


class Cifar(PictureArrays):
    """What both sets share; see :class:`CIFAR10` and :class:`CIFAR100`."""

    folder: ClassVar[str]
    archive: ClassVar[str]
    #: Split to the names and MD5 sums of its files.
    files: ClassVar[dict[str, dict[str, str]]]
    #: Name and MD5 sum of the file that names the classes.
    meta: ClassVar[tuple[str, str]]
    labels_key: ClassVar[str]
    classes_key: ClassVar[str]
    num_classes: ClassVar[int]

    def read_arrays(self) -> tuple[list[tuple[str, np.ndarray, np.ndarray]], tuple]:
        root = Path(self.data_root)
        if (root / self.folder).is_dir():
            root = root / self.folder
        parts = []
        for name, digest in self.files[self.split].items():
            content = self._read(root / name, digest)
            parts.append((name, *self._check(content, root / name)))
        names = self._read(root / self.meta[0], self.meta[1]).get(self.classes_key)
        if not isinstance(names, list) or len(names) != self.num_classes:
            raise DataError(f"'{root / self.meta[0]}' names no classes; get it again")
        return parts, tuple(map(str, names))

    def _read(self, path: Path, digest: str) -> dict:
        require_file(path, f"{self.archive} (www.cs.toronto.edu/~kriz/cifar.html)")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DataError(f"'{path}' has {size} bytes, more than any file of CIFAR")
        data = path.read_bytes()
        found = hashlib.md5(data, usedforsecurity=False).hexdigest()
        if found != digest:
            raise DataError(
                f"'{path}' ({size} bytes) has the MD5 sum {found}, the official file "
                f"{digest}: it is truncated, damaged or another one; unpack "
                f"{self.archive} again"
            )
        content = read_plain_pickle(data, str(path))
        if not isinstance(content, dict):
            raise DataError(f"'{path}' holds a {type(content).__name__}, no dictionary")
        return content

    def _check(self, content: dict, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """Pictures ``(N, 32, 32, 3)`` and labels ``(N,)`` of one file."""
        array, labels = content.get("data"), content.get(self.labels_key)
        rows: np.ndarray = np.empty(0)
        if isinstance(array, PlainArray):
            rows = array.values
        if rows.ndim != 2 or rows.shape[1] != VALUES:
            raise DataError(
                f"'{path}' has no pictures: 'data' must be an array (N, {VALUES}) of "
                "uint8; get it again"
            )
        if (
            not isinstance(labels, list)
            or len(labels) != len(rows)
            or not all(type(k) is int and 0 <= k < self.num_classes for k in labels)
        ):
            raise DataError(
                f"'{path}' has no labels: {self.labels_key!r} must be {len(rows)} "
                f"numbers from 0 to {self.num_classes - 1}; get it again"
            )
        planes = rows.reshape(-1, 3, SIDE, SIDE)
        return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), np.array(labels)


@DATASETS.register_module()
class CIFAR10(Cifar):
    """CIFAR-10: 50,000 training and 10,000 test pictures of 32x32, 10 classes.

    ``data_root`` is the unpacked ``cifar-10-batches-py`` or the folder that holds it.
    Every file must be the official one. Options: see
    :class:`tasks.datasets.labelled_pictures.LabelledPictures`.

    Raises:
        DataError: A file is missing, truncated or not the official one.

    References:
        Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    """

    folder = "cifar-10-batches-py"
    archive = "cifar-10-python.tar.gz"
    files: ClassVar = {
        "train": {
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        },
        "test": {"test_batch": "40351d587109b95175f43aff81a1287e"},
    }
    meta = ("batches.meta", "5ff9c542aee3614f3951f8cda6e48888")
    labels_key = "labels"
    classes_key = "label_names"
    num_classes = 10


@DATASETS.register_module()
class CIFAR100(Cifar):
    """CIFAR-100: 50,000 training and 10,000 test pictures of 32x32, 100 fine classes.

    ``data_root`` is the unpacked ``cifar-100-python`` or the folder that holds it. As
    :class:`CIFAR10` in everything else.

    Raises:
        DataError: A file is missing, truncated or not the official one.
    """

    folder = "cifar-100-python"
    archive = "cifar-100-python.tar.gz"
    files: ClassVar = {
        "train": {"train": "16019d7e3df5f24257cddd939b257f8d"},
        "test": {"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
    }
    meta = ("meta", "7973b15100ade9c7d40fb424638fde48")
    labels_key = "fine_labels"
    classes_key = "fine_label_names"
    num_classes = 100
