"""HDF5 files whose values lie in the file itself, in pieces of a sane size.

An HDF5 file can name other files that are then opened in its place (external links,
external storage, virtual data sets), ask for a filter that is a program, and unpack to
any size. The official files need none of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py

from tasks.datasets.errors import DataError

#: Holds a chunk of several frames, should the file be chunked that way.
_CHUNK_CACHE_BYTES = 32 << 20
# A frame of 4000x4000 pixels in 4 bytes; pieces are unpacked whole.
MAX_PIECE_BYTES = 64 << 20
#: Most characters of one text.
MAX_TEXT = 4096
# Deflate, shuffle, checksum, n-bit and scale-offset: all of them part of HDF5.
_FILTERS = {1, 2, 3, 5, 6}


def open_hdf5(path: Path) -> h5py.File:
    """Open a file for reading.

    Raises:
        DataError: It is no HDF5 file, or an incomplete one.
    """
    try:
        return h5py.File(path, "r", rdcc_nbytes=_CHUNK_CACHE_BYTES)
    except OSError as error:
        raise DataError(
            f"{path}: not a complete HDF5 file ({error}); it may be a truncated "
            "download, delete it and download it again"
        ) from error


def find_dataset(file: h5py.File, key: str) -> h5py.Dataset | None:
    """A data set of the file itself, or None where there is none of this name.

    Nothing of its values is read.

    Raises:
        DataError: The name leads elsewhere, or see :func:`check_dataset`.
    """
    link = file.get(key, getlink=True)
    if link is None:
        return None
    if not isinstance(link, h5py.HardLink):
        raise DataError(
            f"{file.filename}: {key!r} is a link ({type(link).__name__}), which could "
            "lead to any file; nothing was read, use the official file"
        )
    try:
        found = file.get(key)
    except (OSError, RuntimeError, KeyError) as error:
        raise DataError(
            f"{file.filename}: {key!r} cannot be read ({error}); the file is damaged, "
            "download it again"
        ) from error
    if not isinstance(found, h5py.Dataset):
        return None
    check_dataset(found)
    return found


def check_dataset(dataset: h5py.Dataset) -> None:
    """Refuse values that lie elsewhere, or that are unpacked in huge pieces.

    Args:
        dataset: Read by its first index, or whole if it has chunks of one piece.

    Raises:
        DataError: Other files or programs are needed, or a chunk or the values at one
            index have more than ``MAX_PIECE_BYTES``.
    """
    for objection in _objections(dataset):
        raise DataError(
            f"{dataset.file.filename}: {dataset.name!r} {objection}; nothing was read, "
            "use the official file"
        )


def _objections(dataset: h5py.Dataset) -> Iterator[str]:
    if dataset.is_virtual or dataset.external:
        yield "keeps its values in other files"
    properties = dataset.id.get_create_plist()
    filters = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}
    if filters - _FILTERS:
        yield f"needs the filter {min(filters - _FILTERS)}, which is no part of HDF5"
    for what, shape in (("chunks", dataset.chunks), ("frames", dataset.shape[1:])):
        size = dataset.dtype.itemsize
        for length in shape or ():
            size *= length
        if size > MAX_PIECE_BYTES:
            yield f"has {what} of {size} bytes, expected at most {MAX_PIECE_BYTES}"


def require_small(dataset: h5py.HLObject, values: int) -> None:
    """Refuse to read whole what has more than so many values.

    Raises:
        DataError: It has more, is no data set, or see :func:`check_dataset`.
    """
    if not isinstance(dataset, h5py.Dataset):
        raise DataError(f"{dataset.file.filename}: {dataset.name!r} holds no values")
    check_dataset(dataset)
    if dataset.size is None or dataset.size > values:
        raise DataError(
            f"{dataset.file.filename}: {dataset.name!r} has {dataset.size} values, "
            f"expected at most {values}; nothing was read, use the official file"
        )
