"""Sums of single test images, of which figures over any draw of images are made."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cmim.digest import sha256_of
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
            size = sum(member.file_size for member in packed.infolist())
        if size > MOST_BYTES:
            raise ValueError(f"it unpacks to {size:,} bytes")
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise SumsError(
            f"'{path}' holds no sums of images ({error}); get it again from the run, "
            "or move it away to do without"
        ) from None


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
