"""Sums of single test images, of which figures over any draw of images are made."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cmim.digest import sha256_of
from cmim.task import known_tasks
from cmim.whole_output import write_whole

# In a run's folder.
FILE = "sums.npz"
# What a file may unpack to: 100,000 images of 40 classes take 48 MB.
MOST_BYTES = 1 << 28


class SumsError(ValueError):
    """A file of sums that is damaged, or not the one that was recorded."""


def write_sums(path: Path, sums: Mapping[str, Tensor]) -> None:
    """Write sums, compressed: counts as int32, other sums as float32.

    Args:
        path: Target, ``.npz``.
        sums: By figure (``mIoU``, ``depth/rmse``), one row an image; what the task's
            :attr:`~cmim.task.Task.of_sums` takes.
    """
    arrays = {
        name: each.numpy().astype(
            np.float32 if each.is_floating_point() else np.int32, casting="same_kind"
        )
        for name, each in sums.items()
    }
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    write_whole(path, file.getvalue())


def read_sums(path: Path) -> dict[str, NDArray]:
    """The arrays that :func:`write_sums` has written, one row an image.

    Raises:
        SumsError: It is no such file; the message names it.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            members = packed.infolist()
            size = sum(member.file_size for member in members)
            if size > MOST_BYTES:
                raise ValueError(f"it unpacks to {size:,} bytes")
            for member in members:
                _check_header(packed, member)
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    # Neither zipfile nor NumPy says which errors damaged files may lead to.
    except Exception as error:
        raise SumsError(
            f"'{path}' holds no sums of images ({error}); get it again from the run, "
            "or move it away to do without"
        ) from None


def _check_header(packed: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Refuse an array by its first lines, before it gets the memory that they ask for.

    Raises:
        ValueError: It is no array of numbers, longer than its file, or of another shape
            than the sums of its figure.
    """
    with packed.open(member) as file:
        version = np.lib.format.read_magic(file)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read is None:
            raise ValueError(f"'{member.filename}' is of version {version}")
        shape, _, dtype = read(file)
        begin = file.tell()
    name = member.filename.removesuffix(".npy")
    if dtype not in (np.int32, np.float32):
        raise ValueError(f"'{name}' holds {dtype}, not int32 or float32")
    if begin + math.prod(shape) * dtype.itemsize != member.file_size:
        raise ValueError(f"'{name}' says that its shape is {shape}, which it is not")
    # Rows of no length take no space, however many there are.
    if 0 in shape[1:] or not _fits(name, shape[1:]):
        raise ValueError(f"'{name}' has shape {shape}, and its sums have another one")


def _fits(name: str, shape: Sequence[int]) -> bool:
    """Whether a figure can be made of an image's sums of a shape.

    Of a figure that no task declares, and which nothing is made of, any shape fits.
    """
    of_sums = {task.figure: task.of_sums for task in known_tasks().values()}
    figure = of_sums.get(name.rpartition("/")[2])
    if figure is None:
        return True
    try:
        # Of no values, so that it takes no memory.
        return figure(torch.empty(2, *shape, device="meta")).shape == (2,)
    except (TypeError, ValueError, IndexError, RuntimeError):
        return False


def sums_digest(sums: Mapping[str, NDArray]) -> str:
    """SHA-256 of names, types and values; how they are compressed does not count.

    Args:
        sums: As :func:`read_sums` gives them.

    Examples:
        >>> a, b = np.zeros((1, 2), np.int32), np.zeros((2, 1), np.int32)
        >>> sums_digest({"mIoU": a}) == sums_digest({"mIoU": b})
        False
    """
    parts: list[bytes] = []
    for name in sorted(sums):
        array = np.ascontiguousarray(sums[name])
        parts.append(f"{name} {array.dtype.str} {array.shape}\n".encode())
        parts.append(array.tobytes())
    return sha256_of(*parts)
