"""Networks that answer on pictures, and their answers as JSON."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cmim.task_view import View


@dataclass(frozen=True)
class Answer:
    """What a network says of a picture.

    Args:
        views: By name of the task.
        milliseconds: From the picture's pixels to predictions, without decoding the
            picture and drawing.
    """

    views: Mapping[str, View]
    milliseconds: float


@dataclass(frozen=True)
class Network:
    """A network that pictures can be sent to.

    Args:
        name: What people choose it by.
        file: Name of its file, without the folder.
        megabytes: Size of its file, in units of 1,000,000 bytes.
        tasks: Names of the tasks that it answers.
        answer: The content of a picture file to an answer; errors of the picture are
            sentences. One thread at a time calls it.
    """

    name: str
    file: str
    megabytes: float
    tasks: tuple[str, ...]
    answer: Callable[[bytes], Answer]

    def described(self) -> dict[str, Any]:
        """The network as JSON."""
        return dict(
            name=self.name,
            file=self.file,
            megabytes=round(self.megabytes, 2),
            tasks=list(self.tasks),
        )


def answer_json(name: str, answer: Answer) -> dict[str, Any]:
    """An answer as JSON; docs/serve.md has the fields.

    Args:
        name: Of the network.
        answer: What it says.
    """
    return dict(
        network=name,
        milliseconds=round(answer.milliseconds, 2),
        views=[dict(task=t, **view_json(v)) for t, v in answer.views.items()],
    )


def view_json(view: View) -> dict[str, Any]:
    """A view as JSON: pictures as PNG, numbers as they are, in zlib and base64.

    Examples:
        >>> grey = np.full((2, 1, 3), 7, np.uint8)
        >>> found = view_json(View("Classes", grey, grey[..., :1] // 7, ["a", "b"],
        ...     [(7, 7, 7)] * 2))
        >>> found["size"], found["bits"], found["names"]
        ([2, 1, 1], 8, ['a', 'b'])
        >>> list(zlib.decompress(base64.b64decode(found["values"])))
        [1, 1]
    """
    bits = 8 * view.values.dtype.itemsize
    numbers = np.ascontiguousarray(view.values, f"<u{bits // 8}")
    count = len(view.names)
    return dict(
        title=view.title,
        note=view.note,
        size=list(view.values.shape),
        bits=bits,
        picture=_base64(_png(view.picture)),
        values=_base64(zlib.compress(numbers.tobytes(), 1)),
        names=list(view.names),
        colours=[[int(c) for c in colour] for colour in view.colours[:count]],
        readings=[asdict(reading) for reading in view.readings],
    )


def _png(picture: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))[1].tobytes()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
