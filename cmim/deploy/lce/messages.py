"""Messages between processes: JSON and arrays in a pipe. Nothing is pickled."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import IO, Any

import numpy as np

_LENGTH = struct.Struct("<Q")


def send(
    pipe: IO[bytes], message: dict[str, Any], arrays: Sequence[np.ndarray] = ()
) -> None:
    """Write a message.

    Args:
        pipe: To the other process.
        message: Plain values.
        arrays: Numbers of any shape; they arrive as float32.
    """
    kept = [np.ascontiguousarray(array, "<f4") for array in arrays]
    shapes = [array.shape for array in kept]
    text = json.dumps(dict(message=message, shapes=shapes)).encode()
    pipe.write(_LENGTH.pack(len(text)) + text)
    for array in kept:
        pipe.write(array.tobytes())
    pipe.flush()


def receive(pipe: IO[bytes]) -> tuple[dict[str, Any], list[np.ndarray]] | None:
    """Read a message; None where the other process has gone.

    Examples:
        >>> import io
        >>> pipe = io.BytesIO()
        >>> send(pipe, {"do": "run"}, [np.float32([1, 2])])
        >>> _ = pipe.seek(0)
        >>> receive(pipe), receive(pipe)
        (({'do': 'run'}, [array([1., 2.], dtype=float32)]), None)
    """
    try:
        (size,) = _LENGTH.unpack(_read(pipe, _LENGTH.size))
        found = json.loads(_read(pipe, size))
        arrays = [
            np.frombuffer(_read(pipe, 4 * int(np.prod(shape))), "<f4").reshape(shape)
            for shape in found["shapes"]
        ]
    except EOFError:
        return None
    return found["message"], arrays


def _read(pipe: IO[bytes], size: int) -> bytes:
    data = pipe.read(size)
    if len(data) < size:
        raise EOFError
    return data
