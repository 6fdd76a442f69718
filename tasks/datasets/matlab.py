"""Write HDF5 files the way MATLAB 7.3 does, and MATLAB 5 files without a date."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

from tasks.datasets.plain_hdf5 import MAX_TEXT, require_small

USER_BLOCK_BYTES = 512
_TEXT_BYTES = 116


def write_user_block(path: Path) -> None:
    """Fill the user block of a closed HDF5 file with MATLAB's 7.3 header.

    Args:
        path: File created with ``userblock_size=USER_BLOCK_BYTES``.
    """
    text = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 ."
    version = (0x0200).to_bytes(2, "little") + b"IM"
    header = text.ljust(_TEXT_BYTES) + bytes(8) + version
    with path.open("r+b") as file:
        file.write(header.ljust(USER_BLOCK_BYTES, b"\0"))


def create_array(
    file: h5py.File, name: str, shape: tuple[int, ...], dtype: Any, kind: str
) -> h5py.Dataset:
    """Create a numeric array whose first axis (MATLAB's last) counts frames.

    Args:
        file: Open file.
        name: Variable name.
        shape: Shape as h5py shows it, MATLAB's axes reversed.
        dtype: NumPy type.
        kind: MATLAB class, such as ``single`` or ``uint8``.
    """
    dataset = file.create_dataset(
        name,
        shape,
        dtype,
        chunks=(1, *shape[1:]),
        compression="gzip",
        compression_opts=1,
    )
    dataset.attrs["MATLAB_class"] = np.bytes_(kind)
    return dataset


def create_cells(file: h5py.File, name: str, texts: Sequence[str]) -> None:
    """Write an N x 1 cell array of character rows.

    h5py shows it as ``(1, N)`` object references, each to a ``(length, 1)``
    uint16 array of UTF-16 code units in the group ``#refs#``.

    Args:
        file: Open file.
        name: Variable name.
        texts: N non-empty strings.
    """
    group = file.require_group("#refs#")
    cells = file.create_dataset(name, (1, len(texts)), h5py.ref_dtype)
    cells.attrs["MATLAB_class"] = np.bytes_("cell")
    for index, text in enumerate(texts):
        units = np.frombuffer(text.encode("utf-16-le"), dtype=np.uint16)
        characters = group.create_dataset(f"{name}_{index}", data=units[:, None])
        characters.attrs["MATLAB_class"] = np.bytes_("char")
        characters.attrs["MATLAB_int_decode"] = np.int32(2)
        cells[0, index] = characters.ref


def read_cells(file: h5py.File, name: str) -> list[str]:
    """Read a cell array of character rows as Python strings.

    Args:
        file: Open MATLAB 7.3 file.
        name: Name of the cell array, any shape.

    Raises:
        DataError: A text lies in another file, or is longer than ``MAX_TEXT``.
    """
    texts = []
    for reference in np.asarray(file[name][()]).ravel():
        require_small(file[reference], MAX_TEXT)
        units = np.asarray(file[reference][()]).ravel()
        # MATLAB stores an empty string as its shape, marked by an attribute.
        if "MATLAB_empty" in file[reference].attrs:
            units = units[:0]
        texts.append(units.astype("<u2").tobytes().decode("utf-16-le"))
    return texts


def cell_row(texts: Sequence[str]) -> NDArray[np.object_]:
    """Return a (1, N) object array, which ``savemat`` writes as a cell array.

    Examples:
        >>> cell_row(["wall", "floor"]).shape
        (1, 2)
    """
    row = np.empty((1, len(texts)), dtype=object)
    row[0, :] = list(texts)
    return row


def save_mat5(path: Path, variables: dict[str, Any]) -> None:
    """Write a MATLAB 5 file whose bytes depend on its variables alone.

    ``savemat`` puts the time of writing into the header text; a fixed text
    replaces it.

    Args:
        path: File to write.
        variables: Arrays by name.
    """
    savemat(path, variables)
    with path.open("r+b") as file:
        file.write(b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(_TEXT_BYTES))
