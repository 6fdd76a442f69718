"""Decoding of pictures in which the decoder's own complaints count."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.datasets.errors import DataError

# Lines of the libraries inside of OpenCV, and those that say "made up the rest".
_OURS = re.compile(r"\[ ?(WARN|ERROR):|libpng |Corrupt JPEG|Premature end of JPEG")
_DAMAGE = re.compile(r"Corrupt JPEG|Premature end of JPEG|libpng error|.*TIFF_Error")
# File descriptor 2 belongs to the whole process: one thread at a time has it, and no
# child is forked meanwhile. Programs that another thread starts (subprocess) ask
# nobody: those get the pipe, and end when they write into it later.
_LOCK = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_LOCK.acquire,
        after_in_parent=_LOCK.release,
        after_in_child=_LOCK.release,
    )


def decode(data: bytes, path: str | Path, flag: int) -> NDArray:
    """Decode a picture, or refuse it where the decoder had to make up a part of it.

    libjpeg and libtiff fill what they cannot decode and say so on the standard error
    stream only; no interface of OpenCV, Pillow or torchvision passes it on.

    Args:
        data: The file, see :func:`tasks.whole_file.read_whole`.
        path: Its name, for messages.
        flag: One of ``cv2.IMREAD_*``.

    Returns:
        The picture as OpenCV gives it.

    Raises:
        DataError: The picture is damaged; the message names the file.

    Examples:
        >>> decode(bytes(cv2.imencode(".png", np.eye(2))[1]), "a.png", -1).tolist()
        [[1, 0], [0, 1]]
    """
    said: list[str] = []
    with _complaints(said):
        try:
            array = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
        except cv2.error as error:
            said.append(error.err)
            array = None
    damage = next((line for line in said if _DAMAGE.match(line)), None)
    if array is None or damage is not None:
        line = (damage or next(iter(said), "it cannot be decoded")).strip()
        raise DataError(
            f"'{path}' is damaged ({line}); get it again, or, if it looks right, save "
            "it again"
        )
    return array


@contextmanager
def _complaints(said: list[str]) -> Iterator[None]:
    """Collect what the decoder writes; what others write meanwhile is passed on."""
    with _LOCK:
        source, target = os.pipe()
        # A full pipe loses text instead of waiting for a reader that does not come.
        os.set_blocking(target, False)
        os.set_blocking(source, False)
        try:
            stderr = os.dup(2)
        except OSError:  # There is no such stream.
            stderr = os.open(os.devnull, os.O_WRONLY)
        os.dup2(target, 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            for descriptor in (stderr, target):
                os.close(descriptor)
            try:
                text = os.read(source, 1 << 16).decode(errors="replace")
            except BlockingIOError:
                text = ""
            os.close(source)
    lines = [line for line in text.splitlines(keepends=True) if line.strip()]
    said += [line for line in lines if _OURS.match(line)]
    if others := "".join(line for line in lines if not _OURS.match(line)):
        # As the one who wrote it would: there may be no such stream, or no reader.
        with suppress(OSError):
            os.write(2, others.encode())
